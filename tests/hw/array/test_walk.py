import random
from functools import cache

import pytest

from ouroboros.hw.array.walk import BlockWalk
from ouroboros.hw.kv.layout import KvOp
from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.lib.pysim import PySim

TINY = load_machine("tiny")
BLOCK = TINY.block_tokens


@cache
def simulated():
    return PySim(BlockWalk(TINY))


async def begin(ctx, dut, tokens):
    ctx.set(dut.start, 1)
    ctx.set(dut.tokens, tokens)
    await ctx.tick()
    ctx.set(dut.start, 0)
    ctx.set(dut.tokens, 999)
    ctx.set(dut.sequence, 3)
    ctx.set(dut.head, 1)


@pytest.mark.parametrize("user", [0, 1])
@pytest.mark.parametrize("tokens", [0, 1, BLOCK, BLOCK + 1, 5 * BLOCK - 1])
def test_asks_ahead_and_gives_blocks_in_order(user, tokens):
    rng = random.Random(tokens)
    blocks = -(-tokens // BLOCK)

    async def bench(ctx):
        dut = simulated().dut
        walk, other = dut.walks[user], dut.walks[1 - user]
        for _ in range(2):      # a walk forgets the one before it
            await begin(ctx, dut, tokens)
            asked, counts = [], []
            for _ in range(12 * (blocks + 1)):
                ctx.set(walk.ask, rng.random() < 0.7)
                ctx.set(dut.query.ready, rng.random() < 0.7)
                known = len(asked) > len(counts) and rng.random() < 0.7
                ctx.set(dut.answer.valid, known)
                ctx.set(dut.answer.p.k.block, len(counts))
                ctx.set(walk.take, known and rng.random() < 0.7)
                assert ctx.get(walk.blocks) == blocks
                assert ctx.get(walk.taken) == len(counts)
                assert ctx.get(walk.under_way) == (len(asked) != len(counts))
                assert ctx.get(walk.valid) == ctx.get(other.valid) == known
                assert ctx.get(walk.place.k.block) == len(counts)
                assert ctx.get(dut.answer.ready) == ctx.get(walk.take)
                assert ctx.get(walk.ask) or not ctx.get(dut.query.valid)
                if ctx.get(walk.take):
                    counts.append(ctx.get(walk.count))
                if ctx.get(dut.query.valid) and ctx.get(dut.query.ready):
                    query = ctx.get(dut.query.p)
                    assert (query.op, query.sequence, query.head) == (KvOp.LOOKUP, 3, 1)
                    asked.append(query.block)
                await ctx.tick()
            assert asked == list(range(blocks))
            assert counts == [min(BLOCK, tokens - n * BLOCK) for n in range(blocks)]

    simulated().run(bench)


def test_one_block_a_cycle():
    async def bench(ctx):
        dut = simulated().dut
        await begin(ctx, dut, 4 * BLOCK)
        for signal in (dut.walks[0].ask, dut.walks[0].take, dut.query.ready, dut.answer.valid):
            ctx.set(signal, 1)
        await ctx.tick().repeat(4)
        assert ctx.get(dut.walks[0].taken) == 4
        assert not ctx.get(dut.query.valid)

    simulated().run(bench)
