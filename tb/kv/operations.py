"""Long random use of a KV manager, checked by a ledger."""

import random
from collections.abc import Iterator

from amaranth.lib import data
from cocotb.triggers import FallingEdge, RisingEdge, with_timeout

from ouroboros.hw.kv.layout import KvOp, kv_command_layout, kv_reply_layout
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import KV_CONFIG, Unit
from ouroboros.tb.kv.ledger import Answer, Command, Layout, Ledger
from ouroboros.tb.kv.player import BATCH
from ouroboros.tb.lib.cosim import PERIOD_NS, CocotbDut

__all__ = ["KvOperations"]

HANGS_CYCLES = 100
"""Of a command."""
REFUSED = 0.01
"""Part of the commands that no table can hold."""
EVICTED = 0.03
"""Part of them that free a sequence."""
SHARED = 0.2
"""Kinds below it are shares, where a block may have several owners."""


class KvOperations:
    """Sequences grow, are read, and are evicted, until blocks run out and after.

    Parameters
    ----------
    dut : CocotbDut
        A ``KvPlayer``, after reset.
    machine : Machine
        Sizes.
    stall : float
        Probability of a pause, before a command and of its reply.
    rng : random.Random
        Source of all choices.
    """

    def __init__(self, dut: CocotbDut, machine: Machine, *, stall: float, rng: random.Random):
        self.dut, self.machine, self.stall, self.rng = dut, machine, stall, rng
        self.ledger = Ledger(machine, self._layout())
        self._commands = _Word(kv_command_layout(machine))
        self._replies = _Word(kv_reply_layout(machine))
        self._lengths: dict[tuple[int, int], int] = {}
        self._plan: list[Command] = []

    def _layout(self) -> Layout:
        """Macros at random; few enough that K, V or pages run out first, now and then."""
        rng, cim, core = self.rng, self.machine.cim, self.machine.core
        macros = rng.sample(range(core.macros), rng.randrange(2, core.macros + 1))
        cut = rng.randrange(1, len(macros))
        return Layout(
            k_macros=sum(1 << m for m in macros[:cut]), v_macros=sum(1 << m for m in macros[cut:]),
            k_blocks=max(rng.randrange(1, cim.groups + 1) for _ in range(2)),
            v_slots=rng.randrange(1, cim.outputs // core.lanes + 1),
            heads=rng.randrange(1, self.machine.kv.heads + 1))

    async def run(self, operations: int) -> None:
        """New settings, then so many operations; all of what is allocated is freed at the end."""
        layout, kv = self._layout(), self.machine.kv
        self.ledger.layout = layout
        fields = {field.name: getattr(layout, field.name, 0) for field in KV_CONFIG.fields}
        fields["v_stays"] = self.rng.randrange(2)
        await self._write(KV_CONFIG.pack(fields))
        self._lengths.clear()
        self._plan.clear()
        for first in range(0, operations, BATCH):
            await self._play([self._choose() for _ in range(min(BATCH, operations - first))])
            await self._settle()
            assert self.dut.get("used") == self.ledger.used
        for first in range(0, kv.sequences, BATCH):
            await self._play([Command(KvOp.FREE, sequence) for sequence in
                              range(first, min(first + BATCH, kv.sequences))])
        await self._settle()
        assert self.dut.get("used") == self.ledger.used == 0

    async def _settle(self) -> None:
        """What was freed last is counted late where blocks have several owners."""
        for _ in range(2 * self.machine.kv.shares):
            await self.dut.tick()

    async def _write(self, value: int) -> None:
        for name, content in (("unit", Unit.KV), ("address", 0), ("data", value), ("valid", 1)):
            self.dut.set(f"config__{name}", int(content))
        await self.dut.tick()
        self.dut.set("config__valid", 0)

    async def _play(self, commands: list[Command]) -> None:
        """Commands together, each reply against the ledger."""
        dut, width = self.dut, self._commands.size
        dut.set("commands", sum(self._commands.pack(
            command.op, command.sequence, command.head, command.block, command.token,
            *([command.source] if self.machine.kv.shares else []))
            << n * width for n, command in enumerate(commands)))
        dut.set("count", len(commands))
        dut.set("pauses", sum((self.rng.random() < self.stall) << n for n in range(BATCH)))
        dut.set("go", 1)
        await dut.tick()
        dut.set("go", 0)
        if not dut.get("done"):
            await with_timeout(RisingEdge(dut.dut.done),
                               HANGS_CYCLES * PERIOD_NS * len(commands), "ns")
            await FallingEdge(dut.dut.clk)
        replies, width = dut.get("replies"), self._replies.size
        for n, command in enumerate(commands):
            ok, full, *places, valid = self._replies.unpack(replies >> n * width)
            self.ledger.check(command, Answer(
                bool(ok), bool(full), tuple(places[:2]), tuple(places[2:]), valid))

    def _choose(self) -> Command:
        rng, kv, tokens = self.rng, self.machine.kv, self.machine.block_tokens
        if self._plan:
            return self._plan.pop()
        kind = rng.random()
        if kind < REFUSED:
            ops = [op for op in KvOp if kv.shares or op != KvOp.SHARE]
            return Command(rng.choice(ops), rng.choice((0, kv.sequences)),
                           rng.choice((0, kv.heads)), rng.choice((0, kv.blocks)))
        sequence, head = rng.randrange(kv.sequences), rng.randrange(self.ledger.layout.heads)
        if kind < REFUSED + EVICTED:
            for other in range(kv.heads):
                self._lengths.pop((sequence, other), None)
            return Command(KvOp.FREE, sequence)
        length = self._lengths.get((sequence, head), 0)
        if kv.shares and kind < SHARED:
            return self._share(sequence, head)
        if kind < 0.4:
            return Command(KvOp.LOOKUP, sequence, head, rng.randrange(length // tokens + 2))
        if kind < 0.45:     # anywhere
            return Command(KvOp.APPEND, sequence, head, rng.randrange(kv.blocks),
                           rng.randrange(tokens))
        # The next token, or some tokens on; if it finds no room, it is not tried again.
        position = length + rng.choice((0, 0, 0, rng.randrange(tokens)))
        self._lengths[sequence, head] = (position + 1) % (kv.blocks * tokens)
        return Command(KvOp.APPEND, sequence, head, position // tokens % kv.blocks,
                       position % tokens)

    def _share(self, sequence: int, head: int) -> Command:
        """A block is filled, or a block of any sequence is shared, most often one that is full."""
        rng, kv, tokens = self.rng, self.machine.kv, self.machine.block_tokens
        whole = self.ledger.whole()
        if rng.random() < (0.02 if whole else 0.2):
            block = rng.randrange(kv.blocks)
            self._plan = [Command(KvOp.APPEND, sequence, head, block, token)
                          for token in range(tokens)]
            return self._plan.pop()
        source, block = rng.randrange(kv.sequences), rng.randrange(kv.blocks)
        if whole and rng.random() < 0.8:
            source, head, block = rng.choice(whole)
        return Command(KvOp.SHARE, sequence, head, block, source=source)


class _Word:
    """A layout's values in their order: quicker than views where there are millions."""

    def __init__(self, layout: data.StructLayout):
        self.size = layout.size
        self._fields = list(_fields(layout, 0))

    def pack(self, *values: int) -> int:
        return sum(value << low for value, (low, _) in zip(values, self._fields, strict=True))

    def unpack(self, word: int) -> list[int]:
        return [word >> low & mask for low, mask in self._fields]


def _fields(layout: data.StructLayout, low: int) -> Iterator[tuple[int, int]]:
    """Lowest bit and mask of each value."""
    for _, field in layout:
        if isinstance(field.shape, data.StructLayout):
            yield from _fields(field.shape, low + field.offset)
        else:
            yield low + field.offset, (1 << field.width) - 1
