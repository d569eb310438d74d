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


def _signed(value):
    return value - (value >> 31 << 32)
