"""Attention in banks against a decoder's own, and parts of a head that are combined."""

import numpy as np
import pytest

from ouroboros.sw.golden import numerics, wide
from ouroboros.sw.golden.operands import RangeError
from ouroboros.sw.golden.pim import Context, attend, combine, scores_of

ME, SE = 37, 16


def head(tokens, seed):
    rng = np.random.default_rng(seed)
    return (rng.integers(-127, 128, 128), *(rng.integers(-127, 128, (tokens, 128), np.int8)
                                            for _ in range(2)))


@pytest.mark.parametrize("exp_bits", [7, 12])
@pytest.mark.parametrize("tokens", [1, 5, 63, 1000, 4096])
def test_as_the_decoder_has_it(tokens, exp_bits):
    """Steps 6 and 7 as ``GoldenDecoder`` calls them."""
    q, k, v = head(tokens, tokens)
    scores = numerics.mvm(q[None], k)
    e = numerics.exp_weights(scores, numerics.score_max(scores), ME, SE, None, exp_bits)
    acc = wide.mvm_digits(e, v.T, exp_bits + 1)
    assert (attend(q, k, v, ME, SE, exp_bits=exp_bits).values
            == numerics.normalise(acc, e.sum(axis=-1))[0]).all()


@pytest.mark.parametrize("exp_bits", [7, 12])
@pytest.mark.parametrize("cut", [1, 100, 999])
def test_a_split_head_gives_the_same_bits(cut, exp_bits):
    """Tokens here and there: once both know the largest score, int32 sums add up."""
    q, k, v = head(1000, cut)
    whole = attend(q, k, v, ME, SE, exp_bits=exp_bits)
    tops = [int(scores_of(q, k[part]).max()) for part in (slice(cut), slice(cut, None))]
    here, there = (attend(q, k[part], v[part], ME, SE, floor=floor, exp_bits=exp_bits)
                   for part, floor in ((slice(cut), tops[1]), (slice(cut, None), tops[0])))
    both = combine([here, there])
    assert (both.top, both.den) == (whole.top, whole.den)
    assert (both.sums == whole.sums).all()
    assert (both.values == whole.values).all()


def test_parts_with_different_maxima_are_refused():
    parts = [Context(top, 1, np.zeros(4, np.int64)) for top in (3, 5)]
    with pytest.raises(RangeError, match=r"one largest score, not \[3, 5\]"):
        combine(parts)


def test_scores_beyond_24_bits_are_refused():
    with pytest.raises(RangeError, match=r"^scores must fit 24 bits"):
        scores_of(np.full(1024, 127), np.full((1, 1024), 127))
