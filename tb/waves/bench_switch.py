"""Cocotb bench of the recorder: switches it on in cycle FIRST and off in cycle LAST."""

import os

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, Timer

from ouroboros.tb.lib.link import PERIOD_NS, RESET_CYCLES

PULSE_CYCLES = (3, 20, 60)
"""Between the pulses that wake the blocks."""


@cocotb.test()
async def switched(dut):
    """Blocks wake, work and sleep, before, in and after the window."""
    first, last = int(os.environ["FIRST"]), int(os.environ["LAST"])

    async def window():
        dut.waves_on.value = 0
        await Timer(first * PERIOD_NS, "ns")
        dut.waves_on.value = 1
        await Timer((last - first) * PERIOD_NS, "ns")
        dut.waves_on.value = 0

    Clock(dut.clk, PERIOD_NS, unit="ns").start()
    dut.rst.value = 1
    dut.i.value = 0
    cocotb.start_soon(window())
    await ClockCycles(dut.clk, RESET_CYCLES)
    dut.rst.value = 0
    for cycles in PULSE_CYCLES:
        await ClockCycles(dut.clk, cycles)
        dut.i.value = 1
        await ClockCycles(dut.clk, 1)
        dut.i.value = 0
