"""Cocotb bench that lets an idle machine run and reports cycles per second.

CYCLES: how many; SPEED_RESULT: file for the two figures, per second of processor and of wall time.
"""

import json
import os
import time
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import Timer

PERIOD_NS = 2
RESET_CYCLES = 10


@cocotb.test()
async def idle(dut):
    """Nothing arrives; Python sleeps."""
    cycles = int(os.environ["CYCLES"])
    dut.rst.value = 1
    dut.host_i__valid.value = 0
    dut.host_i__payload.value = 0
    dut.host_o__ready.value = 1
    Clock(dut.clk, PERIOD_NS, unit="ns").start()
    await Timer(RESET_CYCLES * PERIOD_NS + 1, "ns")
    dut.rst.value = 0
    await Timer(RESET_CYCLES * PERIOD_NS, "ns")
    processor_s, wall_s = time.process_time(), time.perf_counter()
    await Timer(cycles * PERIOD_NS, "ns")
    processor_s, wall_s = time.process_time() - processor_s, time.perf_counter() - wall_s
    Path(os.environ["SPEED_RESULT"]).write_text(json.dumps([cycles / processor_s, cycles / wall_s]))
