"""Drawn tokens: their probabilities by hand, what is left out, and that draws can be repeated."""

import numpy as np
import pytest

from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.runtime.sampling import Sampling, next_token

ONE = 4096
"""1.0 as a logit of the machine."""
LOGITS = np.array([0, 2 * ONE, ONE, -5 * ONE, ONE], np.int32)


def test_probabilities_by_hand():
    ids, found = Sampling(temperature=2.0).probabilities(LOGITS)
    assert ids.tolist() == [1, 2, 4, 0, 3]
    weights = np.exp(np.array([2, 1, 1, 0, -5]) / 2)
    assert np.allclose(found, weights / weights.sum(), rtol=1e-12)


@pytest.mark.parametrize(("options", "expected"), [
    ({"top_k": 2}, [1, 2]), ({"top_k": 99}, [1, 2, 4, 0, 3]), ({"top_p": 1.0}, [1, 2, 4, 0, 3]),
    # e^2 : e : e : 1 are 0.53 : 0.20 : 0.20 : 0.07.
    ({"top_p": 0.5}, [1]), ({"top_p": 0.6}, [1, 2]), ({"top_p": 0.9}, [1, 2, 4]),
    ({"top_p": 1e-9}, [1]), ({"top_k": 3, "top_p": 0.95}, [1, 2, 4])])
def test_what_is_drawn_from(options, expected):
    ids, found = Sampling(temperature=1.0, **options).probabilities(LOGITS)
    assert ids.tolist() == expected
    assert np.isclose(found.sum(), 1)


def test_draws_follow_the_probabilities():
    sampling = Sampling(temperature=1.0, top_k=3, seed=7)
    draws = np.array([sampling.choose(LOGITS, 0, position) for position in range(4000)])
    _, wanted = sampling.probabilities(LOGITS)
    found = [(draws == token).mean() for token in (1, 2, 4)]
    assert sum(found) == 1
    assert np.abs(found - wanted).max() < 4 * np.sqrt(0.25 / 4000)


def test_draws_depend_on_seed_request_and_position_alone():
    flat = np.zeros(1000, np.int32)
    sampling = Sampling(temperature=1.0, seed=1)
    assert sampling.choose(flat, 2, 3) == Sampling(temperature=1.0, seed=1).choose(flat, 2, 3)
    others = {Sampling(temperature=1.0, seed=seed).choose(flat, request, position)
              for seed, request, position in ((1, 2, 3), (2, 2, 3), (1, 3, 3), (1, 2, 4))}
    assert len(others) == 4


def test_extreme_logits():
    wide = np.array([2**31 - 1, -2**31, 0], np.int32)
    for temperature in (1e-300, 1.0):
        assert Sampling(temperature=temperature).choose(wide, 0, 0) == 0
    assert Sampling(temperature=1e300, seed=3).probabilities(wide)[1].tolist() == [1 / 3] * 3


def test_without_sampling_the_likeliest():
    assert next_token(None, LOGITS, 0, 0) == 1
    assert next_token(Sampling(temperature=1.0, top_k=1), LOGITS, 0, 0) == 1


@pytest.mark.parametrize(("options", "message"), [
    ({"temperature": 0.0}, "temperature must be positive, not 0.0"),
    ({"temperature": float("nan")}, "temperature must be positive, not nan"),
    ({"top_k": 0}, "top_k must be at least 1, not 0"),
    ({"top_p": 0.0}, "top_p must be above 0 and at most 1, not 0.0"),
    ({"top_p": 1.5}, "top_p must be above 0 and at most 1, not 1.5"),
    ({"seed": -1}, "seed must be at least 0, not -1")])
def test_refused(options, message):
    with pytest.raises(OuroborosError) as caught:
        Sampling(**{"temperature": 1.0} | options)
    assert str(caught.value) == message
