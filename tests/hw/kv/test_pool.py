from functools import cache

import pytest

from ouroboros.hw.kv.pool import BlockPool
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.timing.array import slot_search_cycles
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
    ctx.set(dut.wipe, 1)
    for macro in range(TINY.core.macros):
        ctx.set(dut.wipe_macro, macro)
        await ctx.tick()
    ctx.set(dut.wipe, 0)


async def find(ctx, dut, *, sequence=0, head=0, slot=None, before=None):
    """(K macro, K block), (V macro, V block, slot), or None if full; and the cycles it took."""
    ctx.set(dut.start, 1)
    ctx.set(dut.sequence, sequence)
    ctx.set(dut.head, head)
    ctx.set(dut.slot, {"valid": slot is not None, "slot": slot or 0})
    ctx.set(dut.follows, before is not None)
    if before:
        (k_macro, _), (v_macro, *_) = before
        ctx.set(dut.page, {"k": {"macro": k_macro}, "v": {"macro": v_macro}})
    await ctx.tick()
    ctx.set(dut.start, 0)
    for name in ("follows", "page", "slot"):    # looked at with `start` only
        ctx.set(getattr(dut, name), 0 if name == "follows" else {})
    cycles = 1
    while not (ctx.get(dut.found) or ctx.get(dut.full)):
        await ctx.tick()
        cycles += 1
        assert cycles < 100
    k, v = ctx.get(dut.k), ctx.get(dut.v)
    place = ((k.macro, k.block), (v.macro, v.block, v.slot)) if ctx.get(dut.found) else None
    await ctx.tick()
    assert not ctx.get(dut.found) and not ctx.get(dut.full)
    return place, cycles


async def give_back(ctx, dut, place):
    (k_macro, k_block), (v_macro, v_block, slot) = place
    ctx.set(dut.page, {"k": {"macro": k_macro, "block": k_block},
                       "v": {"macro": v_macro, "block": v_block, "slot": slot}})
    ctx.set(dut.select, 1)
    await ctx.tick()
    ctx.set(dut.select, 0)
    ctx.set(dut.give_back, 1)
    await ctx.tick()
    ctx.set(dut.give_back, 0)


def test_blocks_follow_each_other_round_robin():
    async def bench(ctx):
        dut = simulated().dut
        await configure(ctx, dut)
        place, cycles = await find(ctx, dut)
        assert place == ((0, 0), (1, 0, 0)) and cycles == 2 + slot_search_cycles(TINY)
        places = []
        for _ in range(4):
            place, cycles = await find(ctx, dut, slot=0, before=place)
            assert cycles == 2
            places.append(place)
        assert places == [((2, 0), (3, 0, 0)), ((0, 1), (1, 1, 0)),
                          ((2, 1), (3, 1, 0)), ((0, 2), (1, 2, 0))]

    simulated().run(bench)


def test_the_first_block_of_a_sequence_goes_after_the_last_first_one():
    async def bench(ctx):
        dut = simulated().dut
        for _ in range(2):      # a wipe forgets it
            await configure(ctx, dut)
            first, _ = await find(ctx, dut, slot=0)
            await find(ctx, dut, slot=0, before=first)      # not a first one
            second, _ = await find(ctx, dut, slot=0)
            third, _ = await find(ctx, dut, slot=0)
            assert [place[0][0] for place in (first, second, third)] == [0, 2, 0]
            assert [place[1][0] for place in (first, second, third)] == [1, 3, 1]

    simulated().run(bench)


@pytest.mark.parametrize(("v_slots", "sequence", "head", "slot"),
                         [(1, 3, 1, 0), (2, 3, 0, 1), (3, 3, 1, 1), (4, 3, 0, 3), (2, 1, 1, 0)])
def test_column_slot_by_sequence_and_head(v_slots, sequence, head, slot):
    async def bench(ctx):
        dut = simulated().dut
        await configure(ctx, dut, v_slots=v_slots)
        (_, v), _ = await find(ctx, dut, sequence=sequence, head=head)
        assert v[2] == slot

    simulated().run(bench)


def test_a_full_slot_passes_to_the_next_and_costs_a_cycle():
    async def bench(ctx):
        dut = simulated().dut
        await configure(ctx, dut, v_macros=0b1000, k_blocks=8)
        for _ in range(ROW_BLOCKS):
            assert (await find(ctx, dut, slot=1))[0]
        assert (await find(ctx, dut, slot=1))[0] is None
        place, cycles = await find(ctx, dut, sequence=1)    # wants slot 1
        assert place[1][2] == 0 and cycles == 2 + slot_search_cycles(TINY) + 1
        for _ in range(ROW_BLOCKS - 1):
            await find(ctx, dut, slot=0)
        assert await find(ctx, dut, sequence=1) == (None, slot_search_cycles(TINY) + 1)

    simulated().run(bench)


def test_full_takes_nothing_and_what_is_given_back_is_found_again():
    async def bench(ctx):
        dut = simulated().dut
        await configure(ctx, dut, k_macros=0b0001, k_blocks=2)
        places = [(await find(ctx, dut, slot=0))[0] for _ in range(2)]
        for _ in range(2 * ROW_BLOCKS):     # K is full: V must not leak
            assert (await find(ctx, dut, slot=0))[0] is None
        await give_back(ctx, dut, places[0])
        assert (await find(ctx, dut, slot=0))[0][0] == places[0][0]
        assert (await find(ctx, dut, slot=0))[0] is None
        for place in places[1:]:
            await give_back(ctx, dut, place)
        assert (await find(ctx, dut, slot=0))[0][0] == (0, 1)

    simulated().run(bench)
