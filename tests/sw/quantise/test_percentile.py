"""Percentiles of values in pieces, against NumPy's of the whole."""

import numpy as np
import pytest

from ouroboros.sw.quantise.percentile import Percentile


@pytest.mark.parametrize("percent", [0, 50, 99.9, 99.99, 100])
@pytest.mark.parametrize("count", [1, 2, 7, 1000, 30_000])
def test_equals_numpy_to_the_bit(count, percent):
    rng = np.random.default_rng(count)
    values = np.abs(rng.standard_normal((3, count))).astype(np.float32)
    values[:, : count // 3] = values[:, :1]         # many equal ones
    found = Percentile(count, percent)
    for start in range(0, count, 777):
        found.add(values[:, start:start + 777])
    assert found.result().tolist() == np.percentile(
        values.astype(np.float64), percent, axis=1).tolist()


def test_a_count_that_was_not_kept():
    found = Percentile(3, 50)
    for values in (None, np.ones((1, 2), np.float32)):
        if values is not None:
            found.add(values)
        with pytest.raises(ValueError, match=r"^values must be 3 in a group, not [02]$"):
            found.result()
