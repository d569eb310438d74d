import random
from dataclasses import replace
from functools import cache

import pytest

from ouroboros.hw.kv.tags import PageTags, TagQuery
from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.lib.pysim import PySim

TINY = load_machine("tiny")


@cache
def simulated(pages):
    kv = replace(TINY.kv, pages=pages, sequences=3, heads=3, blocks=5)
    return PySim(PageTags(replace(TINY, kv=kv)))


class Book:
    """Keys by page, and what a query of them must find."""

    def __init__(self, pages):
        self.keys = [None] * pages

    def free(self):
        return next((page for page, key in enumerate(self.keys) if key is None), None)

    def find(self, query, key):
        """Page, or None, and whether it is that of the block."""
        exact = next((page for page, held in enumerate(self.keys) if held == key), None)
        length = {TagQuery.BLOCK: 3, TagQuery.KIN: 2, TagQuery.SEQUENCE: 1}[query]
        alike = next((page for page, held in enumerate(self.keys)
                      if held and held[:length] == key[:length]), None)
        if query == TagQuery.KIN and exact is not None:
            alike = exact
        return alike, exact is not None


@pytest.mark.parametrize(("pages", "seed"), [(1, 0), (5, 1), (8, 2), (13, 3)])
def test_finds_takes_and_drops_as_a_list_does(pages, seed):
    rng = random.Random(seed)

    async def bench(ctx):
        dut, book, full = simulated(pages).dut, Book(pages), 0
        for step in range(300):
            key = rng.randrange(3), rng.randrange(3), rng.randrange(5)
            for name, value in zip(("sequence", "head", "block"), key, strict=True):
                ctx.set(getattr(dut, name), value)
            query = rng.choice(list(TagQuery))
            wanted, exact = book.find(query, key)
            new = book.find(TagQuery.BLOCK, key)[0] is None
            take = new and book.free() is not None and rng.random() < 0.6
            find = rng.random() < 0.8
            drop = not take and find and rng.random() < 0.3
            wipe = step % 60 == 59
            for name, value in (("find", find), ("query", query), ("take", take), ("drop", drop),
                                ("wipe", wipe)):
                ctx.set(getattr(dut, name), value)
            assert ctx.get(dut.room) == (book.free() is not None)
            full += book.free() is None
            if book.free() is not None:
                assert ctx.get(dut.free) == book.free()
            assert ctx.get(dut.any) == (wanted is not None)
            if take:
                book.keys[book.free()] = key
            if drop and wanted is not None:
                book.keys[wanted] = None
            if wipe:
                book.keys = [None] * pages
            await ctx.tick()
            if find:
                last = wanted, exact
            if step and find:
                assert (ctx.get(dut.hit), ctx.get(dut.exact)) == (last[0] is not None, last[1])
                assert last[0] is None or ctx.get(dut.page) == last[0]
        assert full

    simulated(pages).run(bench)


def test_the_answer_stays_until_the_next_find():
    async def bench(ctx):
        dut = simulated(5).dut
        for block in range(3):
            ctx.set(dut.block, block)
            ctx.set(dut.take, 1)
            await ctx.tick()
        ctx.set(dut.take, 0)
        ctx.set(dut.block, 1)
        ctx.set(dut.find, 1)
        await ctx.tick()
        ctx.set(dut.find, 0)
        for block in (2, 4):
            ctx.set(dut.block, block)
            await ctx.tick()
            assert (ctx.get(dut.hit), ctx.get(dut.exact), ctx.get(dut.page)) == (1, 1, 1)

    simulated(5).run(bench)
