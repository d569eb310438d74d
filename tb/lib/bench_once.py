"""Cocotb bench of a chain of counting stages, for the tests of ``hw.lib.library`` and of builds.

STAGES: number of stages; FAIL: set to let the test fail.
"""

import os
import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ReadOnly, RisingEdge, with_timeout

PERIOD_NS = 10
WORDS = 50


@cocotb.test()
async def chain(dut):
    """Each word arrives once for every word sent, in order, incremented by every stage."""
    stages = int(os.environ["STAGES"])
    Clock(dut.clk, PERIOD_NS, unit="ns").start()
    dut.rst.value = 1
    dut.i__valid.value = 0
    dut.o__ready.value = 1
    for _ in range(3):
        await RisingEdge(dut.clk)
    dut.rst.value = 0
    for _ in range(3):
        await RisingEdge(dut.clk)
    words = [random.getrandbits(8) for _ in range(WORDS)]
    expected = [(word + stages) % 256 for word in words]
    received = cocotb.start_soon(_receive(dut))
    for word in words:
        dut.i__payload.value = word
        dut.i__valid.value = 1
        await RisingEdge(dut.clk)
    dut.i__valid.value = 0
    assert await with_timeout(received, 1000 * PERIOD_NS, "ns") == expected
    assert "FAIL" not in os.environ, "failure on request"


async def _receive(dut) -> list[int]:
    words = []
    while len(words) < WORDS:
        await ReadOnly()
        if dut.o__valid.value == 1:
            words.append(int(dut.o__payload.value))
        await RisingEdge(dut.clk)
    return words
