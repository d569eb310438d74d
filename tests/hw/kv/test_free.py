from dataclasses import replace
from functools import cache

import pytest

from ouroboros.hw.kv.free import SequenceFreer
from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.lib.pysim import PySim

TINY = load_machine("tiny")
BLOCKS = TINY.kv.blocks


@cache
def simulated(heads):
    return PySim(SequenceFreer(replace(TINY, kv=replace(TINY.kv, heads=heads))))


@pytest.mark.parametrize(("heads", "slots", "pages"), [
    (2, {}, {}),
    (2, {0}, {(0, 0)}),
    (2, {1}, {(1, BLOCKS - 1)}),
    (2, {0, 1}, {(0, 0), (0, 2), (1, 0), (1, 1), (1, 2), (1, 3)}),
    (4, {0, 2}, {}),
    (1, {0}, {(0, 1)}),
])
def test_gives_back_what_is_there_and_ends(heads, slots, pages):
    async def bench(ctx):
        dut = simulated(heads).dut
        for _ in range(2):
            freed, cleared, selected, has_slot, has_page = set(), set(), None, 0, 0
            for cycle in range(100):
                ctx.set(dut.start, cycle == 0)
                ctx.set(dut.has_slot, has_slot)
                ctx.set(dut.has_page, has_page)
                assert ctx.get(dut.active) == (cycle > 0)
                key = ctx.get(dut.head), ctx.get(dut.block)
                if ctx.get(dut.read_slot):
                    has_slot = key[0] in slots
                if ctx.get(dut.read_page):
                    has_page = key in pages
                if ctx.get(dut.clear_page):
                    assert selected == key and key not in freed
                    freed.add(key)
                selected = key if ctx.get(dut.select) else None
                if ctx.get(dut.clear_slot):
                    cleared.add(key[0])
                ended = ctx.get(dut.ended)
                await ctx.tick()
                if ended:
                    break
            assert freed == set(pages) and cleared == set(slots)
            assert cycle == 2 * heads + 2 * BLOCKS * len(slots) + len(pages)

    simulated(heads).run(bench)
