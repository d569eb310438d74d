"""The SFU against its golden model."""

import random
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest

from ouroboros.hw.params.isa import Fn
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import Unit
from ouroboros.hw.params.timing.sfu import sfu_cycles, sfu_occupancy
from ouroboros.hw.sfu.sfu import Sfu
from ouroboros.tb.lib.pysim import PySim
from ouroboros.tb.sfu.cases import SfuCases, corners, extremes

TINY = load_machine("tiny")
TINY = replace(TINY, core=replace(TINY.core, param_words=16))
WIDE = replace(TINY, core=replace(TINY.core, lanes=16))


@cache
def simulated(machine):
    return PySim(Sfu(machine))


class Rig:
    """The SFU with a buffer and an array around it, both in Python."""

    def __init__(self, machine, buffer):
        self.machine, self.buffer = machine, buffer.copy()
        self.sim = simulated(machine)
        self.dut = self.sim.dut
        self.rng = random.Random(5)

    def run(self, cases, golden, *, stall=0.0, overlap=False):
        """Run cases and give what happened to each: start, done cycle, elements, ..."""
        records = []
        async def drive(ctx):
            await self._configure(ctx, golden, any(c.fields["fn"] == Fn.SILU for c in cases))
            await self._drive(ctx, cases, records, stall, overlap)

        self.sim.run(drive)
        return records

    async def _configure(self, ctx, golden, silu):
        dut = self.dut
        for unit, entries in ((Unit.PARAM, golden.params), (Unit.SILU, golden.silu)):
            for n, entry in enumerate(entries if unit == Unit.PARAM or silu else ()):
                ctx.set(dut.config.valid, 1)
                ctx.set(dut.config.unit, unit)
                ctx.set(dut.config.address, n)
                ctx.set(dut.config.data, int.from_bytes(entry.tobytes(), "little"))
                await ctx.tick()
        ctx.set(dut.config.unit, Unit.STEP)  # another unit's entry changes nothing
        ctx.set(dut.config.data, 0x1234)
        await ctx.tick()
        ctx.set(dut.config.valid, 0)

    async def _drive(self, ctx, cases, records, stall, overlap):
        dut, words = self.dut, self.buffer.reshape(-1, 4 * self.machine.core.lanes)
        queue, drain, flying = list(cases), [], []
        offered = False
        cycle = 0
        while len(records) < len(cases):
            start = bool(queue) and (overlap or not flying)
            ctx.set(dut.issue.valid, start)
            if start:
                case = queue[0]
                ctx.set(dut.issue.p, {
                    "instruction": case.instruction, "slot": case.slot, "base": case.base,
                    "tokens": case.tokens})
            offered = bool(drain) and (offered or self.rng.random() >= stall)
            ctx.set(dut.drain.valid, offered)
            if offered:
                values, marks = drain[0]
                ctx.set(dut.drain.p, {"data": values,
                                      "valid": sum(mark << n for n, mark in enumerate(marks))})
            if start and ctx.get(dut.issue.ready):
                record = SimpleNamespace(case=queue.pop(0), start=cycle, elements=0, released=0,
                                         writes=[])
                flying.append(record)
                drain += record.case.drain
            if offered and ctx.get(dut.drain.ready):
                drain.pop(0)
                offered = False
            reads = [(port, ctx.get(port.addr)) for port in (dut.read_a, dut.read_b)
                     if ctx.get(port.en)]
            assert not (flying and flying[0].start < cycle) or ctx.get(dut.busy)
            if flying:
                # Fetching ends before the next instruction is taken.
                flying[-1].elements += ctx.get(dut.elements)
                flying[-1].released += ctx.get(dut.release)
            else:
                assert not ctx.get(dut.elements) and not ctx.get(dut.release)
                assert not ctx.get(dut.busy) or records[-1].done == cycle
            if ctx.get(dut.write.en):
                assert ctx.get(dut.write.mask) == (1 << self.machine.flits_per_word) - 1
                address = ctx.get(dut.write.addr)
                flying[0].writes.append((cycle, address))
            else:
                address = None
            read_words = [(port, int.from_bytes(words[at % len(words)].tobytes(), "little"))
                          for port, at in reads]
            if address is not None:
                words[address] = np.frombuffer(
                    ctx.get(dut.write.data).to_bytes(words.shape[1], "little"), np.uint8)
            if ctx.get(dut.done.valid):
                record = flying.pop(0)
                assert ctx.get(dut.done.p.slot) == record.case.slot
                assert not ctx.get(dut.done.p.poison)
                record.done, record.buffer = cycle, self.buffer.copy()
                records.append(record)
            await ctx.tick()
            cycle += 1
            assert cycle < 100_000
            for port, data in read_words:
                ctx.set(port.data, data)


def check(cases, machine, golden, before, *, stall=0.0, overlap=False):
    """Run on both models, compare buffer, events and cycles."""
    records = Rig(machine, before).run(cases, golden, stall=stall, overlap=overlap)
    expected, total = before.copy(), 0
    assert len(records) == len(cases)
    for n, record in enumerate(records):
        fields, case = record.case.fields, record.case
        elements = case.run(golden, expected)
        total += elements
        wrong = np.flatnonzero(record.buffer != expected)
        assert not wrong.size, (n, case, wrong, record.buffer[wrong], expected[wrong])
        if not overlap:
            assert record.elements == elements, (n, case)
            assert record.released == fields["release"], (n, case)
        timing = {"m_mode": fields["m_mode"], "track": fields["track"]}
        cycles = sfu_cycles(machine, fields["fn"], case.length(), **timing)
        if not stall:
            assert record.done - record.start == cycles, (n, case)
        assert record.done - record.start >= cycles, (n, case)
        if overlap and n + 1 < len(records):
            gap = sfu_occupancy(machine, fields["fn"], case.length(), **timing)
            start = records[n + 1].start - record.start
            assert start == gap or (stall and start >= gap), (n, case)
    assert sum(record.elements for record in records) == total
    assert sum(record.released for record in records) == sum(
        record.case.fields["release"] for record in records)
    return records


@pytest.mark.parametrize("fn", list(Fn))
def test_random(fn):
    cases = SfuCases(TINY, seed=int(fn))
    check([cases.case(fn) for _ in range(50)], TINY, cases.golden, cases.buffer)


def test_random_with_16_lanes():
    cases = SfuCases(WIDE, seed=100)
    check([cases.case() for _ in range(40)], WIDE, cases.golden, cases.buffer)


@pytest.mark.parametrize("overlap", [False, True])
def test_stalled_drain_stream(overlap):
    cases = SfuCases(TINY, seed=7)
    some = [cases.case(keep=lambda case: case.drain) for _ in range(40)]
    check(some, TINY, cases.golden, cases.buffer, stall=0.5, overlap=overlap)


def test_overlapping_instructions():
    cases = SfuCases(TINY, seed=9)
    check([cases.case() for _ in range(60)], TINY, cases.golden, cases.buffer, overlap=True)


def test_shortest_instructions_overlap():
    """The write port and ``done`` are used at their densest."""
    cases = SfuCases(TINY, seed=11)
    short = [cases.case(keep=lambda case: case.length() <= TINY.core.lanes) for _ in range(80)]
    check(short, TINY, cases.golden, cases.buffer, overlap=True)


@pytest.mark.parametrize("make", [extremes, corners])
def test_limits(make):
    cases = SfuCases(TINY, seed=0)
    some = list(make(TINY, cases.golden, cases.buffer))
    check(some, TINY, cases.golden, cases.buffer, overlap=True)
