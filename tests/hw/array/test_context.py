import random
from functools import cache

import pytest

from ouroboros.hw.array.context import ContextExecutor
from ouroboros.hw.array.result import ResultKind
from ouroboros.hw.params.isa import Op, assemble
from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.lib.pysim import PySim

TINY = load_machine("tiny")
OUTPUTS = TINY.cim.outputs
GROUPS = OUTPUTS // TINY.cim.active_rows
WORDS = OUTPUTS // (TINY.core.word_bits // 8)
HOLE = None


@cache
def simulated():
    return PySim(ContextExecutor(TINY))


async def run(ctx, dut, blocks, tokens, *, ready=1.0, order_ready=None, slot=1):
    """Loads, orders and results of a CONTEXT over ``blocks``: (macro, row block, valid) each."""
    rng = random.Random(len(blocks))
    loads, orders, results, due, taken, cycle = [], [], [], [], 0, 0
    ctx.set(dut.job, {"issue": {"instruction": assemble(Op.CONTEXT, src=9, head=0), "slot": 5,
                                "base": 200}, "bank": 1})
    ctx.set(dut.settings.head_dim, 8)
    ctx.set(dut.walk.blocks, len(blocks))
    ctx.set(dut.start, 1)
    while True:
        known = taken < len(blocks)
        block = blocks[taken] if known else HOLE
        ctx.set(dut.walk.valid, known and rng.random() < ready)
        ctx.set(dut.walk.place, {"ok": block is not HOLE})
        if block is not HOLE:
            ctx.set(dut.walk.place.v, {"macro": block[0], "block": block[1], "slot": slot})
            ctx.set(dut.walk.place.valid, block[2])
        ctx.set(dut.walk.taken, taken)
        ctx.set(dut.walk.count, min(OUTPUTS, tokens - taken * OUTPUTS) if known else 0)
        ctx.set(dut.loaded, cycle in due)
        ctx.set(dut.quiet, rng.random() < ready)
        for stream in (dut.load, dut.order, dut.result):
            chance = order_ready if order_ready and stream is dut.order else ready
            ctx.set(stream.ready, rng.random() < chance)
        for stream, log in ((dut.load, loads), (dut.order, orders), (dut.result, results)):
            if ctx.get(stream.valid) and ctx.get(stream.ready):
                log.append(ctx.get(stream.p))
                if stream is dut.load:
                    due.append(max([cycle, *due]) + 3)
                if stream is dut.order and log[-1].command.groups:
                    assert due[len(log) - 1] <= cycle, "commanded before it was loaded"
        taken += ctx.get(dut.walk.take)
        ended = ctx.get(dut.ended)
        assert not ended or ctx.get(dut.quiet)
        await ctx.tick()
        ctx.set(dut.start, 0)
        cycle += 1
        if ended:
            return loads, orders, results
        assert cycle < 2000, "the instruction is never over"


@pytest.mark.parametrize("ready", [1.0, 0.4])
def test_accumulates_in_the_macros_and_drains_those_used(ready):
    blocks = [(2, 0, 0xFFFF), HOLE, (3, 1, 0x00F0), (2, 1, 0xFFFF), (3, 0, 1), (2, 0, 1)]

    async def bench(ctx):
        for _ in range(2):      # nothing is left of the instruction before
            loads, orders, results = await run(ctx, simulated().dut, blocks, 6 * OUTPUTS - 3,
                                               ready=ready)
            there = [(n, block) for n, block in enumerate(blocks) if block]
            assert [load.addr for load in loads] == [209 + n * WORDS for n, _ in there]
            assert [load.length for load in loads] == [OUTPUTS] * 4 + [OUTPUTS - 3]
            assert [(load.macros, load.index, load.keep) for load in loads] == [
                (1 << macro, row * WORDS, valid) for _, (macro, row, valid) in there]
            assert [load.clear for load in loads] == [1, 0, 0, 0, 0]
            assert all(load.masked and load.bank for load in loads)
            *products, drain = [order.command for order in orders]
            assert [order.macros for order in orders] == [4, 8, 4, 8, 4, 0b1100]
            assert [command.first for command in products] == [1, 1, 0, 0, 0]
            assert [(command.first_group, command.operand_group, command.groups, command.last)
                    for command in products] == [
                        (row * GROUPS, row * GROUPS, GROUPS, 0) for _, (_, row, _) in there]
            assert (drain.groups, drain.first, drain.last, drain.bank) == (0, 0, 1, 1)
            assert {command.columns for command in (*products, drain)} == {(1 << OUTPUTS) - 1}
            (result,) = results
            assert (result.kind, result.macros, result.slot, result.bank) == (
                ResultKind.SUM, 0b1100, 5, 1)
            assert (result.beat, result.beats) == (2, 2)    # slot 1 of 8 elements, 4 a beat

    simulated().run(bench)


@pytest.mark.parametrize("order_ready", [1.0, 0.05])
def test_more_blocks_than_the_queue_holds(order_ready):
    async def bench(ctx):
        blocks = [(n % 4, n % 2, 0xFFFF) for n in range(20)]
        loads, orders, _ = await run(ctx, simulated().dut, blocks, 20 * OUTPUTS, ready=0.5,
                                     order_ready=order_ready)
        assert [order.macros for order in orders[:-1]] == [load.macros for load in loads]
        assert len(loads) == 20

    simulated().run(bench)


@pytest.mark.parametrize("blocks", [[], [HOLE, HOLE]])
def test_nothing_there_gives_the_sum_of_no_macro(blocks):
    async def bench(ctx):
        loads, (order,), (result,) = await run(ctx, simulated().dut, blocks,
                                               len(blocks) * OUTPUTS, ready=0.5)
        assert not loads and order.macros == 0 and result.macros == 0

    simulated().run(bench)
