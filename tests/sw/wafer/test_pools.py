"""Pools beside the wafer: no pools is the plain loop, nothing is lost, what is not there."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroboros.sw.wafer.policy import NEVER
from ouroboros.sw.wafer.pooled_run import run_pooled
from ouroboros.sw.wafer.pools import POLICIES, PoolTimes
from ouroboros.sw.wafer.run import Traffic, run
from ouroboros.tests.sw.wafer.test_policy import RULES, loads, machine

POOL = PoolTimes(pools=1, lanes=2, room=200, together=4, hold=3.0, fixed=150.0, way=6.0, group=1.5,
                 port=2.0, move=8.0, policy=0, share=0.5, fails_at=NEVER)


def traffic(prompts, limits, arrivals=None):
    return Traffic(np.array(arrivals or [0] * len(prompts)), np.array(prompts), np.array(limits))


def equal(one, other):
    for name in ("served", "generated", "preemptions", "first", "end", "by_context"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    for name in ("recomputed", "poisoned", "frees", "injected", "cycles", "kv_share", "kv_peak",
                 "sequences"):
        assert getattr(one, name) == getattr(other, name), name


def kept(made):
    """Bytes on the wafer and in pools are those of the tokens alive, at every sample."""
    assert np.array_equal(made.column("wafer") + made.in_pools.sum(axis=1),
                          made.column("alive_tokens"))
    assert (made.where >= 0).all()
    assert (made.in_pools <= made.times.room).all()


@given(loads())
@settings(max_examples=60, deadline=None)
def test_without_pools_it_is_the_plain_loop(drawn):
    chain, rules, prompts, limits, arrivals = drawn
    rules = rules._replace(static_tokens=0)
    asked = traffic(prompts, limits, arrivals)
    equal(run_pooled(chain, rules, POOL._replace(pools=0), asked), run(chain, rules, asked))


@given(loads(), st.sampled_from(range(len(POLICIES))), st.integers(1, 3), st.integers(10, 80),
       st.sampled_from([NEVER, 0, 900, 5000]))
@settings(max_examples=150, deadline=None)
def test_nothing_is_lost(drawn, policy, pools, room, fails_at):
    chain, rules, prompts, limits, arrivals = drawn
    rules = rules._replace(static_tokens=0)
    asked = traffic(prompts, limits, arrivals)
    times = POOL._replace(pools=pools, room=room, policy=policy, fails_at=fails_at)
    made = run_pooled(chain, rules, times, asked)
    kept(made)
    # Tokens in are those out and those refused.
    assert (made.generated[made.served] == asked.outputs[made.served]).all()
    assert (made.generated[made.refused] < asked.outputs[made.refused]).all()
    whole = asked.prompts + asked.outputs - 1
    computed = whole[made.served].sum() + made.reached[made.refused].sum()
    # A sequence goes back to before a token that found its core full; what lay behind counts as
    # computed before, such tokens included.
    assert 0 <= computed - (made.tokens - made.recomputed) <= made.poisoned
    # Whom the wafer serves alone is served in any case.
    assert made.served[made.on_wafer].all()
    if fails_at == NEVER:
        assert not made.counts["lost"]


ROOMY = POOL._replace(room=10_000)


def test_who_the_wafer_cannot_hold_lives_in_a_pool():
    """Longer than all four blocks of both members: refused without pools, served with one."""
    asked = traffic([40] * 6, [10] * 6)
    alone = run_pooled(machine(32), RULES, POOL._replace(pools=0), asked)
    assert alone.refused.all() and not alone.generated.any()
    for policy in ("sequences", "oldest"):
        made = run_pooled(machine(32), RULES, ROOMY._replace(policy=POLICIES.index(policy)), asked)
        kept(made)
        assert made.served.all() and not made.on_wafer.any()
        assert made.in_pools.max() > 0 and made.counts["tokens_computed"] == 6 * 49
        # Whole ones leave nothing on the wafer; of split ones it has what the pool has not.
        assert (made.column("wafer").max() > 0) == (policy == "oldest")
    parked = run_pooled(machine(32), RULES, ROOMY._replace(policy=2), asked)
    assert parked.refused.all()


def test_a_token_of_a_pool_takes_what_is_said():
    """One sequence alone, by hand; reads are longer than four tokens take into the wafer."""
    times = ROOMY._replace(lanes=1, hold=20.0, way=40.0)
    chain = machine(64, slots=60)
    made = run_pooled(chain, RULES, times, traffic([40], [3]))
    wafer = chain.latency(1) - (2 + int(chain.way_at[1]))
    # Nine groups of four and one of three, each behind the read of the one before; then the last
    # token of the prompt by itself.
    reads = [4 * n for n in range(1, 10)] + [39]
    first = sum(30 * tokens for tokens in reads) + wafer + 150 + 40 * 40
    assert made.first[0] == first
    assert made.end[0] - first == 2 * (wafer + 150) + 40 * (41 + 42)
    assert made.counts["tokens_read"] == sum(reads) + 40 + 41 + 42
    assert made.counts["lane_cycles"] == sum(30 * n for n in reads) + 20 * (40 + 41 + 42)


def test_who_gives_way_is_moved_and_not_computed_again():
    asked = traffic([6] * 6, [20] * 6)
    plain = run(machine(32), RULES, asked)
    assert plain.recomputed > 20 and plain.preemptions.sum() > 2
    for policy in ("sequences", "parked"):
        times = ROOMY._replace(policy=POLICIES.index(policy), pools=1)
        made = run_pooled(machine(32), RULES, times, asked)
        kept(made)
        assert made.served.all()
        if policy == "parked":
            assert made.counts["parked"] == made.preemptions.sum() > 2
            # Out and back.
            assert made.counts["tokens_moved"] > 12 * made.counts["parked"]
            assert made.counts["tokens_computed"] == 0
            # What had been refused when it gave way was never computed.
            assert made.recomputed == 0


def test_a_move_takes_the_ports_time():
    """Eight cycles a token, out and back: slower ports, later ends."""
    asked = traffic([6] * 6, [20] * 6)
    ends = [run_pooled(machine(32), RULES, ROOMY._replace(policy=2, move=move), asked).cycles
            for move in (0.0, 8.0, 80.0, 800.0)]
    assert ends == sorted(ends) and ends[3] - ends[2] > 720 * 12


@pytest.mark.parametrize("policy", ["sequences", "oldest"])
def test_more_pools_are_never_slower(policy):
    """Requests that no wafer could hold."""
    asked = traffic([60] * 24, [20] * 24)
    cycles = [run_pooled(machine(32), RULES, POOL._replace(
        policy=POLICIES.index(policy), pools=pools, share=0.9), asked).cycles
        for pools in (1, 2, 4, 8)]
    assert cycles == sorted(cycles, reverse=True) and cycles[0] > cycles[-1]


def test_a_full_pool_makes_wait_and_a_small_one_refuses():
    asked = traffic([60, 60, 60, 400], [20] * 4)
    made = run_pooled(machine(32), RULES, POOL._replace(room=100), asked)
    assert made.served.tolist() == [True, True, True, False] and not made.generated[3]
    kept(made)
    # One after the other, as two do not fit.
    assert made.first[1] > made.end[0] and made.first[2] > made.end[1]


def test_a_pool_disappears():
    """Its sequences are computed again in the other one, or refused where there is none."""
    asked = traffic([60] * 4 + [6], [20] * 4 + [4])
    fine = run_pooled(machine(32), RULES, ROOMY._replace(pools=2), asked)
    half = int(fine.end[:4].min()) * 2 // 3
    both = run_pooled(machine(32), RULES, ROOMY._replace(pools=2, fails_at=half), asked)
    kept(both)
    assert both.served.all() and both.counts["lost"] == 2 and both.recomputed > 60
    # On the wafer nobody notices; in the other pool nobody loses anything.
    assert both.end[4] == fine.end[4] and both.generated.tolist() == fine.generated.tolist()
    none = run_pooled(machine(32), RULES, ROOMY._replace(fails_at=half), asked)
    kept(none)
    assert none.served.tolist() == [False] * 4 + [True] and none.counts["lost"] == 4
    assert none.in_pools[-1].tolist() == [0]
    after = run_pooled(machine(32), RULES, ROOMY._replace(fails_at=10 * fine.cycles), asked)
    before = run_pooled(machine(32), RULES, ROOMY, asked)
    equal(after, before)


def test_parked_sequences_of_a_lost_pool_are_computed_again():
    asked = traffic([6] * 6, [20] * 6)
    fine = run_pooled(machine(32), RULES, ROOMY._replace(policy=2), asked)
    lost = 0
    for at in range(0, fine.cycles, max(1, fine.cycles // 25)):
        made = run_pooled(machine(32), RULES, ROOMY._replace(policy=2, fails_at=at), asked)
        kept(made)
        assert made.served.all()
        lost += made.counts["lost"]
    assert lost
