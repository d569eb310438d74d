import itertools
from functools import cache

import pytest

from ouroboros.hw.array.multiply import MultiplyExecutor
from ouroboros.hw.array.result import ResultKind
from ouroboros.hw.params.isa import Op, assemble
from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.lib.pysim import PySim

TINY = load_machine("tiny")


@cache
def simulated():
    return PySim(MultiplyExecutor(TINY))


async def give(ctx, dut, **fields):
    ctx.set(dut.job.valid, 1)
    ctx.set(dut.loaded, 1)
    ctx.set(dut.job.p, {"issue": {"instruction": assemble(Op.MVM, **fields), "slot": 3}, "bank": 1})
    ctx.set(dut.order.ready, 1)
    *_, ready, ordered, order = await ctx.tick().sample(
        dut.job.ready, dut.order.valid, dut.order.p)
    ctx.set(dut.job.p, {"issue": {"instruction": 0, "slot": 0}, "bank": 0})
    ctx.set(dut.job.valid, 0)
    ctx.set(dut.loaded, 0)      # the loader has another job
    assert ready and ordered
    return order


@pytest.mark.parametrize("first", [0, 1, TINY.cim.groups - 1])
def test_orders_all_groups_from_the_first_at_once(first):
    async def bench(ctx):
        dut = simulated().dut
        order = await give(ctx, dut, macros=0b0110, first_group=first, steps=1)
        command = order.command
        assert order.macros == 0b0110
        assert (command.first_group, command.operand_group, command.groups) == (
            first, 0, TINY.cim.groups - first)
        assert (command.bank, command.first, command.last) == (1, 1, 1)
        assert command.columns == (1 << TINY.cim.outputs) - 1
        await ctx.tick()
        assert not ctx.get(dut.order.valid)

    simulated().run(bench)


@pytest.mark.parametrize("rows", [(0, 0, 1, 1, 2, 3), (2, 2, 2, 3, 3, 3), (0, 0, 0, 0, 0, 0)])
def test_orders_what_has_been_loaded(rows):
    """Rows are there cycle by cycle; the last operand comes in the cycle after."""
    per_word = TINY.core.word_bits // 8 // TINY.cim.active_rows

    async def bench(ctx):
        dut = simulated().dut
        ctx.set(dut.job.p, {"issue": {"instruction": assemble(
            Op.MVM, macros=0b0110, first_group=1, steps=1), "slot": 3}, "bank": 1})
        ctx.set(dut.job.valid, 1)
        ctx.set(dut.result.ready, 1)
        ctx.set(dut.order.ready, 1)
        given = 0
        for cycle, there in enumerate((*rows, rows[-1] + 1, 0, 0)):
            ctx.set(dut.rows, there)
            ctx.set(dut.loaded, cycle == len(rows))
            *_, busy, ordered, order = await ctx.tick().sample(
                dut.busy, dut.order.valid, dut.order.p)
            ctx.set(dut.job.valid, 0)
            ctx.set(dut.job.p, {"issue": {"instruction": 0, "slot": 0}, "bank": 0})
            last, command = cycle == len(rows), order.command
            assert ordered == (last or (cycle < len(rows) and there * per_word > given))
            assert busy == (0 < cycle <= len(rows) + 1)
            if not ordered:
                continue
            end = TINY.cim.groups - 1 if last else there * per_word
            assert (order.macros, command.bank) == (0b0110, 1)
            assert (command.operand_group, command.first_group, command.groups) == (
                given, 1 + given, end - given)
            assert (command.first, command.last) == (given == 0, last)
            given = end

    simulated().run(bench)


@pytest.mark.parametrize(("result_after", "order_after"),
                         [*itertools.product([0, 1, 4], repeat=2)])
def test_busy_until_result_and_order_have_gone(result_after, order_after):
    async def bench(ctx):
        dut = simulated().dut
        for _ in range(2):
            await give(ctx, dut, macros=0b1001, step=5, steps=2)
            for cycle in range(max(result_after, order_after) + 1):
                ctx.set(dut.result.ready, cycle == result_after)
                ctx.set(dut.order.ready, cycle >= order_after)
                ctx.set(dut.job.valid, 1)
                *_, busy, ready, valid, result = await ctx.tick().sample(
                    dut.busy, dut.job.ready, dut.result.valid, dut.result.p)
                assert busy and not ready
                assert valid == (cycle <= result_after)
                if valid:
                    assert (result.kind, result.slot, result.bank) == (ResultKind.STEPS, 3, 1)
                    assert (result.macros, result.step, result.steps) == (0b1001, 5, 2)
            ctx.set(dut.job.valid, 0)
            assert not ctx.get(dut.busy)

    simulated().run(bench)
