from functools import cache
from types import SimpleNamespace

import pytest

from ouroboros.hw.kv.append import TokenAppender
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.timing.array import KV_ALLOCATE_CYCLES, KV_APPEND_CYCLES
from ouroboros.tb.lib.pysim import PySim


@cache
def simulated():
    return PySim(TokenAppender(load_machine("tiny")))


async def append(ctx, dut, *, legal=1, block=2, hit=0, before=0, found_after=None, found=1):
    """What came out, and in which cycle; a search ends ``found_after`` cycles after it began."""
    seen = SimpleNamespace(written=None, follows=None, asks=[], ok=None, cycle=None)
    searched = None
    for name, value in (("legal", legal), ("block", block), ("token", 5), ("tokens", 0x8001),
                        ("hit", hit), ("exact", hit)):
        ctx.set(getattr(dut, name), value)
    for cycle in range(50):
        ctx.set(dut.start, cycle == 0)
        ends = searched is not None and cycle == searched + found_after
        ctx.set(dut.found, ends and found)
        ctx.set(dut.full, ends and not found)
        for name in ("find_kin", "read", "search"):
            if ctx.get(getattr(dut, name)):
                seen.asks.append((name, cycle))
        if ctx.get(dut.search):
            searched = cycle
        if searched is not None and cycle == searched + 1:
            seen.follows = ctx.get(dut.follows)
        if ctx.get(dut.write_tokens):
            seen.written = ctx.get(dut.new_tokens)
        ended, seen.ok, seen.cycle = ctx.get(dut.ended), ctx.get(dut.ok), cycle
        finding = ctx.get(dut.find_kin)
        await ctx.tick()
        if finding:
            ctx.set(dut.hit, 1)
            ctx.set(dut.exact, before)
        if ended:
            return seen
    raise AssertionError("the append is never over")


def test_a_token_joins_those_of_its_block():
    async def bench(ctx):
        seen = await append(ctx, simulated().dut, hit=1)
        assert (seen.ok, seen.written) == (1, 0x8001 | 1 << 5)
        assert seen.cycle == KV_APPEND_CYCLES - 1 and seen.asks == [("read", 1)]

    simulated().run(bench)


@pytest.mark.parametrize(("block", "before", "follows"), [(2, 1, 1), (2, 0, 0), (0, 1, 0)])
def test_a_new_block_has_one_token(block, before, follows):
    async def bench(ctx):
        seen = await append(ctx, simulated().dut, block=block, before=before, found_after=2)
        assert (seen.ok, seen.written) == (1, 1 << 5)
        assert seen.cycle == KV_APPEND_CYCLES - 1 + KV_ALLOCATE_CYCLES
        assert seen.follows == follows
        assert seen.asks == [("find_kin", 1), ("read", 2), ("search", 2)]

    simulated().run(bench)


def test_without_room_nothing_is_written():
    async def bench(ctx):
        seen = await append(ctx, simulated().dut, found_after=1, found=0)
        assert (seen.ok, seen.written, seen.cycle) == (0, None, 3)

    simulated().run(bench)


def test_what_is_not_legal_ends_at_once():
    async def bench(ctx):
        seen = await append(ctx, simulated().dut, legal=0, hit=1)
        assert (seen.ok, seen.written, seen.cycle, seen.asks) == (0, None, 1, [])

    simulated().run(bench)
