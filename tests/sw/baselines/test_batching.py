"""Continuous batching against a plain model of it, and rules that hold for all traffic."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroboros.sw.baselines.batching import Rules, StepTimes, serve_batches
from ouroboros.sw.baselines.traffic import Traffic, chat, equal

TIMES = StepTimes(fixed_s=1e-3, weights_s=5e-3, token_s=1e-4, result_s=1e-5, corner=4.0,
                  context_s=1e-6, square_s=1e-9, exchange_s=1e-6, sequence_s=1e-5)
RULES = Rules(sequences=4, kv_blocks=12, block_tokens=4, headroom_blocks=1, prompt_tokens=24)


def plain(traffic, t, rules):
    """The same rules with lists, as they are said; lengths in tokens of KV."""
    now, first, finish = 0.0, {}, {}
    made = dict.fromkeys(range(traffic.requests), 0)
    live, back, ahead = [], [], list(range(traffic.requests))
    again, recomputed, tokens = set(), 0, 0

    def length(n):
        return int(traffic.input_tokens[n]) + made[n]

    def blocks(n):
        return -(-(length(n) + 1) // rules.block_tokens)

    while live or back or ahead:
        if not live and not back:
            now = max(now, traffic.arrival_s[ahead[0]])
        new = []
        while len(live) < rules.sequences:
            queue = back or [n for n in ahead[:1] if traffic.arrival_s[n] <= now]
            if not queue:
                break
            n = queue[0]
            whole = int(traffic.input_tokens[n] + traffic.output_tokens[n])
            if n in ahead and -(-whole // rules.block_tokens) > rules.kv_blocks:
                ahead.remove(n)
                continue
            used = sum(map(blocks, live))
            if live and used + blocks(n) + rules.headroom_blocks > rules.kv_blocks:
                break
            if new and sum(map(length, new)) + length(n) > rules.prompt_tokens:
                break
            (back if n in back else ahead).remove(n)
            live.append(n)
            new.append(n)
        if not live:
            continue
        prompts = sum(map(length, new))
        recomputed += sum(length(n) for n in new if n in again)
        old = [n for n in live if n not in new]
        count = prompts + len(old)
        tokens += count
        arithmetic = count * t.token_s + len(live) * t.result_s
        now += (t.fixed_s + (t.weights_s ** t.corner + arithmetic ** t.corner) ** (1 / t.corner)
                + sum(map(length, old)) * t.context_s
                + sum(length(n) ** 2 for n in new) * t.square_s
                + count * t.exchange_s + len(live) * t.sequence_s)
        for n in list(live):
            made[n] += 1
            first.setdefault(n, now)
            if made[n] == traffic.output_tokens[n]:
                finish[n] = now
                live.remove(n)
        while sum(map(blocks, live)) > rules.kv_blocks:
            n = live.pop()
            back.insert(0, n)
            again.add(n)
    return first, finish, tokens, recomputed


def traffics(most=14):
    one = st.tuples(st.floats(0, 0.2), st.integers(1, 30), st.integers(1, 20))

    def make(rows):
        arrival = np.cumsum([row[0] for row in rows])
        return Traffic(arrival_s=arrival, input_tokens=np.array([row[1] for row in rows]),
                       output_tokens=np.array([row[2] for row in rows]), source="drawn")
    return st.lists(one, min_size=1, max_size=most).map(make)


@settings(deadline=None, max_examples=150)
@given(traffics())
def test_kernel_is_the_plain_model(traffic):
    run = serve_batches(traffic, TIMES, RULES)
    first, finish, tokens, recomputed = plain(traffic, TIMES, RULES)
    for n in range(traffic.requests):
        assert run.first_s[n] == pytest.approx(first.get(n, np.nan), nan_ok=True)
        assert run.finish_s[n] == pytest.approx(finish.get(n, np.nan), nan_ok=True)
    assert (run.tokens, run.recomputed) == (tokens, recomputed)


@settings(deadline=None, max_examples=100)
@given(traffics())
def test_tokens_are_conserved(traffic):
    run = serve_batches(traffic, TIMES, RULES)
    done = ~np.isnan(run.finish_s)
    lone = -(-(traffic.input_tokens + traffic.output_tokens) // RULES.block_tokens)
    assert (done == (lone <= RULES.kv_blocks)).all()
    # Each sequence computes its prompt and all its tokens but the last, in passes of one result;
    # a recomputation takes tokens again, and one result comes of it that was due anyway.
    once = (traffic.input_tokens + traffic.output_tokens - 1)[done].sum()
    assert run.results == traffic.output_tokens[done].sum()
    assert run.tokens - run.recomputed == once - run.preemptions
    assert run.busy_s <= (run.finish_s[done].max() if done.any() else 0) + 1e-9


@settings(deadline=None, max_examples=60)
@given(traffics(), st.sampled_from([one.name for one in fields(StepTimes) if one.name != "corner"]),
       st.floats(1, 10))
def test_a_slower_machine_is_never_faster(traffic, part, factor):
    """With all there at once: then steps are the same ones, each at least as long."""
    traffic = replace(traffic, arrival_s=np.zeros(traffic.requests))
    slow = replace(TIMES, **{part: getattr(TIMES, part) * factor})
    before, after = (serve_batches(traffic, times, RULES) for times in (TIMES, slow))
    assert (after.steps, after.tokens) == (before.steps, before.tokens)
    done = ~np.isnan(before.finish_s)
    assert (after.finish_s[done] >= before.finish_s[done] - 1e-12).all()


@pytest.mark.parametrize("lengths", [(8, 32), (64, 8), (1, 100)])
def test_a_larger_batch_is_never_slower(lengths):
    """Requests of one length, memory for all: the weights are read less often."""
    ends = [serve_batches(equal(64, *lengths), TIMES, Rules(
        sequences=batch, kv_blocks=1 << 20, block_tokens=16)).finish_s.max()
        for batch in (1, 2, 4, 8, 16, 32, 64)]
    assert ends == sorted(ends, reverse=True)
    assert ends[0] > 2 * ends[-1]


def test_the_maximum_can_be_sharp():
    sharp = replace(TIMES, corner=np.inf)
    run = serve_batches(equal(1, 1, 1), sharp, RULES)
    want = 1e-3 + max(5e-3, 1e-4 + 1e-5) + 1e-9 + 1e-6 + 1e-5
    assert run.finish_s[0] == pytest.approx(want, rel=1e-12)


def test_same_traffic_same_bits():
    one, two = (serve_batches(chat(300, 100, 50, seed=3), TIMES, Rules(
        sequences=32, kv_blocks=150, block_tokens=16)) for _ in range(2))
    assert one.finish_s.tobytes() == two.finish_s.tobytes()
    assert one.preemptions == two.preemptions > 0
