"""Random instructions on the SFU, with a buffer and an array in Python.

Reads MACHINE, CASES and STALL from the environment.
"""

import os
import random
from collections import deque

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ReadOnly, RisingEdge

from ouroboros.hw.lib.bus import drain_layout, issue_layout
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import Unit
from ouroboros.hw.params.timing.sfu import sfu_cycles
from ouroboros.tb.lib.scoreboard import Scoreboard
from ouroboros.tb.lib.stream import StreamDriver
from ouroboros.tb.sfu.cases import SfuCases, corners, extremes


class Bench:
    """Clock, reset, drivers, the buffer, and the golden model's expectations."""

    def __init__(self, dut):
        self.dut = dut
        self.machine = load_machine(os.environ["MACHINE"])
        self.stall = float(os.environ["STALL"])
        self.cases = SfuCases(self.machine, random.getrandbits(32))
        self.scoreboard = Scoreboard("sfu")
        self.flying = deque()
        self.elements = self.released = 0

    async def reset(self):
        dut = self.dut
        for port in (dut.issue__valid, dut.drain__valid, dut.config__valid):
            port.value = 0
        dut.rst.value = 1
        cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
        for _ in range(2):
            await RisingEdge(dut.clk)
        dut.rst.value = 0
        self.issue = StreamDriver(dut, "issue", issue_layout(self.machine), idle=self._idle())
        self.drain = StreamDriver(dut, "drain", drain_layout(self.machine), idle=self._idle())

    def _idle(self):
        while True:
            yield random.random() < self.stall

    async def configure(self):
        """Write both memories of the SFU through the configuration bus."""
        dut, golden = self.dut, self.cases.golden
        for unit, entries in ((Unit.PARAM, golden.params), (Unit.SILU, golden.silu)):
            for n, entry in enumerate(entries):
                dut.config__valid.value = 1
                dut.config__unit.value = int(unit)
                dut.config__address.value = n
                dut.config__data.value = int.from_bytes(entry.tobytes(), "little")
                await RisingEdge(dut.clk)
        dut.config__valid.value = 0

    async def run(self, some):
        """Issue instructions, wait until all are done, check what they did."""
        expected = self.cases.buffer.copy()
        self.words = self._rows(self.cases.buffer.copy())
        elements = released = 0
        for case in some:
            self.issue.send({"instruction": case.instruction, "slot": case.slot,
                             "base": case.base, "tokens": case.tokens})
            for values, marks in case.drain:
                self.drain.send({"data": values,
                                 "valid": sum(mark << n for n, mark in enumerate(marks))})
            before = expected.copy()
            elements += case.run(self.cases.golden, expected)
            released += case.fields["release"]
            self.scoreboard.expect((case.slot, self._changes(before, expected)))
        await self._watch(some)
        self.scoreboard.finish()
        assert (self.elements, self.released) == (elements, released)

    async def _watch(self, some):
        """Serve the buffer ports; report every completion with the words changed since."""
        dut, waiting = self.dut, deque(some)
        seen = self.words.copy()
        cycle = 0
        while waiting or self.flying:
            await ReadOnly()
            reads = [(port, self.words[int(addr.value) % len(self.words)].tobytes())
                     for en, addr, port in (
                         (dut.read_a__en, dut.read_a__addr, dut.read_a__data),
                         (dut.read_b__en, dut.read_b__addr, dut.read_b__data)) if en.value]
            if dut.write__en.value:
                self.words[int(dut.write__addr.value)] = np.frombuffer(
                    int(dut.write__data.value).to_bytes(self.words.shape[1], "little"), np.uint8)
            self.elements += int(dut.elements.value)
            self.released += int(dut.released.value)
            if dut.done__valid.value:
                start, case = self.flying.popleft()
                self._check_cycles(case, cycle - start)
                slot = int(dut.done__payload.value) & (1 << self._slot_bits()) - 1
                self.scoreboard.actual((slot, self._changes(seen, self.words)))
                seen = self.words.copy()
            if dut.issue__valid.value and dut.issue__ready.value:
                self.flying.append((cycle, waiting.popleft()))
            await RisingEdge(dut.clk)
            cycle += 1
            for port, word in reads:
                port.value = int.from_bytes(word, "little")
        dut._log.info("%d instructions in %d cycles", len(some), cycle)

    def _check_cycles(self, case, cycles):
        want = sfu_cycles(self.machine, case.fields["fn"], case.length(),
                          m_mode=case.fields["m_mode"], track=case.fields["track"])
        late = self.stall > 0 and case.drain
        assert cycles == want or (late and cycles > want), f"{cycles} cycles, not {want}: {case}"

    def _slot_bits(self):
        return (self.machine.core.slots - 1).bit_length()

    def _rows(self, buffer):
        return buffer.reshape(-1, 4 * self.machine.core.lanes)

    def _changes(self, before, after):
        before, after = self._rows(before), self._rows(after)
        return {int(n): after[n].tobytes().hex(" ", 4)
                for n in np.flatnonzero((before != after).any(axis=1))}


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def random_instructions(dut):
    """Each completion finds exactly the buffer that the golden model predicts, in time."""
    bench = Bench(dut)
    await bench.reset()
    await bench.configure()
    await bench.run([bench.cases.case() for _ in range(int(os.environ["CASES"]))])


@cocotb.test(timeout_time=20, timeout_unit="ms")
@cocotb.parametrize(make=[extremes, corners])
async def limits(dut, make):
    """Extremes of the operands of MAC; ties, sums that saturate, ends of the tables."""
    bench = Bench(dut)
    await bench.reset()
    some = list(make(bench.machine, bench.cases.golden, bench.cases.buffer))
    await bench.configure()
    await bench.run(some)
