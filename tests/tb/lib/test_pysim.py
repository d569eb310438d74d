import pytest
from amaranth import Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from ouroboros.tb.lib.pysim import PySim


class Sum(wiring.Component):
    """A register that adds its input, and a memory that keeps every sum."""

    built = 0

    def __init__(self):
        super().__init__({"i": In(8), "o": Out(8), "at": In(2), "kept": Out(8)})

    def elaborate(self, platform):
        type(self).built += 1
        m = Module()
        m.submodules.kept = kept = memory.Memory(shape=8, depth=4, init=[9])
        write, read = kept.write_port(), kept.read_port(domain="comb")
        count = Signal(2)
        m.d.sync += [self.o.eq(self.o + self.i), count.eq(count + 1)]
        m.d.comb += [write.en.eq(1), write.addr.eq(count), write.data.eq(self.o + self.i),
                     read.addr.eq(self.at), self.kept.eq(read.data)]
        return m


async def story(ctx, dut):
    """What it shows from reset on."""
    assert (ctx.get(dut.i), ctx.get(dut.o), ctx.get(dut.kept)) == (0, 0, 9)
    ctx.set(dut.i, 3)
    seen = []
    for _ in range(3):
        await ctx.tick()
        seen.append((ctx.get(dut.o), ctx.get(dut.kept)))
    ctx.set(dut.at, 2)
    assert seen == [(3, 3), (6, 3), (9, 3)] and ctx.get(dut.kept) == 9


def test_every_bench_starts_from_reset():
    sim = PySim(Sum())
    built, ends = Sum.built, []

    async def bench(ctx):
        await story(ctx, sim.dut)
        ends.append(sim)

    for _ in range(3):
        sim.run(bench)
    assert len(ends) == 3 and Sum.built == built


@pytest.mark.parametrize("ticks", range(3))
def test_a_bench_that_fails_harms_no_other(ticks):
    sim = PySim(Sum())
    ends = []

    async def fail(ctx):
        ctx.set(sim.dut.i, 5)
        for _ in range(ticks):
            await ctx.tick()
        raise AssertionError("as it must")

    async def forever(ctx):
        async for _ in ctx.tick():
            pass

    async def bench(ctx):
        await story(ctx, sim.dut)
        ends.append(sim)

    for background in ((), (forever,)):
        with pytest.raises(AssertionError, match=r"^as it must$"):
            sim.run(fail, *background)
        sim.run(bench)
    assert len(ends) == 2


def test_background_runs_beside_the_bench_and_ends_with_it():
    sim = PySim(Sum())
    ticks, sums = [], []

    async def feed(ctx):
        for n in range(100):
            ctx.set(sim.dut.i, n)
            ticks.append(n)
            await ctx.tick()

    async def watch(ctx):
        for _ in range(4):
            await ctx.tick()
            sums.append(ctx.get(sim.dut.o))

    sim.run(watch, feed)
    assert (ticks, sums) == ([0, 1, 2, 3, 4], [0, 1, 3, 6])
    sim.run(watch)
    assert (ticks, sums[4:]) == ([0, 1, 2, 3, 4], [0, 0, 0, 0])


def test_a_failure_of_the_background_is_seen():
    sim = PySim(Sum())

    async def fail(ctx):
        await ctx.tick()
        raise AssertionError("as it must")

    async def wait(ctx):
        for _ in range(5):
            await ctx.tick()

    with pytest.raises(AssertionError, match=r"^as it must$"):
        sim.run(wait, fail)
