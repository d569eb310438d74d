"""Runs: against sums of steps by hand, with room that is short, and what is refused."""

import numpy as np
import pytest

from ouroboros.sw.baselines.traffic import equal
from ouroboros.sw.models.shape import load_shape
from ouroboros.sw.tier.constants import constants
from ouroboros.sw.tier.dense import Dense
from ouroboros.sw.tier.errors import TierError
from ouroboros.sw.tier.figures.scheduling import prediction_of, steps_of
from ouroboros.sw.tier.lengths import TRACES, draw
from ouroboros.sw.tier.serve import prompt_seconds, run
from ouroboros.sw.tier.systems import system

pytestmark = pytest.mark.long


def padded(context, lanes):
    return -(-context // lanes) * lanes


def test_one_request_by_hand(ddr4, gpt):
    found = system("tier", gpt, ddr4[0])
    served = run(found, equal(1, 100, 50))
    block, layers = found.dense.block_s, gpt.n_layers
    p = prompt_seconds(found)
    within = max(p["prompt_arithmetic_s"] * 1e4,
                 p["prompt_linear_s"] * 100 + p["prompt_square_s"] * 1e4)
    expected = layers * (block(100) + within + 100 * found.link_prompt_s)
    for context in range(101, 150):
        expected += layers * (block(1) + found.attention_s(padded(context, 16), 1))
    assert served.counts["seconds"] == pytest.approx(expected)
    assert served.counts["tokens"] == 50


def test_two_halves_take_turns(ddr4, gpt):
    found = system("tier", gpt, ddr4[0])
    served = run(found, equal(2, 4000, 40), chunked=False)
    block, layers = found.dense.block_s, gpt.n_layers
    last = layers * sum(2 * max(block(1), found.attention_s(padded(context, 16), 1))
                        for context in range(4001, 4040))
    first = served.counts["seconds"] - last
    assert 0 < first < 2.1 * layers * (block(4000) + 1e-2)
    assert served.counts["steps"] == 41         # each prompt fills a step's tokens by itself


@pytest.mark.parametrize("name", ["gpu", "hbm-pim", "hbm-pim-ext", "cpu", "rank-pim", "tier"])
def test_every_token_is_served_where_room_is_short(ddr4, gpt, name):
    found = system(name, gpt, ddr4[0], capacity=0.1)
    traffic = draw("openr1", 60, 3)
    served = run(found, traffic, every=1)
    assert served.counts["tokens"] == traffic.output_tokens.sum()
    pages = found.kv_tokens // 16
    assert served.column("pages").max() <= pages
    assert (served.counts["preempted"] > 0) == (name in ("gpu", "hbm-pim", "hbm-pim-ext", "tier"))


def test_more_of_everything_is_never_slower(ddr4, gpt):
    traffic = draw("dolphin", 150, 1)

    def rate(**more):
        return run(system("tier", gpt, ddr4[0], **more), traffic).tokens_per_s

    base = rate(capacity=0.25, bandwidth=0.25)
    assert rate(capacity=0.25, bandwidth=0.5) > 1.3 * base
    assert rate(capacity=0.5, bandwidth=0.5) > 1.5 * base
    assert rate(capacity=0.25, bandwidth=0.25, rank_sets=1) < base


def test_a_balanced_step_is_shorter(ddr4, gpt):
    found, traffic = system("tier", gpt, ddr4[0]), draw("openr1", 200, 1)
    plain = run(found, traffic)
    own = prediction_of(plain)
    balanced = run(found, traffic, prediction=own)
    assert balanced.step_s < 0.75 * plain.step_s
    assert balanced.counts["tokens"] == plain.counts["tokens"]


@pytest.mark.parametrize("model", ["gpt-175b", "qwen2-72b"])
def test_predictions_hold_on_runs_that_were_not_fitted(ddr4, model):
    found = system("tier", load_shape(model), ddr4[0])
    own = prediction_of(run(found, draw("openr1", 200, 1)))
    for trace, seed in (("dolphin", 2), ("openthoughts", 3)):
        steps = steps_of(run(found, draw(trace, 200, seed)))
        pim = np.abs(own.pim_s(steps.context, steps.sequences) / steps.pim_s - 1)
        dense = np.abs(own.dense_s(steps.tokens) / steps.dense_s - 1)
        assert pim.mean() < 0.01
        assert dense.mean() < 0.01
        assert pim.max() < 0.01


def test_lengths_beyond_the_pool(ddr4, gpt):
    found = system("tier", gpt, ddr4[0], capacity=0.01)
    with pytest.raises(TierError, match=r"tokens of a request must be at most 4,656 \(the pool of "
                                        r"tier\), not 5,000 of request 1: shorten it, or"):
        run(found, equal(3, 1000, 4000))


@pytest.mark.parametrize(("more", "words"), [
    ({"tensor_parallel": 3}, "tensor_parallel must divide the 8 GPUs, not 3"),
    ({"tensor_parallel": 2}, "weights of gpt-175b must be at most 172 GB"),
    ({"rank_sets": 3}, "rank_sets must divide the 4 ranks of a channel, not 3"),
])
def test_systems_that_cannot_be(ddr4, gpt, more, words):
    with pytest.raises(TierError, match=words):
        system("tier", gpt, ddr4[0], **more)


def test_dense_layers(gpt):
    dense = Dense(gpt, 8, constants())
    assert dense.table(300) == pytest.approx(
        [dense.block_s(tokens) for tokens in range(301)])
    weights = dense.block_bytes / gpt.n_layers / 8 / dense.memory_bytes_per_s
    assert weights < dense.block_s(1) < 2 * weights
    for tokens in (1, 7, 64, 129, 1000):
        assert all(0 < dense.busy(tokens, *one) <= 1 for one in dense.products)
    with pytest.raises(TierError, match="must be 'decoder'"):
        Dense(load_shape("bert-large"), 2, constants())


@pytest.mark.parametrize("name", tuple(TRACES))
def test_drawn_lengths_have_the_published_means(name):
    one, found = TRACES[name], draw(name, 5000, 1)
    # Dolphin's prompts are so skew that their longest is cut, which takes 3 % off the mean.
    assert found.input_tokens.mean() == pytest.approx(one.input_mean, rel=0.035)
    assert found.output_tokens.mean() == pytest.approx(one.output_mean, rel=0.02)
    assert found.output_tokens.max() <= one.output_most
    assert found.output_tokens.std() > 0.7 * one.output_deviation


def test_an_unknown_trace():
    with pytest.raises(TierError, match="trace must be one of openr1, dolphin, openthoughts"):
        draw("sharegpt", 10)
