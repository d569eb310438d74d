import random
from functools import cache
from types import SimpleNamespace

import pytest

from ouroboros.hw.array.readout import Readout
from ouroboros.hw.array.result import ResultKind
from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.lib.pysim import PySim

TINY = load_machine("tiny")
BEATS = TINY.cim.outputs // TINY.core.lanes
STEPS = [0b0011, 0b1100, 0b0101, 0b1111]
FRAMES = [(2, 0), (0, 1), (3, 0)]
"""(macro, none) of each."""


@cache
def simulated():
    return PySim(Readout(TINY))


class Bench:
    """A readout between a tree that takes a beat with probability ``ready`` and a frame queue."""

    def __init__(self, ctx, frames=(), *, more=0, ready=1.0, filled=1.0):
        self.ctx, self.dut, self.frames = ctx, simulated().dut, list(frames)
        self.ready, self.filled, self.rng = ready, filled, random.Random(3)
        self.more = more    # frames, the last one among them, that never come
        self.beats, self.taken = [], []     # (mask, beat, lanes); masks of macros freed

    async def give(self, kind, **fields):
        self.ctx.set(self.dut.result.p, {"kind": kind, **fields})
        self.ctx.set(self.dut.result.valid, 1)
        assert self.ctx.get(self.dut.result.ready)
        await self.step()
        self.ctx.set(self.dut.result.valid, 0)
        self.ctx.set(self.dut.result.p, {})
        assert self.ctx.get(self.dut.current)

    async def step(self, *, release=0, empty=0, aborted=0):
        """One cycle; frees, drops and what else was seen in it."""
        ctx, dut = self.ctx, self.dut
        macro, none = self.frames[0] if self.frames else (0, 0)
        there = bool(self.frames) and self.rng.random() < self.filled
        ctx.set(dut.frame.valid, bool(self.frames))
        last = len(self.frames) + self.more == 1
        ctx.set(dut.frame.p, {"macro": macro, "none": none, "last": last})
        ctx.set(dut.frame_full, there)
        ctx.set(dut.leaves, STEPS[ctx.get(dut.step) % len(STEPS)])
        for name, value in (("released", release), ("empty", empty), ("aborted", aborted)):
            ctx.set(getattr(dut, name), value)
        taken = ctx.get(dut.en) and self.rng.random() < self.ready
        ctx.set(dut.taken, taken)
        if taken:
            self.beats.append((ctx.get(dut.mask), ctx.get(dut.beat), ctx.get(dut.lanes)))
        if ctx.get(dut.take):
            self.taken.append(ctx.get(dut.take))
        if there and ctx.get(dut.frame.ready):
            self.frames.pop(0)
        seen = SimpleNamespace(**{name: ctx.get(getattr(dut, name)) for name in
                                  ("en", "flush", "dropping", "current")})
        await ctx.tick()
        return seen

    async def drain(self, count):
        for _ in range(400):
            if len(self.beats) == count:
                break
            assert (await self.step()).current
        assert len(self.beats) == count
        assert not (await self.step()).en
        await self.step()


def frame(mask, lanes=1):
    return [(mask, beat, lanes) for beat in range(BEATS)]


@pytest.mark.parametrize("ready", [1.0, 0.4])
def test_steps_of_the_table_then_all_macros_are_freed(ready):
    async def story(ctx):
        bench = Bench(ctx, ready=ready)
        await bench.give(ResultKind.STEPS, macros=0b1011, step=1, steps=3)
        await bench.drain(3 * BEATS)
        assert bench.beats == frame(0b1100) + frame(0b0101) + frame(0b1111)
        assert bench.taken == [0b1011]

    simulated().run(story)


def test_no_steps_free_at_once():
    async def story(ctx):
        bench = Bench(ctx)
        await bench.give(ResultKind.STEPS, macros=0b1011, step=1, steps=0)
        assert not (await bench.step()).en and bench.taken == [0b1011]

    simulated().run(story)


@pytest.mark.parametrize(("ready", "filled"), [(1.0, 1.0), (0.4, 0.4)])
def test_frames_free_macro_after_macro(ready, filled):
    async def story(ctx):
        bench = Bench(ctx, FRAMES, ready=ready, filled=filled)
        await bench.give(ResultKind.FRAMES)
        await bench.drain(3 * BEATS)
        assert bench.beats == frame(4, 0) + frame(0, 0) + frame(8, 0)
        assert bench.taken == [4, 8] and not bench.frames

    simulated().run(story)


@pytest.mark.parametrize("ready", [1.0, 0.4])
def test_a_sum_is_some_beats_of_all_macros(ready):
    async def story(ctx):
        bench = Bench(ctx, ready=ready)
        await bench.give(ResultKind.SUM, macros=0b0110, beat=1, beats=2, step=1, steps=9)
        await bench.drain(2)
        assert bench.beats == [(0b0110, 1, 1), (0b0110, 2, 1)] and bench.taken == [0b0110]

    simulated().run(story)


@pytest.mark.parametrize("kind", [ResultKind.STEPS, ResultKind.SUM])
@pytest.mark.parametrize("after", [0, 1, 20])
@pytest.mark.parametrize("flushing", [0, 3])
def test_released_it_ends_when_the_tree_is_empty(kind, after, flushing):
    async def story(ctx):
        bench = Bench(ctx)
        await bench.give(kind, macros=0b0110, steps=2, beats=4)
        for _ in range(after):
            await bench.step()
        await bench.step(release=1, empty=not flushing)
        for n in range(flushing):
            seen = await bench.step(empty=n == flushing - 1)
            assert seen.flush and seen.current and not seen.en
            assert not seen.dropping
        seen = await bench.step()
        assert not seen.current and not seen.flush and ctx.get(bench.dut.result.ready)
        assert bench.taken == [0b0110]

    simulated().run(story)


@pytest.mark.parametrize("after", [0, BEATS - 1, BEATS, 2 * BEATS, 3 * BEATS - 2])
def test_frames_still_to_come_are_dropped(after):
    async def story(ctx):
        bench = Bench(ctx, FRAMES)
        await bench.give(ResultKind.FRAMES)
        for _ in range(after):
            await bench.step()
        await bench.step(release=1, empty=1)
        while bench.frames:
            seen = await bench.step(empty=1)
            assert seen.dropping and seen.flush and seen.current and not seen.en
        assert (await bench.step(empty=1)).flush
        assert not (await bench.step()).current
        assert bench.taken == [4, 8]

    simulated().run(story)


def test_released_with_its_last_beat_nothing_is_left_to_drop():
    async def story(ctx):
        bench = Bench(ctx, FRAMES[:1])
        await bench.give(ResultKind.FRAMES)
        for _ in range(BEATS - 1):
            await bench.step()
        await bench.step(release=1, empty=1)
        seen = await bench.step()
        assert not seen.dropping and not seen.current and bench.taken == [4]

    simulated().run(story)


def test_dropping_ends_when_the_sender_gives_up():
    async def story(ctx):
        bench = Bench(ctx, FRAMES[:2], more=1)
        await bench.give(ResultKind.FRAMES)
        await bench.step(release=1)
        bench.filled = 0
        for _ in range(2):      # what was sent before is dropped first
            assert (await bench.step(aborted=1)).dropping
        bench.filled = 1
        await bench.step(aborted=1)
        await bench.step()
        assert not bench.frames
        assert (await bench.step()).dropping
        assert (await bench.step(aborted=1)).dropping
        seen = await bench.step(empty=1)
        assert not seen.dropping and seen.flush
        assert not (await bench.step()).current

    simulated().run(story)
