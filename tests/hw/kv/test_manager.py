import random
from dataclasses import replace
from functools import cache

import pytest

from ouroboros.hw.kv.layout import KvOp
from ouroboros.hw.kv.manager import KvManager
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.timing.array import (
    KV_ALLOCATE_CYCLES,
    KV_APPEND_CYCLES,
    KV_LOOKUP_CYCLES,
    KV_WIPE_CYCLES,
    kv_free_cycles,
)
from ouroboros.sw.golden.kv import KvReply, KvSettings
from ouroboros.tb.kv.agent import KvAgent
from ouroboros.tb.lib.pysim import PySim

TINY = load_machine("tiny")
# Two K macros of 4 blocks (head_dim 8: 1 group; cut to 4), two V macros of 4 row blocks, 2 slots.
SETTINGS = KvSettings(k_macros=0b0101, v_macros=0b1010, k_groups=1, k_blocks=4, v_slots=2,
                      head_dim=8, heads=2)


@cache
def simulated(pages=TINY.kv.pages):
    return PySim(KvManager(replace(TINY, kv=replace(TINY.kv, pages=pages))))


def run(story, settings=SETTINGS, *, stall=0.0, seed=5, pages=TINY.kv.pages):
    """A story of an agent that has written its settings."""
    sim = simulated(pages)

    async def configured(dut):
        agent = KvAgent(dut, sim.dut.machine, settings, stall=stall, rng=random.Random(seed))
        await agent.configure()
        await story(agent)

    sim.tell(configured)


def test_first_blocks_of_sequences_rotate_over_macros_and_slots():
    async def story(agent):
        places = [(await agent.append(sequence, 0, 0, 0))[0] for sequence in range(4)]
        assert [p.k.macro for p in places] == [0, 2, 0, 2]
        assert [(p.v.macro, p.v.slot) for p in places] == [(1, 0), (3, 1), (1, 0), (3, 1)]

    run(story)


def test_blocks_of_a_sequence_go_round_robin():
    async def story(agent):
        places = [(await agent.append(1, 1, block, 3))[0] for block in range(4)]
        assert [p.k.macro for p in places] == [0, 2, 0, 2]
        assert {p.v.slot for p in places} == {0}

    run(story)


def test_append_is_idempotent_and_collects_tokens():
    async def story(agent):
        for token in (2, 2, 15, 0):
            await agent.append(0, 0, 0, token)
        got, _ = await agent.lookup(0, 0, 0)
        assert got.valid == 1 << 2 | 1 << 15 | 1

    run(story)


def test_full_changes_nothing_and_a_freed_sequence_makes_room():
    async def story(agent):
        keys = [(sequence, head, block)
                for sequence in range(4) for head in range(2) for block in range(4)]
        replies = [(await agent.append(*key, 1))[0] for key in keys]
        assert sum(reply.ok for reply in replies) == 8  # K: 2 macros of 4 blocks
        assert all(reply.full for reply in replies if not reply.ok)
        for key in keys:
            await agent.lookup(*key)
        await agent.free(0)
        assert (await agent.append(3, 1, 2, 5))[0].ok
        assert (await agent.lookup(0, 0, 0))[0] == KvReply(ok=False)

    run(story)


def test_full_slot_of_a_sequence_refuses_though_the_other_has_room():
    settings = KvSettings(k_macros=0b0101, v_macros=0b1000, k_groups=1, k_blocks=8, v_slots=2,
                          head_dim=8, heads=2)

    async def story(agent):
        for block in range(4):  # all row blocks of slot 0
            assert (await agent.append(0, 0, block, 0))[0].v.slot == 0
        await agent.free(1)
        assert (await agent.append(0, 1, 0, 0))[0].v.slot == 1
        assert (await agent.append(2, 1, 0, 0))[0].v.slot == 1  # 0 is full
        for block in range(2):
            assert (await agent.append(1, 0, block, 0))[0].ok
        assert (await agent.append(1, 0, 2, 0))[0].full
        await agent.free(0)
        assert (await agent.append(1, 0, 2, 0))[0].v.slot == 1
        assert (await agent.append(3, 0, 0, 0))[0].v.slot == 0

    run(story, settings)


def test_full_if_no_page_is_left_though_macros_have_room():
    async def story(agent):
        keys = [(sequence, 0, block) for sequence in range(2) for block in range(3)]
        replies = [(await agent.append(*key, 1))[0] for key in keys]
        assert [reply.full for reply in replies] == [False] * 5 + [True]
        assert (await agent.append(0, 0, 1, 7))[0].ok    # it exists
        await agent.free(0)
        assert (await agent.append(1, 0, 2, 1))[0].ok

    run(story, pages=5)


@pytest.mark.parametrize(("sequence", "head", "block"), [
    (4, 0, 0), (0, 2, 0), (0, 0, 4), (65535, 0, 0), (0, 15, 0), (0, 0, 1 << 19)])
def test_what_no_table_holds_is_refused(sequence, head, block):
    async def story(agent):
        assert (await agent.append(sequence, head, block, 0))[0] == KvReply(ok=False)
        await agent.lookup(sequence, head, block)
        await agent.free(sequence)

    run(story)


def test_cycles_are_those_promised():
    async def story(agent):
        _, first = await agent.append(0, 0, 0, 0)
        _, again = await agent.append(0, 0, 0, 1)
        _, second = await agent.append(0, 1, 0, 0)
        _, look = await agent.lookup(0, 1, 0)
        assert again == KV_APPEND_CYCLES
        assert first == second == KV_APPEND_CYCLES + KV_ALLOCATE_CYCLES
        assert look == KV_LOOKUP_CYCLES
        assert (await agent.free(1))[1] == kv_free_cycles(0)
        assert (await agent.free(0))[1] == kv_free_cycles(2)
        for block in range(4):
            await agent.append(2, 1, block, 0)
        assert (await agent.free(2))[1] == kv_free_cycles(4)

    run(story)


def test_commands_go_on_soon_after_new_settings():
    async def story(agent):
        await agent.append(0, 0, 0, 5)
        before = agent.cycle
        await agent.configure()
        await agent.lookup(0, 0, 0)
        assert agent.cmd.times[-1] == before + KV_WIPE_CYCLES

    run(story)


@pytest.mark.parametrize("then", ["append", "lookup", "free"])
def test_what_follows_a_free_at_once(then):
    """Its last blocks are still on their way to the bitmaps."""
    async def story(agent):
        for sequence in range(2):
            for block in range(4):
                await agent.append(sequence, 0, block, 0)
        agent.send(KvOp.FREE, 0)
        if then == "free":
            agent.send(KvOp.FREE, 1)
        elif then == "lookup":
            agent.send(KvOp.LOOKUP, 1, 0, 3)
        for block in range(4):
            for sequence in (2, 3):
                agent.send(KvOp.APPEND, sequence, 1, block)
        await agent.settled()

    run(story)


def test_lookups_stream_one_per_cycle():
    async def story(agent):
        for block in range(4):
            await agent.append(2, 1, block, block)
        replies = [agent.send(KvOp.LOOKUP, 2, 1, block) for block in range(4)]
        await agent.settled()
        assert [reply.valid for reply in replies] == [1, 2, 4, 8]
        for times in (agent.cmd.times, agent.rsp.times):
            assert [time - times[-4] for time in times[-4:]] == [0, 1, 2, 3]

    run(story)


def test_settings_written_again_forget_everything():
    async def story(agent):
        # Three: the place where the next search would begin is another one than at first.
        for sequence in range(3):
            await agent.append(sequence, 0, 0, 0)
        await agent.configure()
        for sequence in range(4):
            await agent.lookup(sequence, 0, 0)
        for sequence in range(4):
            await agent.append(sequence, 0, 0, 0)

    run(story)


def test_settings_written_again_forget_the_last_page_too():
    last = TINY.kv.sequences - 1, TINY.kv.heads - 1, TINY.kv.blocks - 1

    async def story(agent):
        await agent.append(*last, 0)
        await agent.configure()
        assert (await agent.lookup(*last))[0] == KvReply(ok=False)

    run(story)


@pytest.mark.parametrize("cycle", range(4))
def test_a_reply_that_nobody_takes_outlives_new_settings(cycle):
    """The reply of a look-up made before them is that of the old tables."""
    async def story(agent):
        await agent.append(0, 0, 0, 5)
        refused = [True]
        agent.rsp.idle = lambda: refused[0]
        agent.send(KvOp.LOOKUP, 0)
        await agent.until(lambda: not agent.cmd.queue)
        await agent.step(cycle)
        await agent.configure()
        await agent.step(10)
        assert agent.dut.get("used") == 0       # but nobody has taken the reply yet
        assert agent.replies.checked == 1
        refused[0] = False
        await agent.until(lambda: agent.replies.checked == 2)
        await agent.lookup(0, 0, 0)

    run(story)


def test_heads_past_the_table_are_refused_whatever_the_settings_say():
    async def story(agent):
        for head in range(TINY.kv.heads, TINY.kv.heads + 3):
            assert (await agent.append(0, head, 0, 0))[0] == KvReply(ok=False)
        await agent.lookup(0, 0, 0)     # and no other head has got a block

    run(story, replace(SETTINGS, heads=TINY.kv.heads + 3))


def test_a_column_slot_is_chosen_anew_after_free():
    async def story(agent):
        slots = [(await agent.append(sequence, 0, 0, 0))[0].v.slot for sequence in (0, 1, 2)]
        assert slots == [0, 1, 0]
        await agent.free(2)
        assert (await agent.append(2, 0, 0, 0))[0].v.slot == 1
        # Out of order, without the block before: the slot that it has.
        assert (await agent.append(2, 0, 3, 0))[0].v.slot == 1
        assert (await agent.append(2, 1, 0, 0))[0].v.slot == 0

    run(story)


def test_active_until_the_last_block_is_given_back():
    """After the reply: the clock may stop no earlier."""
    async def story(agent):
        for block in range(3):
            await agent.append(0, 0, block, 0)
        await agent.free(0)
        active = []
        for _ in range(4):
            active.append(agent.dut.get("active"))
            await agent.step()
        assert active == [1, 0, 0, 0]

    run(story)


@pytest.mark.parametrize("cycle", range(9))
def test_settings_written_while_a_sequence_is_freed(cycle):
    async def story(agent):
        for block in range(4):
            await agent.append(0, 0, block, 0)
        agent.send(KvOp.FREE, 0)
        await agent.until(lambda: not agent.cmd.queue)
        await agent.step(cycle)
        await agent.configure()
        for sequence in range(4):
            for block in range(4):
                agent.send(KvOp.APPEND, sequence, 1, block)
        await agent.settled()

    run(story)


def test_heads_that_are_not_configured():
    async def story(agent):
        assert (await agent.append(0, 0, 0, 0))[0].ok
        for reply, _ in (await agent.append(0, 1, 0, 0), await agent.lookup(0, 1, 0)):
            assert not reply.ok and not reply.full

    run(story, replace(SETTINGS, heads=1))


def test_random_commands_back_to_back():
    async def story(agent):
        await agent.random_commands(100)

    for stall in (0.0, 0.5):
        run(story, stall=stall)


@pytest.mark.parametrize("stall", [0.3, 0.7])
def test_lookups_survive_a_stalled_reply(stall):
    async def story(agent):
        for block in range(4):
            await agent.append(2, 1, block, block)
        for _ in range(30):
            agent.send(KvOp.LOOKUP, 2, 1, agent.rng.randrange(4))
        await agent.settled()
        assert agent.replies.checked == 34

    run(story, stall=stall)


@pytest.mark.parametrize(("v_slots", "v_stays"), [(1, 0), (3, 0), (4, 0), (1, 1), (3, 1)])
def test_random_commands_follow_the_golden_model(v_slots, v_stays):
    rng = random.Random(v_slots)
    settings = KvSettings(k_macros=0b0011, v_macros=0b1100, k_groups=1, k_blocks=5,
                          v_slots=v_slots, head_dim=16 // v_slots, heads=2, v_stays=v_stays)

    async def story(agent):
        for _ in range(250):
            key = rng.randrange(5), rng.randrange(2), rng.randrange(4)
            kind = rng.random()
            if kind < 0.6:
                await agent.append(*key, rng.randrange(16))
            elif kind < 0.9:
                await agent.lookup(*key)
            else:
                await agent.free(key[0])
        # Nothing leaked: after freeing all, exactly the capacity can be allocated again.
        for sequence in range(4):
            await agent.free(sequence)
        assert agent.golden.used == 0
        replies = [(await agent.append(n // 8, n // 4 % 2, n % 4, 0))[0] for n in range(32)]
        assert sum(reply.ok for reply in replies) == (10 if v_slots > 1 else 8)

    run(story, settings, stall=0.5, seed=v_slots)
