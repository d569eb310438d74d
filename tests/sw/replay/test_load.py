"""A trace's requests on a machine: lengths, times, and what is refused by name."""

import numpy as np
import pytest

from ouroboros.sw.replay.load import ReplayError, scale, specs
from ouroboros.sw.wafer.requests import Requests


def requests(*rows):
    arrivals, prompts, outputs = zip(*rows, strict=True)
    return Requests(np.array(arrivals, float), np.array(prompts), np.array(outputs), "t.csv")


def test_all_fit_by_default():
    load = scale(requests((0, 1000, 24), (1.5, 10, 1)), context=64, second=100)
    assert load.prompts[0] + load.outputs[0] <= 64 and load.outputs.min() == 1
    assert load.arrivals.tolist() == [0, 150]
    assert load.prompts[0] / 1000 == pytest.approx(load.factor, rel=0.02)


def test_short_ones_stay_as_they_are():
    load = scale(requests((0, 10, 4)), context=64, second=1)
    assert (load.factor, load.prompts.tolist(), load.outputs.tolist()) == (1, [10], [4])


def test_a_factor_of_ones_own():
    load = scale(requests((0, 10, 4)), context=64, second=1, factor=0.25)
    assert (load.prompts.tolist(), load.outputs.tolist()) == ([3], [1])
    with pytest.raises(ReplayError, match="scale must be above 0"):
        scale(requests((0, 10, 4)), context=64, second=1, factor=0)


def test_prompts_are_drawn_once_and_for_all():
    load = scale(requests((0, 10, 4), (1, 20, 2)), context=64, second=10)
    found = specs(load, vocab_size=9, context=64, seed=3)
    assert found == specs(load, vocab_size=9, context=64, seed=3)
    assert found != specs(load, vocab_size=9, context=64, seed=4)
    assert [(len(one.prompt), one.limit, one.arrival) for one in found] == [(10, 4, 0), (20, 2, 10)]
    assert {token for one in found for token in one.prompt} <= {*range(9)}


def test_some_are_given_up():
    load = scale(requests(*[(n, 10, 4) for n in range(200)]), context=64, second=1)
    given = [one for one in specs(load, vocab_size=9, context=64, cancel=0.25)
             if one.cancel_at is not None]
    assert 20 < len(given) < 80 and all(one.cancel_at >= one.arrival for one in given)
    with pytest.raises(ReplayError, match=r"cancel must be 0 to 1, not 1\.5"):
        specs(load, vocab_size=9, context=64, cancel=1.5)


def test_longer_than_the_machine_can_ever_hold():
    load = scale(requests((0, 10, 4), (0, 65, 4)), context=64, second=1, factor=1)
    with pytest.raises(ReplayError, match=r"^request 2 of t\.csv: prompt must be at most 64 tokens "
                                          r"\(the context\) once it is scaled, not 65"):
        specs(load, vocab_size=9, context=64)
