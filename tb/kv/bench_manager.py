"""Random commands to the KV manager, back to back, against the golden model.

Reads MACHINE, COMMANDS and STALL from the environment.
"""

import os
import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge, with_timeout

from ouroboros.hw.kv.layout import KvOp, kv_command_layout, kv_reply_layout
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import KV_CONFIG, Unit
from ouroboros.sw.golden.kv import KvGolden, Place
from ouroboros.tb.array.agent import random_settings
from ouroboros.tb.lib.scoreboard import Scoreboard
from ouroboros.tb.lib.stream import StreamDriver, StreamMonitor


def coins(probability):
    """True with ``probability``, for ever."""
    while True:
        yield random.random() < probability


class Bench:
    """Clock, reset, stream ends, golden model and scoreboard."""

    def __init__(self, dut, stall):
        self.dut, self.machine = dut, load_machine(os.environ["MACHINE"])
        self.settings = random_settings(self.machine, random.Random(random.getrandbits(64)))
        self.golden = KvGolden(self.machine, self.settings)
        self.replies = Scoreboard("rsp")
        self.cmd = StreamDriver(dut, "cmd", kv_command_layout(self.machine), idle=coins(stall))
        StreamMonitor(dut, "rsp", kv_reply_layout(self.machine),
                      lambda reply: self.replies.actual(_seen(reply)), ready=coins(1 - stall))

    async def reset(self):
        dut = self.dut
        dut.config__valid.value = 0
        dut.rst.value = 1
        cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
        for _ in range(3):
            await RisingEdge(dut.clk)
        dut.rst.value = 0
        dut.config__unit.value, dut.config__address.value = Unit.KV, 0
        dut.config__data.value = KV_CONFIG.pack(self.settings.fields())
        dut.config__valid.value = 1
        await RisingEdge(dut.clk)
        dut.config__valid.value = 0

    def send(self, op, sequence, head=0, block=0, token=0):
        self.cmd.send({"op": op, "sequence": sequence, "head": head, "block": block,
                       "token": token})
        if op == KvOp.FREE:
            self.replies.expect(_wanted(self.golden.free(sequence), places=False))
        elif op == KvOp.APPEND:
            reply = self.golden.append(sequence, head, block, token)
            self.replies.expect(_wanted(reply, mask=False))
        else:
            self.replies.expect(_wanted(self.golden.lookup(sequence, head, block)))
        self.golden.check()

    async def settle(self, replies):
        while self.replies.checked < replies:
            await RisingEdge(self.dut.clk)


def _wanted(reply, *, mask=True, places=True):
    if not reply.ok or not places:
        return reply.ok, reply.full, None, None, None
    return True, reply.full, reply.k, reply.v, reply.valid if mask else None


class _Loose(tuple):
    """A reply seen: equal to one wanted if it is in all that is not None there."""

    __slots__ = ()
    __hash__ = None

    def __eq__(self, other):
        return all(want is None or got == want for got, want in zip(self, other, strict=True))


def _seen(reply):
    k, v = Place(reply.k.macro, reply.k.block), Place(reply.v.macro, reply.v.block, reply.v.slot)
    return _Loose((bool(reply.ok), bool(reply.full), k, v, reply.valid))


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def random_commands(dut):
    """Every reply is the golden model's; after freeing all no block is left over."""
    bench = Bench(dut, float(os.environ["STALL"]))
    await bench.reset()
    kv, tokens = bench.machine.kv, bench.machine.block_tokens
    commands = int(os.environ["COMMANDS"])
    bench.send(KvOp.LOOKUP, 0)  # before it, a reply's token bits are unknown (X)
    for _ in range(commands - 1):
        op = random.choices(list(KvOp), [5, 5, 0.3])[0]
        bench.send(op, random.randrange(min(4, kv.sequences) + 1), random.randrange(kv.heads),
                   random.randrange(kv.blocks), random.randrange(tokens))
    await with_timeout(bench.settle(commands), 10, "ms")
    assert int(dut.used.value) == bench.golden.used
    for sequence in range(kv.sequences):
        bench.send(KvOp.FREE, sequence)
    # Everything can be allocated again, up to the last block.
    for index in range(kv.sequences * kv.heads * kv.blocks):
        bench.send(KvOp.APPEND, index // kv.blocks // kv.heads, index // kv.blocks % kv.heads,
                   index % kv.blocks, 0)
    total = commands + kv.sequences * (1 + kv.heads * kv.blocks)
    await with_timeout(bench.settle(total), 10, "ms")
    assert int(dut.used.value) == bench.golden.used
    bench.replies.finish()
