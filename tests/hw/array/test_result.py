from functools import cache

import pytest

from ouroboros.hw.array.result import ResultHolder, ResultKind
from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.lib.pysim import PySim


@cache
def simulated():
    return PySim(ResultHolder(load_machine("tiny")))


def result(kind, *, macros=0b0110, slot=0, empty=0):
    return {"kind": kind, "macros": macros, "slot": slot, "empty": empty}


async def give(ctx, dut, value):
    ctx.set(dut.i.p, value)
    ctx.set(dut.i.valid, 1)
    await ctx.tick()
    ctx.set(dut.i.valid, 0)
    assert ctx.get(dut.waiting)


@pytest.mark.parametrize(("kind", "full", "frame_full", "empty", "complete"), [
    (ResultKind.STEPS, 0b0110, 0, 0, 1), (ResultKind.STEPS, 0b1111, 0, 0, 1),
    (ResultKind.STEPS, 0b1011, 1, 1, 0), (ResultKind.SUM, 0b0110, 0, 0, 1),
    (ResultKind.SUM, 0b0100, 1, 1, 0), (ResultKind.FRAMES, 0b1111, 0, 0, 0),
    (ResultKind.FRAMES, 0, 1, 0, 1), (ResultKind.FRAMES, 0, 0, 1, 1)])
def test_complete(kind, full, frame_full, empty, complete):
    async def bench(ctx):
        dut = simulated().dut
        ctx.set(dut.full, full)
        ctx.set(dut.frame_full, frame_full)
        assert not ctx.get(dut.o.valid) and not ctx.get(dut.waiting)
        await give(ctx, dut, result(kind, slot=5, empty=empty))
        assert (ctx.get(dut.o.valid), ctx.get(dut.o.p.slot)) == (complete, 5)

    simulated().run(bench)


def test_the_next_one_comes_in_when_this_one_leaves():
    async def bench(ctx):
        dut = simulated().dut
        assert ctx.get(dut.i.ready)
        await give(ctx, dut, result(ResultKind.STEPS, slot=1))
        ctx.set(dut.i.p, result(ResultKind.STEPS, slot=2))
        ctx.set(dut.i.valid, 1)
        ctx.set(dut.o.ready, 1)
        for _ in range(3):      # not complete
            *_, ready, valid = await ctx.tick().sample(dut.i.ready, dut.o.valid)
            assert not ready and not valid
        ctx.set(dut.full, 0b0110)
        ctx.set(dut.o.ready, 0)
        *_, ready, valid = await ctx.tick().sample(dut.i.ready, dut.o.valid)
        assert valid and not ready
        ctx.set(dut.o.ready, 1)
        *_, ready, slot = await ctx.tick().sample(dut.i.ready, dut.o.p.slot)
        assert ready and slot == 1
        ctx.set(dut.i.valid, 0)
        *_, valid, slot = await ctx.tick().sample(dut.o.valid, dut.o.p.slot)
        assert valid and slot == 2
        assert not ctx.get(dut.waiting) and ctx.get(dut.i.ready)

    simulated().run(bench)
