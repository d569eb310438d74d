import random
from collections import deque

import numpy as np
import pytest
from amaranth.sim import Simulator

from hw.core.array import ArrayUnit
from hw.params.isa import Op, assemble
from hw.params.machine import load_machine
from hw.params.packet import KV_CONFIG, Unit
from sw.golden.core.array import ArrayGolden, Issue
from sw.golden.kv.manager import KvSettings

TINY = load_machine("tiny")
SETTINGS = KvSettings(k_macros=0b0011, v_macros=0b1100, k_groups=1, k_blocks=8, v_slots=2,
                      head_dim=8, heads=2)


class Bench:
    """An array unit with its buffer, configured like its golden model."""

    def __init__(self, settings=SETTINGS, *, seed=1):
        self.rng = np.random.default_rng(seed)
        self.golden = ArrayGolden(TINY, settings)
        self.dut = ArrayUnit(TINY)
        self.golden.buffer[:] = self.rng.integers(-128, 128, self.golden.buffer.shape)
        self.done = deque()
        self.cycle = 0

    def run(self, story):
        async def testbench(ctx):
            await self.configure(ctx)
            await story(self, ctx)

        sim = Simulator(self.dut)
        sim.add_clock(1e-9)
        sim.add_testbench(testbench)
        sim.add_testbench(self._buffer, background=True)
        sim.run()

    async def _buffer(self, ctx):
        read = self.dut.read
        async for *_, en, addr in ctx.tick().sample(read.en, read.addr):
            if en:
                word = self.golden.buffer[addr % TINY.core.buffer_words]
                ctx.set(read.data, int.from_bytes(word.tobytes(), "little"))

    async def configure(self, ctx):
        if self.golden.settings:
            await self.write(ctx, Unit.KV, 0, KV_CONFIG.pack(self.golden.settings.fields()))

    async def write(self, ctx, unit, address, value):
        config = self.dut.config
        ctx.set(config.unit, unit)
        ctx.set(config.address, address)
        ctx.set(config.data, value)
        ctx.set(config.valid, 1)
        await ctx.tick()
        ctx.set(config.valid, 0)

    async def weights(self, ctx, macros=range(TINY.core.macros), rows=range(TINY.cim.rows)):
        for macro in macros:
            for row in rows:
                values = self.rng.integers(-128, 128, TINY.cim.outputs)
                self.golden.weights[macro, row] = values
                await self.write(ctx, Unit.WEIGHT + macro, row,
                                 int.from_bytes(values.astype(np.int8).tobytes(), "little"))

    async def steps(self, ctx, masks):
        for index, mask in enumerate(masks):
            self.golden.steps[index] = mask
            await self.write(ctx, Unit.STEP, index, mask)

    async def issue(self, ctx, op, fields=None, **token):
        """Issue an instruction; its outcome and how long it took until ``done``."""
        issue = Issue(instruction=assemble(op, **fields or {}), **token)
        ctx.set(self.dut.issue.p, issue.fields())
        ctx.set(self.dut.issue.valid, 1)
        await ctx.tick().until(self.dut.issue.ready)
        ctx.set(self.dut.issue.valid, 0)
        outcome = self.golden.run(issue)
        cycles = 1
        while True:
            *_, valid, p = await ctx.tick().sample(self.dut.done.valid, self.dut.done.p)
            if valid:
                break
            cycles += 1
            assert cycles < 2000, f"{op!r} is never done"
        assert (p.slot, p.poison) == (issue.slot, outcome.poison)
        return outcome, cycles

    async def drain(self, ctx, beats, *, count=None, ready=1.0):
        """Take beats, compare them, release."""
        rng = random.Random(len(beats))
        drain, wanted = self.dut.drain, list(beats)[:count]
        got, waited = [], 0
        while len(got) < len(wanted):
            ctx.set(drain.ready, rng.random() < ready)
            *_, valid, taken, p = await ctx.tick().sample(drain.valid, drain.ready, drain.p)
            if valid and taken:
                got.append((tuple(p.data[n] for n in range(TINY.core.lanes)), p.valid))
            waited += 1
            assert waited < 4000, f"only {len(got)} of {len(wanted)} beats came"
        assert got == wanted
        ctx.set(drain.ready, 0)
        ctx.set(self.dut.release, 1)
        *_, extra = await ctx.tick().sample(drain.valid)
        ctx.set(self.dut.release, 0)
        assert not extra or count is not None or ready < 1


def test_mvm_adds_macros_and_concatenates_steps():
    async def story(bench, ctx):
        await bench.weights(ctx)
        await bench.steps(ctx, [0b0011, 0b1100, 0b0100])
        for first in (0, 3):
            await bench.issue(ctx, Op.LOAD, {"src": 3, "length": 37, "macros": 0b0101}, base=20)
            await bench.issue(ctx, Op.LOAD, {"src": 9, "length": 16, "offset": 1,
                                             "macros": 0b1010}, base=20)
            outcome, _ = await bench.issue(ctx, Op.MVM, {"macros": 0b1111, "steps": 3,
                                                         "first_group": first})
            assert len(outcome.beats) == 12
            await bench.drain(ctx, outcome.beats)

    Bench().run(story)


def test_kv_of_two_sequences_scores_and_contexts():
    async def story(bench, ctx):
        for position in range(20):
            for sequence in (0, 1):
                token = dict(sequence=sequence, position=position, tokens=position + 1,
                             base=position)
                outcome, _ = await bench.issue(ctx, Op.APPEND, {"k": 1, "v": 30, "head": 1},
                                               **token)
                assert not outcome.poison
                if position % 6 == 1:
                    outcome, _ = await bench.issue(ctx, Op.SCORE, {"src": 60, "head": 1}, **token)
                    await bench.drain(ctx, outcome.beats)
                    outcome, _ = await bench.issue(ctx, Op.CONTEXT, {"src": 99, "head": 1}, **token)
                    await bench.drain(ctx, outcome.beats)

    Bench().run(story)
