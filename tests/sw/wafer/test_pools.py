"""Pools beside the wafer: no pools is the plain loop, nothing is lost, what is not there."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroboros.sw.wafer.pooled_run import run_pooled
from ouroboros.sw.wafer.pools import POLICIES, PoolTimes
from ouroboros.sw.wafer.policy import NEVER
from ouroboros.sw.wafer.run import Traffic, run
from ouroboros.tests.sw.wafer.test_policy import RULES, loads, machine

POOL = PoolTimes(pools=1, lanes=2, room=200, together=4, hold=3.0, fixed=150.0, way=6.0, group=1.5, port=2.0,
                 move=8.0, policy=0, share=0.5, fails_at=NEVER)


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
    assert made.tokens - made.recomputed == whole[made.served].sum() + (
        made.reached[made.refused].sum())
    # Whom the wafer serves alone is served in any case.
    assert made.served[made.on_wafer].all()
    if fails_at == NEVER:
        assert not made.counts["lost"]
