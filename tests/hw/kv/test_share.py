"""With ``kv.shares`` a full block may have several owners, and is free when the last one is."""

import random
from dataclasses import replace
from functools import cache

import pytest

from ouroboros.hw.kv.layout import KvOp, kv_command_layout
from ouroboros.hw.kv.manager import KvManager
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.timing.array import KV_SHARE_CYCLES
from ouroboros.sw.golden.kv import KvSettings
from ouroboros.tb.kv.agent import KvAgent
from ouroboros.tb.lib.pysim import PySim

TINY = load_machine("tiny")
SETTINGS = KvSettings(k_macros=0b0101, v_macros=0b1010, k_groups=1, k_blocks=4, v_slots=2,
                      head_dim=8, heads=2)


@cache
def simulated(pages):
    return PySim(KvManager(replace(TINY, kv=replace(TINY.kv, pages=pages, shares=True))))


def run(story, *, pages=16, stall=0.0, seed=5):
    sim = simulated(pages)

    async def configured(dut):
        agent = KvAgent(dut, sim.dut.machine, SETTINGS, stall=stall, rng=random.Random(seed))
        await agent.configure()
        await story(agent)

    sim.tell(configured)


async def fill(agent, sequence, head, block):
    for token in range(agent.machine.block_tokens):
        agent.send(KvOp.APPEND, sequence, head, block, token)
    await agent.settled()


def test_the_command_has_a_source_only_where_blocks_are_shared():
    assert "source" not in dict(kv_command_layout(TINY))
    assert "source" in dict(kv_command_layout(simulated(16).dut.machine))


@pytest.mark.parametrize("first", [0, 1])
def test_a_block_stays_until_its_last_owner_is_freed(first):
    async def story(agent):
        await fill(agent, 0, 1, 0)
        before = (await agent.lookup(0, 1, 0))[0]
        reply, cycles = await agent.share(1, 1, 0, 0)
        assert reply.ok and cycles == KV_SHARE_CYCLES
        assert (await agent.share(2, 1, 0, 1))[0].ok
        assert agent.golden.used == 1
        order = (0, 2, 1) if first == 0 else (1, 0, 2)
        for n, owner in enumerate(order):
            await agent.free(owner)
            assert agent.golden.used == (n < 2)
            for left in order[n + 1:]:
                assert (await agent.lookup(left, 1, 0))[0] == before

    run(story)


def test_who_shares_a_beginning_goes_on_in_its_own_blocks():
    async def story(agent):
        await fill(agent, 0, 0, 0)
        assert (await agent.share(1, 0, 0, 0))[0].ok
        own = [(await agent.append(sequence, 0, 1, 0))[0] for sequence in (0, 1)]
        assert own[0].k != own[1].k and own[0].v != own[1].v
        assert own[0].v.slot == own[1].v.slot
        assert agent.golden.used == 3

    run(story)


def test_what_cannot_be_shared_is_refused_and_changes_nothing():
    async def story(agent):
        await agent.append(0, 0, 0, 0)
        assert not (await agent.share(1, 0, 0, 0))[0].ok        # not full
        await fill(agent, 0, 0, 0)
        await agent.append(2, 0, 1, 0)                          # in the other column slot
        kv = agent.machine.kv
        for what in ((0, 0, 0, 0), (1, 0, 1, 0), (1, 1, 0, 0), (2, 0, 0, 0),
                     (1, 0, 0, kv.sequences), (kv.sequences, 0, 0, 0), (1, 2, 0, 0)):
            reply, _ = await agent.share(*what)
            assert not reply.ok and not reply.full, what
        assert not (await agent.lookup(1, 0, 0))[0].ok

    run(story)


def test_without_a_page_it_is_full():
    async def story(agent):
        await fill(agent, 0, 0, 0)
        await agent.append(0, 0, 1, 0)
        reply, _ = await agent.share(1, 0, 0, 0)
        assert reply.full and not reply.ok
        await agent.free(0)
        assert agent.golden.used == 0

    run(story, pages=2)


@pytest.mark.parametrize("stall", [0.0, 0.5])
def test_random_commands_follow_the_golden_model(stall):
    rng = random.Random(3)

    async def story(agent):
        met = []
        for _ in range(150):
            key = rng.randrange(4), rng.randrange(2), rng.randrange(3)
            kind = rng.random()
            if kind < 0.25:
                for token in range(agent.machine.block_tokens):
                    agent.send(KvOp.APPEND, *key, token)
            elif kind < 0.7:
                met.append(agent.send(KvOp.SHARE, *key, 0, rng.randrange(4)))
            elif kind < 0.9:
                agent.send(KvOp.LOOKUP, *key)
            else:
                agent.send(KvOp.FREE, key[0])
        await agent.settled()
        assert sum(reply.ok for reply in met) > 3
        for sequence in range(4):
            await agent.free(sequence)
        assert agent.golden.used == 0
        replies = [(await agent.append(n // 8, n // 4 % 2, n % 4, 0))[0] for n in range(32)]
        assert sum(reply.ok for reply in replies) == 8     # nothing has leaked

    run(story, stall=stall)
