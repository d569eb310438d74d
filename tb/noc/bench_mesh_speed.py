"""Cycles per second of processor time and traffic of ``tb.noc.mesh_speed`` at several loads.

NODES: how many there are; SPEED_RESULT: file for a row a load.
"""

import json
import os
import time
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge, Timer

CYCLES = 10000


@cocotb.test()
async def speed(dut):
    dut.rst.value = 1
    dut.load.value = 0
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    for _ in range(3):
        await RisingEdge(dut.clk)
    dut.rst.value = 0
    nodes, rows = int(os.environ["NODES"]), []
    for load in (0, 1, 4, 255):
        dut.load.value = load
        await Timer(2000, "ns")
        before = int(dut.received.value), int(dut.hops.value)
        start = time.process_time()
        await Timer(CYCLES * 10, "ns")
        took = time.process_time() - start
        received, hops = int(dut.received.value) - before[0], int(dut.hops.value) - before[1]
        rows.append([load, CYCLES / took, received / CYCLES / nodes, hops / CYCLES / nodes])
    Path(os.environ["SPEED_RESULT"]).write_text(json.dumps(rows))
