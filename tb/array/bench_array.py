"""Random programs of several slots on an array unit, against the golden model.

Reads MACHINE, TOKENS and STALL from the environment.
"""

import os
import random

import cocotb
from amaranth.lib import data
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge

from ouroboros.hw.array.array import array_events_layout
from ouroboros.hw.lib.bus import drain_layout, issue_layout
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.timing.array import kv_wipe_cycles
from ouroboros.tb.array.agent import ArrayAgent, Drive, Seen
from ouroboros.tb.lib.stream import pack, unpack


class Bench:
    """Clock, reset, and one cycle at a time."""

    def __init__(self, dut):
        self.dut = dut
        self.machine = load_machine(os.environ["MACHINE"])
        self.issue, self.drain = issue_layout(self.machine), drain_layout(self.machine)
        self.events = array_events_layout(self.machine)
        self.done = data.StructLayout({
            "slot": (self.machine.core.slots - 1).bit_length(), "poison": 1})

    async def reset(self):
        dut = self.dut
        self.drive(Drive())
        dut.issue__payload.value = 0
        dut.config__valid.value = 0
        dut.rst.value = 1
        cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
        for _ in range(3):
            await RisingEdge(dut.clk)
        dut.rst.value = 0

    async def configure(self, writes):
        dut = self.dut
        for unit, address, value in writes:
            dut.config__unit.value, dut.config__address.value = unit, address
            dut.config__data.value, dut.config__valid.value = value, 1
            await RisingEdge(dut.clk)
        dut.config__valid.value = 0
        for _ in range(kv_wipe_cycles(self.machine)):
            await RisingEdge(dut.clk)

    def drive(self, drive):
        dut = self.dut
        dut.issue__valid.value = drive.issue is not None
        if drive.issue:
            dut.issue__payload.value = pack(self.issue, drive.issue.fields())
        dut.read__data.value = drive.read_data
        dut.drain__ready.value, dut.released.value = drive.drain_ready, drive.release

    def seen(self):
        dut, done, drain = self.dut, None, None
        if dut.done__valid.value == 1:
            view = unpack(self.done, int(dut.done__payload.value))
            done = (view.slot, bool(view.poison))
        if dut.drain__valid.value == 1:
            view = unpack(self.drain, int(dut.drain__payload.value))
            drain = (tuple(view.data[n] for n in range(self.machine.core.lanes)), view.valid)
        events = unpack(self.events, int(dut.events.value))
        return Seen(
            issue_ready=dut.issue__ready.value == 1, done=done, locked=bool(dut.locked.value),
            owner=int(dut.owner.value), idle_load=bool(dut.idle_load.value),
            idle_compute=bool(dut.idle_compute.value),
            read_addr=int(dut.read__addr.value) if dut.read__en.value == 1 else None, drain=drain,
            events={name: events[name] for name, _ in self.events})


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def random_programs(dut):
    """Weight and KV tokens of all slots interleave; every beat, poison and event is right."""
    bench = Bench(dut)
    await bench.reset()
    agent = ArrayAgent(bench.machine, tokens=int(os.environ["TOKENS"]),
                       stall=float(os.environ["STALL"]),
                       rng=random.Random(random.getrandbits(64)))
    dut._log.info("%s", agent.settings)
    await bench.configure(agent.configuration())
    cycles = 0
    while not agent.finished:
        await FallingEdge(dut.clk)
        drive = agent.cycle(bench.seen())
        await RisingEdge(dut.clk)
        bench.drive(drive)
        cycles += 1
    for _ in range(3):
        await FallingEdge(dut.clk)
        agent.cycle(bench.seen())
        await RisingEdge(dut.clk)
    agent.check()
    dut._log.info("%d beats in %d cycles, %s", agent.beats_checked, cycles, dict(agent.counts))
