from functools import cache

from ouroboros.hw.kv.tables import KvTables
from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.lib.pysim import PySim

TINY = load_machine("tiny")
KV = TINY.kv
KEYS = [(sequence, head, block) for sequence in range(KV.sequences) for head in range(KV.heads)
        for block in range(KV.blocks)]


@cache
def simulated():
    return PySim(KvTables(TINY))


def page_of(sequence, head, block):
    """A page that no other key has."""
    return {"valid": 1, "k": {"macro": sequence, "block": 2 * block + head},
            "v": {"macro": block, "block": sequence, "slot": head}}


async def act(ctx, dut, key=(0, 0, 0), **inputs):
    """One cycle with the given inputs; the names of bits may do without a value."""
    for name, value in zip(("sequence", "head", "block"), key, strict=True):
        ctx.set(getattr(dut, name), value)
    for name, value in inputs.items():
        ctx.set(getattr(dut, name), value)
    await ctx.tick()
    for name in inputs:
        if name not in ("index", "at"):
            ctx.set(getattr(dut, name), {} if name in ("new_page", "new_slot") else 0)


def plain(page):
    return {"valid": page.valid, "k": {"macro": page.k.macro, "block": page.k.block},
            "v": {"macro": page.v.macro, "block": page.v.block, "slot": page.v.slot}}


def test_every_key_has_its_own_page_and_every_head_its_own_slot():
    async def bench(ctx):
        dut = simulated().dut
        for key in KEYS:
            await act(ctx, dut, key, write_page=1, new_page=page_of(*key))
        for sequence in range(KV.sequences):
            for head in range(KV.heads):
                await act(ctx, dut, (sequence, head, 3), write_slot=1,
                          new_slot={"valid": 1, "slot": (sequence + head) % 4})
        for key in KEYS:
            await act(ctx, dut, key, read_page=1, read_slot=1)
            assert plain(ctx.get(dut.page)) == page_of(*key)
            assert ctx.get(dut.slot.slot) == (key[0] + key[1]) % 4 and ctx.get(dut.slot.valid)
        before = ctx.get(dut.page)
        await act(ctx, dut, KEYS[0])        # not read: stays
        assert ctx.get(dut.page) == before

    simulated().run(bench)


def test_a_wipe_of_all_indices_clears_all():
    async def bench(ctx):
        dut = simulated().dut
        for key in KEYS:
            await act(ctx, dut, key, write_page=1, new_page=page_of(*key), write_slot=1,
                      new_slot={"valid": 1, "slot": 1})
        for index in range(len(KEYS)):
            await act(ctx, dut, wipe=1, index=index, new_page=page_of(1, 1, 1),
                      new_slot={"valid": 1, "slot": 1})
        for key in KEYS:
            await act(ctx, dut, key, read_page=1, read_slot=1)
            assert not ctx.get(dut.page.valid) and not ctx.get(dut.slot.valid)

    simulated().run(bench)


def test_token_bits_go_with_the_k_block_of_the_page():
    places = [{"macro": macro, "block": block} for macro in range(TINY.core.macros)
              for block in range(TINY.cim.groups)]

    async def bench(ctx):
        dut = simulated().dut
        for n, place in enumerate(places):
            await act(ctx, dut, at=place, write_tokens=1, new_tokens=3 * n + 1)
        for n, place in enumerate(places):
            await act(ctx, dut, write_page=1, new_page={"valid": 1, "k": place, "v": {}})
            await act(ctx, dut, read_page=1)
            await act(ctx, dut, read_tokens=1)
            assert ctx.get(dut.tokens) == 3 * n + 1

    simulated().run(bench)
