"""Random beats through the adder tree, against the golden model.

Reads MACHINE, BEATS and STALL from the environment.
"""

import os
import random

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

from ouroboros.hw.array.tree import leaves_layout
from ouroboros.hw.lib.bus import drain_layout
from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.golden.tree import tree_sum
from ouroboros.tb.lib.scoreboard import Scoreboard
from ouroboros.tb.lib.stream import StreamDriver, StreamMonitor


class Bench:
    """Clock, reset, driver, monitor and scoreboard."""

    def __init__(self, dut):
        self.dut = dut
        self.machine = load_machine(os.environ["MACHINE"])
        self.lanes = self.machine.core.lanes
        self.sums = Scoreboard("sums")
        stall = float(os.environ["STALL"])
        self.i = StreamDriver(dut, "i", leaves_layout(self.machine), idle=_coin(stall))
        self.o = StreamMonitor(dut, "o", drain_layout(self.machine), self.seen,
                               ready=_coin(1 - stall))

    async def reset(self):
        self.dut.rst.value = 1
        cocotb.start_soon(Clock(self.dut.clk, 10, unit="ns").start())
        for _ in range(2):
            await RisingEdge(self.dut.clk)
        self.dut.rst.value = 0

    def send(self, leaves, mask, valid):
        """Queue a beat, and what must come of it."""
        bits = sum(int(bit) << leaf for leaf, bit in enumerate(mask))
        self.i.send({"leaves": leaves.tolist(), "mask": bits, "valid": valid})
        self.sums.expect((tree_sum(leaves, mask).tolist(), valid))

    def seen(self, beat):
        self.sums.actual(([beat.data[lane] for lane in range(self.lanes)], int(beat.valid)))


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def random_beats(dut):
    """Every beat comes out once, in order, with the golden model's sums."""
    bench = Bench(dut)
    await bench.reset()
    rng = np.random.default_rng(random.getrandbits(64))
    macros = bench.machine.core.macros
    for _ in range(int(os.environ["BEATS"])):
        leaves = rng.integers(-2**31, 2**31, (macros, bench.lanes))
        bench.send(leaves, rng.random(macros) < rng.choice([0, 0.5, 1]),
                   int(rng.integers(1 << bench.lanes)))
    await bench.i.drained()
    for _ in range(50):
        await RisingEdge(dut.clk)
    bench.sums.finish()


def _coin(probability):
    while True:
        yield random.random() < probability
