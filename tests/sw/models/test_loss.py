"""When a user is told that the integer model is far from the float model."""

import math

import pytest

from ouroboros.sw.models.loss import Loss


def loss(kl):
    return Loss(tokens=200, float_perplexity=4.0, integer_perplexity=4.0, kl_nats=kl,
                perplexity_change_percent=0.0, standard_error_percent=1.0,
                top1_agreement_percent=61.5)


@pytest.mark.parametrize("kl", [0.0, 0.01, math.log(1.0499)])
def test_small_losses_are_not_mentioned(kl):
    assert loss(kl).warning() is None


@pytest.mark.parametrize(("kl", "percent", "nats"), [
    (math.log(1.06), "6.0", "0.0583"), (2.0, "638.9", "2"), (1e9, "1.9e+132", "1e+09")])
def test_large_losses_are_told_with_the_figure(kl, percent, nats):
    assert loss(kl).warning() == (
        f"the integer model is far from the float model: {percent} % more perplexity (limit 5 %), "
        f"KL divergence {nats} nats, same likeliest token in 62 % of 200 predictions")
