from functools import cache
from types import SimpleNamespace

import pytest

from ouroboros.hw.kv.append import TokenAppender
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.timing.array import KV_ALLOCATE_CYCLES, KV_APPEND_CYCLES
from ouroboros.tb.lib.pysim import PySim

OLD, NEW = {"macro": 1, "block": 2}, {"macro": 3, "block": 1}


@cache
def simulated():
    return PySim(TokenAppender(load_machine("tiny")))


async def append(ctx, dut, *, legal=1, block=2, page=0, before=0, found_after=None, found=1):
    """What came out, and in which cycle; a search ends ``found_after`` cycles after it began."""
    seen = SimpleNamespace(written=None, followed=None, reads=[])
    searched = None
    for name, value in (("legal", legal), ("block", block), ("token", 5), ("tokens", 0x8001),
                        ("new_k", NEW), ("page", {"valid": page, "k": OLD, "v": {}})):
        ctx.set(getattr(dut, name), value)
    for cycle in range(50):
        ctx.set(dut.start, cycle == 0)
        ends = searched is not None and cycle == searched + found_after
        ctx.set(dut.found, ends and found)
        ctx.set(dut.full, ends and not found)
        for name in ("read_before", "read_tokens"):
            if ctx.get(getattr(dut, name)):
                seen.reads.append((name, cycle))
        if ctx.get(dut.search):
            searched, seen.followed = cycle, ctx.get(dut.follows)
        if ctx.get(dut.write_tokens):
            seen.written = ctx.get(dut.new_tokens)
        ended, seen.ok, k = ctx.get(dut.ended), ctx.get(dut.ok), ctx.get(dut.k)
        seen.at, seen.cycle = {"macro": k.macro, "block": k.block}, cycle
        reading = ctx.get(dut.read_before)
        await ctx.tick()
        if reading:
            ctx.set(dut.page.valid, before)
        if ended:
            return seen
    raise AssertionError("the append is never over")


def test_a_token_joins_those_of_its_block():
    async def bench(ctx):
        seen = await append(ctx, simulated().dut, page=1)
        assert (seen.ok, seen.written, seen.at) == (1, 0x8001 | 1 << 5, OLD)
        assert seen.cycle == KV_APPEND_CYCLES - 1 and seen.reads == [("read_tokens", 1)]
        assert seen.followed is None

    simulated().run(bench)


@pytest.mark.parametrize(("block", "before", "follows"), [(2, 1, 1), (2, 0, 0), (0, 1, 0)])
def test_a_new_block_has_one_token(block, before, follows):
    async def bench(ctx):
        seen = await append(ctx, simulated().dut, block=block, before=before, found_after=2)
        assert (seen.ok, seen.written, seen.at) == (1, 1 << 5, NEW)
        assert seen.cycle == KV_APPEND_CYCLES - 1 + KV_ALLOCATE_CYCLES
        assert seen.followed == follows and seen.reads == [("read_before", 1)]

    simulated().run(bench)


@pytest.mark.parametrize("found_after", [1, 7])
def test_without_room_nothing_is_written(found_after):
    async def bench(ctx):
        seen = await append(ctx, simulated().dut, found_after=found_after, found=0)
        assert (seen.ok, seen.written, seen.cycle) == (0, None, 2 + found_after)

    simulated().run(bench)


def test_what_is_not_legal_ends_at_once():
    async def bench(ctx):
        seen = await append(ctx, simulated().dut, legal=0, page=1)
        assert (seen.ok, seen.written, seen.cycle) == (0, None, 1)
        assert not seen.reads and seen.followed is None

    simulated().run(bench)
