import random
from dataclasses import replace
from functools import cache

import pytest

from ouroboros.hw.kv.layout import KvOp
from ouroboros.hw.kv.manager import KvManager
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import KV_CONFIG, Unit
from ouroboros.hw.params.timing.array import (
    KV_ALLOCATE_CYCLES,
    KV_APPEND_CYCLES,
    KV_LOOKUP_CYCLES,
    slot_search_cycles,
)
from ouroboros.sw.golden.kv import KvGolden, KvReply, KvSettings, Place
from ouroboros.tb.lib.pysim import PySim

TINY = load_machine("tiny")
# Two K macros of 4 blocks (head_dim 8: 1 group; cut to 4), two V macros of 4 row blocks, 2 slots.
SETTINGS = KvSettings(k_macros=0b0101, v_macros=0b1010, k_groups=1, k_blocks=4, v_slots=2,
                      head_dim=8, heads=2)


@cache
def simulated():
    return PySim(KvManager(TINY))


class Bench:
    """Commands one at a time, each reply compared with the golden model's."""

    def __init__(self, settings=SETTINGS, *, rng=None):
        self.sim, self.golden = simulated(), KvGolden(TINY, settings)
        self.dut = self.sim.dut
        self.settings, self.rng = settings, rng

    def run(self, story):
        async def testbench(ctx):
            await self.configure(ctx)
            await story(self, ctx)

        self.sim.run(testbench)

    async def configure(self, ctx):
        config = self.dut.config
        ctx.set(config.unit, Unit.KV)
        ctx.set(config.data, KV_CONFIG.pack(self.settings.fields()))
        ctx.set(config.valid, 1)
        await ctx.tick()
        ctx.set(config.valid, 0)

    async def send(self, ctx, op, sequence, head=0, block=0, token=0):
        cmd = self.dut.cmd
        ctx.set(cmd.payload, {"op": op, "sequence": sequence, "head": head, "block": block,
                              "token": token})
        ctx.set(cmd.valid, 1)
        await ctx.tick().until(cmd.ready)
        ctx.set(cmd.valid, 0)

    async def receive(self, ctx, *, valid=True):
        """The next reply, and how many cycles it took since the call."""
        rsp, cycles = self.dut.rsp, 1
        while True:
            ready = self.rng is None or self.rng.random() < 0.5
            ctx.set(rsp.ready, ready)
            assert ctx.get(self.dut.active)
            *_, came, p = await ctx.tick().sample(rsp.valid, rsp.payload)
            if came and ready:
                break
            cycles += 1
        ctx.set(rsp.ready, 0)
        if not p.ok:
            return KvReply(ok=False, full=bool(p.full)), cycles
        k, v = Place(p.k.macro, p.k.block), Place(p.v.macro, p.v.block, p.v.slot)
        return KvReply(True, bool(p.full), k, v, p.valid if valid else 0), cycles

    async def append(self, ctx, sequence, head, block, token):
        await self.send(ctx, KvOp.APPEND, sequence, head, block, token)
        got, cycles = await self.receive(ctx, valid=False)
        want = self.golden.append(sequence, head, block, token)
        assert got == KvReply(want.ok, want.full, want.k, want.v), (sequence, head, block, token)
        self.golden.check()
        assert ctx.get(self.dut.used) == self.golden.used
        return want, cycles

    async def lookup(self, ctx, sequence, head, block):
        await self.send(ctx, KvOp.LOOKUP, sequence, head, block)
        got, cycles = await self.receive(ctx)
        assert got == self.golden.lookup(sequence, head, block)
        return got, cycles

    async def free(self, ctx, sequence):
        await self.send(ctx, KvOp.FREE, sequence)
        got, _ = await self.receive(ctx)
        assert got.ok == self.golden.free(sequence).ok
        assert ctx.get(self.dut.used) == self.golden.used


def test_first_blocks_of_sequences_rotate_over_macros_and_slots():
    async def story(bench, ctx):
        places = [(await bench.append(ctx, sequence, 0, 0, 0))[0] for sequence in range(4)]
        assert [p.k.macro for p in places] == [0, 2, 0, 2]
        assert [(p.v.macro, p.v.slot) for p in places] == [(1, 0), (3, 1), (1, 0), (3, 1)]

    Bench().run(story)


def test_blocks_of_a_sequence_go_round_robin():
    async def story(bench, ctx):
        places = [(await bench.append(ctx, 1, 1, block, 3))[0] for block in range(4)]
        assert [p.k.macro for p in places] == [0, 2, 0, 2]
        assert {p.v.slot for p in places} == {0}

    Bench().run(story)


def test_append_is_idempotent_and_collects_tokens():
    async def story(bench, ctx):
        for token in (2, 2, 15, 0):
            await bench.append(ctx, 0, 0, 0, token)
        got, _ = await bench.lookup(ctx, 0, 0, 0)
        assert got.valid == 1 << 2 | 1 << 15 | 1

    Bench().run(story)


def test_full_changes_nothing_and_a_freed_sequence_makes_room():
    async def story(bench, ctx):
        keys = [(sequence, head, block)
                for sequence in range(4) for head in range(2) for block in range(4)]
        replies = [(await bench.append(ctx, *key, 1))[0] for key in keys]
        assert sum(reply.ok for reply in replies) == 8  # K: 2 macros of 4 blocks
        assert all(reply.full for reply in replies if not reply.ok)
        for key in keys:
            await bench.lookup(ctx, *key)
        await bench.free(ctx, 0)
        assert (await bench.append(ctx, 3, 1, 2, 5))[0].ok
        assert (await bench.lookup(ctx, 0, 0, 0))[0] == KvReply(ok=False)

    Bench().run(story)


def test_full_slot_of_a_sequence_refuses_though_the_other_has_room():
    settings = KvSettings(k_macros=0b0101, v_macros=0b1000, k_groups=1, k_blocks=8, v_slots=2,
                          head_dim=8, heads=2)

    async def story(bench, ctx):
        for sequence in (0, 2):  # both start with slot 0, which holds 4 row blocks
            for block in range(2):
                assert (await bench.append(ctx, sequence, 0, block, 0))[0].ok
        assert (await bench.append(ctx, 0, 0, 2, 0))[0].full
        assert (await bench.append(ctx, 0, 1, 0, 0))[0].v.slot == 1
        assert (await bench.append(ctx, 1, 1, 0, 0))[0].v.slot == 1  # 0 is full

    Bench(settings).run(story)


@pytest.mark.parametrize(("sequence", "head", "block"), [
    (4, 0, 0), (0, 2, 0), (0, 0, 4), (65535, 0, 0), (0, 15, 0), (0, 0, 1 << 19)])
def test_what_no_table_holds_is_refused(sequence, head, block):
    async def story(bench, ctx):
        assert (await bench.append(ctx, sequence, head, block, 0))[0] == KvReply(ok=False)
        await bench.lookup(ctx, sequence, head, block)
        await bench.free(ctx, sequence)

    Bench().run(story)


def test_cycles_are_those_promised():
    async def story(bench, ctx):
        _, first = await bench.append(ctx, 0, 0, 0, 0)
        _, again = await bench.append(ctx, 0, 0, 0, 1)
        _, second = await bench.append(ctx, 0, 0, 1, 0)
        _, look = await bench.lookup(ctx, 0, 0, 1)
        assert again == KV_APPEND_CYCLES
        assert second == KV_APPEND_CYCLES + KV_ALLOCATE_CYCLES
        assert first == KV_APPEND_CYCLES + KV_ALLOCATE_CYCLES + slot_search_cycles(TINY)
        assert look == KV_LOOKUP_CYCLES

    Bench().run(story)


def test_lookups_stream_one_per_cycle():
    async def story(bench, ctx):
        for block in range(4):
            await bench.append(ctx, 2, 1, block, block)
        dut, replies = bench.dut, []
        ctx.set(dut.rsp.ready, 1)
        for cycle in range(6):
            ctx.set(dut.cmd.valid, cycle < 4)
            ctx.set(dut.cmd.payload, {"op": KvOp.LOOKUP, "sequence": 2, "head": 1,
                                      "block": min(cycle, 3), "token": 0})
            *_, ready, came, p = await ctx.tick().sample(dut.cmd.ready, dut.rsp.valid,
                                                         dut.rsp.payload)
            assert ready or cycle >= 4
            if came:
                replies.append(p.valid)
        assert replies == [1, 2, 4, 8]

    Bench().run(story)


def test_settings_written_again_forget_everything():
    async def story(bench, ctx):
        # Three: the place where the next search would begin is another one than at first.
        for sequence in range(3):
            await bench.append(ctx, sequence, 0, 0, 0)
        await bench.configure(ctx)
        bench.golden = KvGolden(TINY, SETTINGS)
        for sequence in range(4):
            await bench.lookup(ctx, sequence, 0, 0)
        for sequence in range(4):
            await bench.append(ctx, sequence, 0, 0, 0)

    Bench().run(story)


def test_settings_written_again_forget_the_last_page_too():
    last = TINY.kv.sequences - 1, TINY.kv.heads - 1, TINY.kv.blocks - 1

    async def story(bench, ctx):
        await bench.append(ctx, *last, 0)
        await bench.configure(ctx)
        bench.golden = KvGolden(TINY, SETTINGS)
        assert (await bench.lookup(ctx, *last))[0] == KvReply(ok=False)

    Bench().run(story)


@pytest.mark.parametrize("cycle", range(4))
def test_settings_wait_for_a_reply_that_nobody_takes(cycle):
    """The reply of a look-up made before them is that of the old tables."""
    async def story(bench, ctx):
        await bench.append(ctx, 0, 0, 0, 5)
        want = bench.golden.lookup(0, 0, 0)
        await bench.send(ctx, KvOp.LOOKUP, 0)
        for _ in range(cycle):
            await ctx.tick()
        await bench.configure(ctx)
        await ctx.tick().repeat(10)
        assert not ctx.get(bench.dut.cmd.ready)
        assert ctx.get(bench.dut.used) == 1     # not wiped yet
        assert (await bench.receive(ctx))[0] == want
        bench.golden = KvGolden(TINY, SETTINGS)
        await bench.lookup(ctx, 0, 0, 0)

    Bench().run(story)


def test_heads_past_the_table_are_refused_whatever_the_settings_say():
    async def story(bench, ctx):
        for head in range(TINY.kv.heads, TINY.kv.heads + 3):
            assert (await bench.append(ctx, 0, head, 0, 0))[0] == KvReply(ok=False)
        await bench.lookup(ctx, 0, 0, 0)        # and no other head has got a block

    Bench(replace(SETTINGS, heads=TINY.kv.heads + 3)).run(story)


def test_a_column_slot_is_chosen_anew_after_free():
    """First the next one, as the slot wanted is full; when it has room again, that one."""
    async def story(bench, ctx):
        for sequence in (0, 2):
            for block in range(4):
                assert (await bench.append(ctx, sequence, 0, block, 0))[0].v.slot == 0
        assert (await bench.append(ctx, 1, 1, 0, 0))[0].v.slot == 1
        for sequence in (0, 1):
            await bench.free(ctx, sequence)
        assert (await bench.append(ctx, 1, 1, 0, 0))[0].v.slot == 0

    Bench(replace(SETTINGS, k_blocks=8)).run(story)


def test_heads_that_are_not_configured():
    async def story(bench, ctx):
        assert (await bench.append(ctx, 0, 0, 0, 0))[0].ok
        for reply, _ in (await bench.append(ctx, 0, 1, 0, 0), await bench.lookup(ctx, 0, 1, 0)):
            assert not reply.ok and not reply.full

    Bench(replace(SETTINGS, heads=1)).run(story)


@pytest.mark.parametrize("ready", [0.3, 0.7])
def test_lookups_survive_a_stalled_reply(ready):
    rng = random.Random(5)

    async def story(bench, ctx):
        for block in range(4):
            await bench.append(ctx, 2, 1, block, block)
        dut, wanted, got = bench.dut, [rng.randrange(4) for _ in range(30)], []
        queue = list(wanted)
        while len(got) < len(wanted):
            ctx.set(dut.rsp.ready, rng.random() < ready)
            ctx.set(dut.cmd.valid, bool(queue))
            ctx.set(dut.cmd.payload, {"op": KvOp.LOOKUP, "sequence": 2, "head": 1,
                                      "block": queue[0] if queue else 0, "token": 0})
            *_, accepted, came, taken, p = await ctx.tick().sample(
                dut.cmd.ready, dut.rsp.valid, dut.rsp.ready, dut.rsp.payload)
            if queue and accepted:
                queue.pop(0)
            if came and taken:
                got.append((p.k.macro, p.valid))
        places = {block: bench.golden.lookup(2, 1, block) for block in range(4)}
        assert got == [(places[block].k.macro, places[block].valid) for block in wanted]

    Bench().run(story)


@pytest.mark.parametrize("v_slots", [1, 3, 4])
def test_random_commands_follow_the_golden_model(v_slots):
    rng = random.Random(v_slots)
    settings = KvSettings(k_macros=0b0011, v_macros=0b1100, k_groups=1, k_blocks=5,
                          v_slots=v_slots, head_dim=16 // v_slots, heads=2)

    async def story(bench, ctx):
        for _ in range(250):
            key = rng.randrange(5), rng.randrange(2), rng.randrange(4)
            kind = rng.random()
            if kind < 0.6:
                await bench.append(ctx, *key, rng.randrange(16))
            elif kind < 0.9:
                await bench.lookup(ctx, *key)
            else:
                await bench.free(ctx, key[0])
        # Nothing leaked: after freeing all, exactly the capacity can be allocated again.
        for sequence in range(4):
            await bench.free(ctx, sequence)
        assert bench.golden.used == 0
        replies = [(await bench.append(ctx, n // 8, n // 4 % 2, n % 4, 0))[0] for n in range(32)]
        assert sum(reply.ok for reply in replies) == 10 if v_slots > 1 else 8

    Bench(settings, rng=rng).run(story)
