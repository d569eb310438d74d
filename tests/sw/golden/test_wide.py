"""The primitives of wide operands against exact arithmetic."""

import math
import random
from fractions import Fraction

import numpy as np
import pytest

from ouroboros.sw.golden import numerics, wide


def half_up(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2))


def test_bit_length():
    rng = random.Random(1)
    values = [0, 1, 2, 3, 4, 2**31 - 1, 2**31, 2**62, 2**63 - 1]
    values += [rng.getrandbits(rng.randint(1, 63)) for _ in range(300)]
    assert wide.bit_length(values).tolist() == [value.bit_length() for value in values]
    with pytest.raises(numerics.RangeError) as caught:
        wide.bit_length([3, -1])
    assert str(caught.value) == "a must not be negative, not -1"


def test_sigmoid_is_symmetric_and_near():
    for fu in (5, 6, 11, 15):
        u = np.unique(np.concatenate([np.arange(-32768, 32768, 37), [-32768, -1, 0, 1, 32767]]))
        got = wide.sigmoid(u, fu)
        real = 65536 / (1 + np.exp(np.minimum(-u / 2.0**fu, 700)))
        # Half a step of the index, 1/64, at the steepest slope, 1/4; beyond 8 what is left out.
        assert np.abs(got - real).max() <= 65536 / 256 + 1
        assert (got[u > 2.0**fu * 8] == 65536).all()
        assert (got[u < -(2.0**fu) * 8.01] == 0).all()
    index = np.arange(-300, 301)
    assert (wide.sigmoid(index, 5) + wide.sigmoid(-index, 5))[index != 0].tolist() == [65536] * 600
    assert wide.sigmoid([0], 5).tolist() == [32768]


def test_tables():
    for j, value in enumerate(wide.SIGMOID.tolist()):
        assert abs(value - 65536 / (1 + math.exp(-j / 32))) <= 0.5 + 1e-9
    assert not wide.SIGMOID.flags.writeable
    assert wide.SIGMOID.max() < 2**16
    for bits in range(7, 13):
        table = numerics.exp_table(bits)
        assert (table[0], table[16], table[255]) == (2**bits - 1, 2**(bits - 1), 0)


def test_gated_is_the_product():
    rng = random.Random(2)
    corners = [-32768, -1, 0, 1, 32767]
    pairs = [(u, t) for u in corners for t in corners]
    pairs += [(rng.randint(-32768, 32767), rng.randint(-32768, 32767)) for _ in range(300)]
    u, t = map(list, zip(*pairs, strict=True))
    gate = wide.sigmoid(u, 9).tolist()
    assert wide.gated(u, t, 9).tolist() == [
        half_up(Fraction(g * a * b, 65536)) for g, a, b in zip(gate, u, t, strict=True)]
    assert wide.gated([32767, -32768], [-32768, -32768], 5).tolist() == [-32767 * 32768, 0]


@pytest.mark.parametrize("bits", [8, 11, 12])
def test_exponent_and_scale(bits):
    rng = random.Random(3)
    top = 2**(bits - 1) - 1
    tokens = [[0, 0], [top, -top], [top + 1, 0], [2**30, -5], [-(2**30), 3],
              # Rounds up to one more than the clip.
              [(top + 1) * 8 - 1, 4]]
    tokens += [[rng.randint(-2**30, 2**30) >> rng.randint(0, 30) for _ in range(2)]
               for _ in range(200)]
    ef = wide.exponent(tokens, bits)
    got = wide.scale_token(tokens, ef, bits)
    for token, e, f in zip(tokens, ef.tolist(), got.tolist(), strict=True):
        assert e == next(e for e in range(40) if max(map(abs, token)) >> e <= top)
        assert f == [max(-top, min(top, half_up(Fraction(w, 2**e)))) for w in token]
    assert ef[:5].tolist() == [0, 0, 1, 32 - bits, 32 - bits]
    assert got[5].tolist() == [top, 1]


@pytest.mark.parametrize("bits", [8, 9, 12, 13])
def test_digits_give_the_whole_product(bits):
    rng = np.random.default_rng(bits)
    low, high = -(2**(bits - 1)), 2**(bits - 1) - 1
    x = rng.integers(low, high + 1, (3, 2, 200))
    x[0, 0] = high
    x[0, 1] = low
    weights = rng.integers(-127, 128, (5, 200))
    expected = np.einsum("abk,ok->abo", x, weights)
    assert (wide.mvm_digits(x, weights, bits) == expected).all()


def test_refusals():
    cases = [
        (lambda: wide.mvm_digits([[2048]], [[1]], 12),
         "x must be between -2048 and 2047, not 2048"),
        (lambda: wide.mvm_digits(np.full((1, 8300), 2047), np.full((1, 8300), 127), 12),
         f"acc must be between {-2**31} and {2**31 - 1}, not {2047 * 127 * 8300}"),
        (lambda: wide.gated([0], [32768], 8), "t16 must be between -32768 and 32767, not 32768"),
        (lambda: wide.sigmoid([-32769], 8), "u16 must be between -32768 and 32767, not -32769"),
        (lambda: wide.exponent([[2**31]], 12),
         f"w must be between {-2**31} and {2**31 - 1}, not {2**31}"),
    ]
    for call, message in cases:
        with pytest.raises(numerics.RangeError) as caught:
            call()
        assert str(caught.value) == message
