"""Random traffic on a macro and its behavioural twin, against each other and the golden model.

Reads MACHINE, COMMANDS and STALL from the environment.
"""

import os
import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge, Timer

from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.cim.macro_traffic import MacroTraffic

_ENABLES = ("operand__en", "operand__clear", "write__en", "cmd__valid")
SLEEPS_CYCLES = 6
"""Nothing is asked of the macro: its clock stands still, if it may."""


class Bench:
    """Clock, reset, and one cycle at a time."""

    def __init__(self, dut):
        self.dut = dut
        self.machine = load_machine(os.environ["MACHINE"])
        self.active_cycles = 0

    async def reset(self):
        dut = self.dut
        for name in (*_ENABLES, "beat", "take"):
            getattr(dut, name).value = 0
        dut.rst.value = 1
        cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
        for _ in range(2):
            await RisingEdge(dut.clk)
        dut.rst.value = 0

    async def cycle(self, traffic):
        """All inputs change while the clock is low; those that need ``ready`` after ``take``."""
        dut = self.dut
        await FallingEdge(dut.clk)
        self.active_cycles += int(dut.active.value)
        full = bool(dut.full.value)
        beat, take = traffic.drain(full)
        dut.beat.value, dut.take.value = beat, take
        await Timer(1, "ns")
        lanes = self.machine.core.lanes
        sums = int(dut.sums.value)
        traffic.check(full, beat, take,
                      [_signed(sums >> 32 * lane & 0xffffffff) for lane in range(lanes)],
                      int(dut.lanes_valid.value))
        values = traffic.inputs(bool(dut.cmd__ready.value))
        fields = {name[4:]: value for name, value in values.items() if name.startswith("cmd.")}
        for name in _ENABLES:
            getattr(dut, name).value = values.pop(name, 0)
        for name, value in values.items():
            if not name.startswith("cmd."):
                getattr(dut, name).value = value
        if fields:
            dut.cmd__payload.value = self.payload(fields)

    def payload(self, fields):
        """A command packed as ``command_layout`` lays it out."""
        bits = self.machine.cim.groups.bit_length() - 1
        word = offset = 0
        for name, width in (("bank", 1), ("first_group", bits), ("operand_group", bits),
                            ("groups", bits + 1), ("first", 1), ("last", 1),
                            ("columns", self.machine.cim.outputs)):
            word |= fields[name] << offset
            offset += width
        return word


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def random_traffic(dut):
    """Sums equal the golden model's; the twin's ports equal the macro's in every cycle."""
    bench = Bench(dut)
    await bench.reset()
    traffic = MacroTraffic(bench.machine, int(os.environ["COMMANDS"]), float(os.environ["STALL"]),
                           random.Random(random.getrandbits(64)))
    while not traffic.done:
        await bench.cycle(traffic)
        assert not dut.differ.value, f"twin must equal macro, differs in cycle {dut.cycles.value}"
    cim = bench.machine.cim
    for _ in range(cim.mvm_cycles + cim.fill_cycles):
        await bench.cycle(traffic)
    assert not dut.differ.value
    assert traffic.checked > 0
    assert bench.active_cycles == traffic.active_cycles
    dut._log.info("%d results in %d cycles", traffic.checked, int(dut.cycles.value))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def cleared_in_its_sleep(dut):
    """Operands that are cleared while nothing else is asked for are gone: no product is left."""
    bench = Bench(dut)
    cim = bench.machine.cim
    await bench.reset()
    ones = sum(1 << 8 * n for n in range(max(cim.outputs, bench.machine.core.word_bits // 8)))

    async def one(**inputs):
        await FallingEdge(dut.clk)
        for name, value in inputs.items():
            handle = getattr(dut, name)
            handle.value = value & (1 << len(handle)) - 1
        await FallingEdge(dut.clk)
        for name in (*_ENABLES, "take"):
            getattr(dut, name).value = 0
        for _ in range(SLEEPS_CYCLES):
            await FallingEdge(dut.clk)

    for row in range(cim.rows):
        await one(write__en=1, write__row=row, write__mask=-1, write__data=ones, write__column=0)
    for clear, expected in ((0, True), (1, False)):
        await one(operand__en=1, operand__clear=1, operand__bank=0, operand__index=0,
                  operand__data=ones, operand__mask=-1)
        await one(operand__clear=clear, operand__bank=0)
        await one(cmd__valid=1, cmd__payload=bench.payload({
            "bank": 0, "first_group": 0, "operand_group": 0, "groups": cim.groups, "first": 1,
            "last": 1, "columns": (1 << cim.outputs) - 1}))
        for _ in range(cim.mvm_cycles + cim.fill_cycles):
            await FallingEdge(dut.clk)
        assert dut.full.value and bool(int(dut.sums.value)) == expected
        await one(take=1)
    assert not dut.differ.value


def _signed(value):
    return value - (value >> 31 << 32)
