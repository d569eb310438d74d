from functools import cache

from ouroboros.hw.array.command import CommandHolder
from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.lib.pysim import PySim

TINY = load_machine("tiny")
ALL = 0b1111


@cache
def simulated():
    return PySim(CommandHolder(TINY))


async def step(ctx, dut, *, macros=None, columns=0, ready=ALL):
    """One cycle: what is offered to whom, whether the order given was taken, and ``quiet``."""
    ctx.set(dut.order.valid, macros is not None)
    if macros is not None:
        ctx.set(dut.order.p.macros, macros)
        ctx.set(dut.order.p.command.columns, columns)
    ctx.set(dut.ready, ready)
    *_, pending, command, taken, quiet = await ctx.tick().sample(
        dut.pending, dut.command, dut.order.ready, dut.quiet)
    return pending, command.columns if pending else None, taken, quiet


def test_each_macro_takes_the_command_once():
    async def bench(ctx):
        dut = simulated().dut
        assert await step(ctx, dut, macros=0b1011, columns=5) == (0, None, 1, 1)
        assert await step(ctx, dut, macros=0b0100, columns=6, ready=0b0010) == (0b1011, 5, 0, 0)
        assert await step(ctx, dut, macros=0b0100, columns=6, ready=0b0111) == (0b1001, 5, 0, 0)
        assert await step(ctx, dut, macros=0b0100, columns=6, ready=0b1000) == (0b1000, 5, 1, 0)
        assert await step(ctx, dut) == (0b0100, 6, 1, 0)
        assert await step(ctx, dut, ready=0b0111) == (0, None, 1, 0)
        assert await step(ctx, dut) == (0, None, 1, 1)

    simulated().run(bench)


def test_ready_macros_take_one_command_a_cycle():
    async def bench(ctx):
        dut = simulated().dut
        await step(ctx, dut, macros=ALL, columns=0)
        for n in range(1, 6):
            macros = ALL if n != 3 else 0       # an order for nobody is over at once
            pending, columns, taken, _ = await step(ctx, dut, macros=macros, columns=n)
            assert (pending, columns, taken) == ((ALL, n - 1, 1) if n != 4 else (0, None, 1))

    simulated().run(bench)
