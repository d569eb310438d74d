from functools import cache

import pytest

from ouroboros.hw.kv.pool import BlockPool
from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.lib.pysim import PySim

TINY = load_machine("tiny")
ROW_BLOCKS = TINY.cim.rows // TINY.cim.outputs
SETTINGS = {"k_macros": 0b0101, "v_macros": 0b1010, "k_blocks": 4, "v_slots": 2}


@cache
def simulated():
    return PySim(BlockPool(TINY))


async def configure(ctx, dut, **changes):
    for name, value in {**SETTINGS, **changes}.items():
        ctx.set(dut.settings[name], value)
    ctx.set(dut.room, 1)
    ctx.set(dut.wipe, 1)
    await ctx.tick()
    ctx.set(dut.wipe, 0)


def as_place(place):
    (k_macro, k_block), (v_macro, v_block, slot) = place
    return {"k": {"macro": k_macro, "block": k_block},
            "v": {"macro": v_macro, "block": v_block, "slot": slot}}


async def find(ctx, dut, *, kin=None, before=None):
    """(K macro, K block), (V macro, V block, slot), or None if full.

    ``before``: place of the block before; ``kin``: of another of the (sequence, head).
    """
    ctx.set(dut.start, 1)
    await ctx.tick()
    ctx.set(dut.start, 0)
    known = before or kin
    ctx.set(dut.kin, known is not None)
    ctx.set(dut.follows, before is not None)
    ctx.set(dut.place, as_place(known) if known else {})
    assert not ctx.get(dut.found)
    full = ctx.get(dut.full)
    await ctx.tick()
    for name, value in (("kin", 0), ("follows", 0), ("place", {})):  # looked at no more
        ctx.set(getattr(dut, name), value)
    assert ctx.get(dut.found) == (not full) and not ctx.get(dut.full)
    await ctx.tick()
    assert not ctx.get(dut.found) and not ctx.get(dut.full)
    k, v = ctx.get(dut.k), ctx.get(dut.v)       # there still
    return None if full else ((k.macro, k.block), (v.macro, v.block, v.slot))


async def give_back(ctx, dut, *places):
    """One a cycle."""
    for n in range(len(places) + 1):
        ctx.set(dut.select, n < len(places))
        if n < len(places):
            ctx.set(dut.place, as_place(places[n]))
        ctx.set(dut.give_back, n > 0)
        await ctx.tick()
    ctx.set(dut.select, 0)
    ctx.set(dut.give_back, 0)


def test_blocks_follow_each_other_round_robin():
    async def bench(ctx):
        dut = simulated().dut
        await configure(ctx, dut)
        place = await find(ctx, dut)
        assert place == ((0, 0), (1, 0, 0))
        places = []
        for _ in range(4):
            place = await find(ctx, dut, before=place)
            places.append(place)
        assert places == [((2, 0), (3, 0, 0)), ((0, 1), (1, 1, 0)),
                          ((2, 1), (3, 1, 0)), ((0, 2), (1, 2, 0))]

    simulated().run(bench)


def test_v_may_stay_in_its_macro():
    async def bench(ctx):
        dut = simulated().dut
        await configure(ctx, dut, v_stays=1, k_blocks=8)
        places = [await find(ctx, dut)]
        for _ in range(ROW_BLOCKS + 1):
            places.append(await find(ctx, dut, before=places[-1]))
        assert [k[0] for k, _ in places] == [0, 2, 0, 2, 0, 2]
        assert [v for _, v in places] == [(1, n, 0) for n in range(ROW_BLOCKS)] + [
            (3, 0, 0), (3, 1, 0)]
        # Who has no block before it begins at the next macro, as always.
        assert (await find(ctx, dut))[1] == (3, 0, 1)

    simulated().run(bench)


def test_the_first_block_of_a_sequence_goes_after_the_last_first_one():
    async def bench(ctx):
        dut = simulated().dut
        for _ in range(2):      # a wipe forgets it
            await configure(ctx, dut)
            first = await find(ctx, dut)
            await find(ctx, dut, before=first)      # not a first one
            second = await find(ctx, dut)
            third = await find(ctx, dut)
            assert [place[0][0] for place in (first, second, third)] == [0, 2, 0]
            assert [place[1][0] for place in (first, second, third)] == [1, 3, 1]

    simulated().run(bench)


@pytest.mark.parametrize("v_slots", [1, 2, 3, 4])
def test_every_new_head_takes_the_next_column_slot(v_slots):
    async def bench(ctx):
        dut = simulated().dut
        for _ in range(2):
            await configure(ctx, dut, v_slots=v_slots, k_blocks=8)
            places = [await find(ctx, dut) for _ in range(6)]
            assert [v[2] for _, v in places] == [n % v_slots for n in range(6)]
            # Neither the next block nor one out of order is a new head.
            assert (await find(ctx, dut, before=places[0]))[1][2] == 0
            if v_slots > 1:
                assert (await find(ctx, dut, kin=places[1]))[1][2] == 1
            assert (await find(ctx, dut))[1][2] == 6 % v_slots

    simulated().run(bench)


def test_a_block_out_of_order_keeps_the_slot_and_begins_anywhere():
    async def bench(ctx):
        dut = simulated().dut
        await configure(ctx, dut)
        first = await find(ctx, dut)
        assert first == ((0, 0), (1, 0, 0))
        assert await find(ctx, dut, kin=first) == ((2, 0), (3, 0, 0))
        assert await find(ctx, dut, kin=first) == ((0, 1), (1, 1, 0))
        assert await find(ctx, dut) == ((2, 1), (3, 0, 1))

    simulated().run(bench)


def test_a_full_slot_passes_to_the_next():
    async def bench(ctx):
        dut = simulated().dut
        await configure(ctx, dut, v_macros=0b1000, k_blocks=8)
        await find(ctx, dut)
        one = await find(ctx, dut)
        assert one[1][2] == 1
        for _ in range(ROW_BLOCKS - 1):
            assert await find(ctx, dut, kin=one)
        assert await find(ctx, dut, kin=one) is None
        zero = await find(ctx, dut)
        assert zero[1][2] == 0
        assert (await find(ctx, dut))[1][2] == 0        # 1 would be its turn
        for _ in range(ROW_BLOCKS - 3):
            await find(ctx, dut, kin=zero)
        assert await find(ctx, dut) is None
        await give_back(ctx, dut, one)
        assert (await find(ctx, dut))[1][2] == 1

    simulated().run(bench)


def test_full_takes_nothing_and_what_is_given_back_is_found_again():
    async def bench(ctx):
        dut = simulated().dut
        await configure(ctx, dut, k_macros=0b0001, k_blocks=2, v_slots=1)
        places = [await find(ctx, dut) for _ in range(2)]
        for _ in range(2 * ROW_BLOCKS):     # K is full: V must not leak
            assert await find(ctx, dut) is None
        await give_back(ctx, dut, places[0])
        assert (await find(ctx, dut))[0] == places[0][0]
        assert await find(ctx, dut) is None
        for place in places[1:]:
            await give_back(ctx, dut, place)
        assert (await find(ctx, dut))[0] == (0, 1)

    simulated().run(bench)


def test_without_a_page_it_is_full():
    async def bench(ctx):
        dut = simulated().dut
        await configure(ctx, dut)
        ctx.set(dut.room, 0)
        for _ in range(3):
            assert await find(ctx, dut) is None
        ctx.set(dut.room, 1)
        assert await find(ctx, dut) == ((0, 0), (1, 0, 0))

    simulated().run(bench)


def test_blocks_of_one_macro_are_given_back_one_a_cycle():
    """What one cycle writes, the next one has read already."""
    async def bench(ctx):
        dut = simulated().dut
        await configure(ctx, dut, k_macros=0b0001, v_macros=0b1000, v_slots=1)
        places = [await find(ctx, dut) for _ in range(ROW_BLOCKS)]
        assert None not in places
        assert await find(ctx, dut) is None
        await give_back(ctx, dut, *places)
        assert sorted([await find(ctx, dut) for _ in range(ROW_BLOCKS)]) == places
        assert await find(ctx, dut) is None

    simulated().run(bench)


def test_a_wipe_wins_over_a_block_given_back():
    async def bench(ctx):
        dut = simulated().dut
        await configure(ctx, dut, k_macros=0b0001, v_macros=0b1000, v_slots=1)
        for _ in range(2):
            places = [await find(ctx, dut) for _ in range(ROW_BLOCKS)]
            assert None not in places
            ctx.set(dut.place, as_place(places[1]))
            ctx.set(dut.select, 1)
            await ctx.tick()
            ctx.set(dut.select, 0)
            ctx.set(dut.give_back, 1)
            ctx.set(dut.wipe, 1)
            await ctx.tick()
            ctx.set(dut.give_back, 0)
            ctx.set(dut.wipe, 0)

    simulated().run(bench)
