from functools import cache

from ouroboros.hw.kv.tables import KvTables
from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.lib.pysim import PySim

TINY = load_machine("tiny")
PAGES = range(TINY.kv.pages)


@cache
def simulated():
    return PySim(KvTables(TINY))


def place_of(page):
    """A place that no other page has."""
    return {"k": {"macro": page % 4, "block": page // 4},
            "v": {"macro": page // 4, "block": page % 4, "slot": page % 3}}


def plain(place):
    return {half: {name: getattr(getattr(place, half), name) for name in names}
            for half, names in (("k", ("macro", "block")), ("v", ("macro", "block", "slot")))}


async def act(ctx, dut, **inputs):
    """One cycle with the given inputs; bits are 0 again after it."""
    for name, value in inputs.items():
        ctx.set(getattr(dut, name), value)
    await ctx.tick()
    for name in ("read", "write_place", "write_tokens"):
        ctx.set(getattr(dut, name), 0)


def test_every_page_has_its_own_places_and_bits():
    async def bench(ctx):
        dut = simulated().dut
        for page in PAGES:
            await act(ctx, dut, to=page, write_place=1, new_place=place_of(page), write_tokens=1,
                      new_tokens=3 * page + 1)
        for page in PAGES:
            await act(ctx, dut, at=page, read=1)
            assert plain(ctx.get(dut.place)) == place_of(page)
            assert ctx.get(dut.tokens) == 3 * page + 1
        await act(ctx, dut, at=0)       # not read: stays
        assert plain(ctx.get(dut.place)) == place_of(page)

    simulated().run(bench)


def test_bits_are_replaced_without_the_places():
    async def bench(ctx):
        dut = simulated().dut
        await act(ctx, dut, to=5, write_place=1, new_place=place_of(5), write_tokens=1,
                  new_tokens=1)
        await act(ctx, dut, at=5, read=1, to=5, new_place=place_of(6), write_tokens=1,
                  new_tokens=9)
        assert ctx.get(dut.tokens) == 1     # a read does not see a write of the same cycle
        await act(ctx, dut, at=5, read=1)
        assert ctx.get(dut.tokens) == 9 and plain(ctx.get(dut.place)) == place_of(5)

    simulated().run(bench)
