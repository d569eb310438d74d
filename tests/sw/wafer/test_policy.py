"""The compiled policy against the scheduler itself: every step, every time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroboros.sw.wafer.chain import Cell, Chain, Window
from ouroboros.sw.wafer.loop import DONE, layout_of, serve
from ouroboros.sw.wafer.nodes import lay_out
from ouroboros.sw.wafer.plan import make_plan, one_layout
from ouroboros.sw.wafer.policy import (
    CONTEXT,
    END,
    FINISHED,
    FIRST,
    GENERATED,
    KV_FULL,
    LENGTH,
    PREEMPTIONS,
    Rules,
    fresh,
)
from ouroboros.tests.sw.wafer import plain_run

ENDED = {"length": LENGTH, "context": CONTEXT, "kv_full": KV_FULL}


def compiled(chain, rules, prompts, limits, arrivals, plan, *, by_sequence=0, steps=100_000):
    policy = fresh(rules, np.array(prompts), np.array(limits), np.array(arrivals))
    state, phases = plan.long.fresh()
    log, others = np.zeros((steps, 5), np.int64), np.zeros(3, np.int64)
    by_context = np.zeros(chain.contexts + 2, np.int64)
    code = serve(policy, rules, by_sequence, layout_of(plan.short), layout_of(plan.long),
                 plan.limit, plan.clear, chain.hold_at, chain.way_at, np.cumsum(chain.hold_at),
                 state, phases, np.zeros((1 << 12, 6), np.int64), by_context, others, np.zeros(4),
                 log)
    assert code == DONE
    by_context = np.cumsum(by_context)[:-1]
    return policy, log[log[:, 3] > 0].tolist(), by_context, others


def machine(context, hold=7, way=60, slots=6):
    at = np.arange(context + 1)
    return Chain((Cell("in", 3, 5), Cell("a", hold, way), Cell("att", 0, 2, True),
                  Cell("b", hold + 1, way)),
                 (Window("in", 0, 1, slots, 4), Window("w", 2, 3, slots + 2, 1)),
                 2 + at // 3, 20 + at // 2)


RULES = Rules(block_tokens=4, members=2, blocks=4, sequence_blocks=4, sequences=5, context=32,
              headroom_blocks=1, ring=0, static_tokens=0)


@st.composite
def loads(draw):
    count = draw(st.integers(1, 14))
    members = draw(st.integers(1, 3))
    rules = RULES._replace(
        members=members, blocks=draw(st.integers(2, 6)), sequences=draw(st.integers(1, 6)),
        headroom_blocks=draw(st.integers(0, 1)), ring=draw(st.integers(0, 1)),
        static_tokens=draw(st.sampled_from([0, 0, 10])))
    rules = rules._replace(sequence_blocks=draw(st.integers(1, rules.blocks)),
                           context=draw(st.integers(6, 4 * members * rules.blocks)))
    prompts = draw(st.lists(st.integers(1, rules.context), min_size=count, max_size=count))
    limits = draw(st.lists(st.integers(1, 25), min_size=count, max_size=count))
    gap = draw(st.sampled_from([0, 50, 2000]))
    gaps = draw(st.lists(st.integers(0, gap), min_size=count, max_size=count))
    chain = machine(rules.context, draw(st.integers(1, 12)), draw(st.integers(0, 150)),
                    draw(st.integers(1, 9)))
    return chain, rules, prompts, limits, np.cumsum(gaps).tolist()


def compare(chain, rules, prompts, limits, arrivals):
    requests, steps = plain_run.serve(chain, rules, prompts, limits, arrivals)
    for plan in (one_layout(lay_out(chain)), make_plan(chain)):
        policy, found, *_ = compiled(chain, rules, prompts, limits, arrivals, plan)
        assert found == [list(step) for step in steps]
        assert policy.requests[:, [FINISHED, GENERATED, PREEMPTIONS, FIRST, END]].tolist() == [
            [ENDED[one.finished], one.generated, one.preemptions, one.first, one.end]
            for one in requests]
        assert not policy.used.any() and not policy.promised.any()
    return requests


@given(loads())
@settings(max_examples=150, deadline=None)
def test_every_step_is_the_schedulers(drawn):
    compare(*drawn)


def test_preemption_and_refusals_happen():
    """What the property test is for does occur: four sequences outgrow a room for two."""
    requests = compare(machine(32), RULES, [6] * 6, [20] * 6, [0] * 6)
    assert sum(one.preemptions for one in requests) > 2
    assert {one.finished for one in requests} == {"length"}


def test_a_reservation_is_room_that_others_lack():
    """Ten tokens are all three blocks: one sequence at a time."""
    rules = RULES._replace(members=1, blocks=3, sequence_blocks=3, sequences=2, context=6,
                           headroom_blocks=0, static_tokens=10)
    first, second = compare(machine(6), rules, [1, 1], [1, 1], [0, 0])
    assert second.first > first.end


def test_a_ring_has_room_for_more():
    """Sequences of one block each lie in one member without it, in both with it."""
    ends = {}
    for ring in (0, 1):
        rules = RULES._replace(ring=ring, headroom_blocks=0)
        requests = compare(machine(32), rules, [3] * 20, [1] * 20, [0] * 20)
        ends[ring] = max(one.end for one in requests)
    assert ends[1] < ends[0]


def test_by_sequence():
    """A prompt is one unit: every cell takes all of it before the next cell does."""
    chain = machine(32)
    plan = one_layout(lay_out(chain, merged=False))
    policy, steps, by_context, _ = compiled(chain, RULES, [6, 5], [2, 1], [0, 0], plan,
                                            by_sequence=1)
    assert [step[1:4] for step in steps if step[3] > 1] == [[0, 0, 6], [1, 0, 5]]
    assert by_context.tolist()[:8] == [0, 2, 2, 2, 2, 2, 1, 1]
    hold = chain.hold_at
    alone = (6 * 3 - 3 + 5) + (6 * 7 - 7 + 60) + (
        hold[1:6].sum() + 2 + chain.way_at[6]) + (6 * 8 - 8 + 60)
    assert policy.requests[0, FIRST] == alone


@pytest.mark.parametrize("headroom", [0, 1, 3])
def test_more_headroom_means_fewer_preemptions(headroom):
    rules = RULES._replace(headroom_blocks=headroom, blocks=8, sequence_blocks=8, context=64)
    requests = compare(machine(64), rules, [5] * 12, [30] * 12, [0] * 12)
    assert all(one.finished == "length" for one in requests)
