"""The integer primitives against exact rational arithmetic."""

import math
import random
from fractions import Fraction

import numpy as np
import pytest

from ouroboros.sw.golden import numerics


def half_up(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2))


def clip(value: int, low: int, high: int) -> int:
    return max(low, min(high, value))


# name, call, message
REFUSED = {
    "shift above 63": (lambda: numerics.rnd(1, 64), "shift must be between 0 and 63, not 64"),
    "negative shift": (lambda: numerics.rnd(1, [3, -1]), "shift must be between 0 and 63, not -1"),
    "rnd overflow": (lambda: numerics.rnd(2**62, 1),
                     f"a must be between {-2**62} and {2**62 - 1}, not {2**62}"),
    "wide acc": (lambda: numerics.requant([2**31], [1], 1),
                 f"acc must be between {-2**31} and {2**31 - 1}, not {2**31}"),
    "wide m": (lambda: numerics.requant([1], [65536], 1),
               "m must be between 0 and 65535, not 65536"),
    "wide input": (lambda: numerics.mvm([[128]], [[1]]), "x must be between -128 and 127, not 128"),
    "wide weight": (lambda: numerics.mvm([[1]], [[-129]]),
                    "weights must be between -128 and 127, not -129"),
    "wide residual": (lambda: numerics.square_sum([2**23]),
                      f"x must be between {-2**23} and {2**23 - 1}, not {2**23}"),
    "negative total": (lambda: numerics.rsqrt_norm([-1], 1, 1),
                       f"sum of squares must be between 0 and {2**63 - 1}, not -1"),
    "zero den": (lambda: numerics.normalise([[1]], [0]),
                 f"den must be between 1 and {2**31 - 1}, not 0"),
    "nothing valid": (lambda: numerics.score_max([1, 2], [False, False]),
                      "valid must hold at least one position of every head"),
    "score above the maximum": (lambda: numerics.exp_weights([5, 7], 6, 1, 0),
                                "maximum - score must be between 0 and 4294967295, not -1"),
    "wide up": (lambda: numerics.silu_mul([0], [200], np.zeros(256, int), 1, 1),
                "t8 must be between -128 and 127, not 200"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_operands_that_do_not_fit_are_refused(name):
    call, message = REFUSED[name]
    with pytest.raises(numerics.RangeError) as caught:
        call()
    assert str(caught.value) == message


def test_floats_are_refused():
    with pytest.raises(TypeError) as caught:
        numerics.rnd(np.array([1.0]), 1)
    assert str(caught.value) == "a must be integer, not float64"


def test_rnd_rounds_halves_upwards():
    rng = random.Random(1)
    for s in range(64):
        values = [rng.randint(-2**48, 2**48) for _ in range(20)] + [-3, -2, -1, 0, 1, 2, 3]
        values += [2**(s - 1), -2**(s - 1)] if 0 < s < 60 else []
        got = numerics.rnd(values, s)
        assert got.tolist() == [half_up(Fraction(v, 2**s)) for v in values]
    assert numerics.rnd([5, 5, 5], [0, 1, 2]).tolist() == [5, 3, 1]


def test_clips():
    values = [-40000, -32768, -129, -128, -127, 0, 127, 128, 32767, 40000]
    assert numerics.sat8(values).tolist() == [clip(v, -127, 127) for v in values]
    assert numerics.clip8(values).tolist() == [clip(v, -128, 127) for v in values]
    assert numerics.sat16(values).tolist() == [clip(v, -32768, 32767) for v in values]


def test_tables_are_the_nearest_integers():
    # Exact: |2 y - 2 v| <= 1 with v^2 = 65535^2 * 64 / (idx + 1/2), both sides squared.
    for idx, y in zip(range(64, 256), numerics.RSQRT.tolist(), strict=True):
        square = Fraction(65535**2 * 64 * 2, 2 * idx + 1)
        assert Fraction(2 * y - 1, 2)**2 <= square <= Fraction(2 * y + 1, 2)**2
    for j, e in enumerate(numerics.EXP.tolist()[:255]):
        assert max(2 * e - 1, 0)**16 * 2**j <= 254**16 <= (2 * e + 1)**16 * 2**j
    assert numerics.EXP[255] == 0
    assert np.count_nonzero(numerics.EXP) == 128
    for idx, r in enumerate(numerics.RECIP.tolist()):
        exact = 65535 / (1 + Fraction(2 * idx + 1, 512))
        assert abs(r - exact) <= Fraction(1, 2)
    for table, entries, bits in ((numerics.RSQRT, 192, 16), (numerics.EXP, 256, 7),
                                 (numerics.RECIP, 256, 16)):
        assert len(table) == entries
        assert 0 <= table.min() <= table.max() < 2**bits
        assert not table.flags.writeable


@pytest.mark.parametrize("k", [1, 64, 1023, 1024, 5000])
def test_mvm_is_exact_at_any_length(k):
    rng = np.random.default_rng(k)
    x = rng.integers(-128, 128, (2, 3, k))
    weights = rng.integers(-127, 128, (5, k))
    # Large odd products: a sum that float32 would have to round.
    x[0], weights[0] = rng.choice([125, 127], (3, k)), 127
    expected = np.einsum("abk,ok->abo", x, weights)
    assert (numerics.mvm(x, weights) == expected).all()
    assert (numerics.mvm(x, weights.astype(np.float32)) == expected).all()


def test_requant_and_residual():
    rng = random.Random(2)
    acc = [rng.randint(-2**31, 2**31 - 1) for _ in range(50)] + [-2**31, 2**31 - 1]
    m = [rng.randint(0, 65535) for _ in range(50)] + [65535, 65535]
    for s in (0, 13, 29, 63):
        exact = [half_up(Fraction(a * b, 2**s)) for a, b in zip(acc, m, strict=True)]
        assert numerics.requant(acc, m, s).tolist() == exact
        for limits in ((-32768, 32767), (1 - 2**23, 2**23 - 1)):
            x = [rng.randint(*limits) for _ in acc]
            assert numerics.residual_add(x, exact, limits).tolist() == [
                clip(a + b, *limits) for a, b in zip(x, exact, strict=True)]


def test_rsqrt_norm_takes_the_smallest_even_exponent():
    rng = random.Random(3)
    totals = [0, 1, 63, 64, 255, 256, 1023, 1024, 2**48 - 1, 2**63 - 1]
    totals += [rng.getrandbits(rng.randint(1, 63)) for _ in range(300)]
    factor, shift = numerics.rsqrt_norm(totals, 52103, 8)
    for total, y, s in zip(totals, factor.tolist(), shift.tolist(), strict=True):
        e = next(e for e in range(0, 60, 2) if total >> e < 256)
        table = round(65535 / math.sqrt((max(total >> e, 64) + 0.5) / 64))
        assert s == 8 + (e + 6) // 2
        assert y == half_up(Fraction(table * 52103, 65536))


def test_norm_is_close_to_the_real_norm():
    rng = np.random.default_rng(4)
    x = rng.integers(-3000, 3000, (50, 64))
    step = 4 / 127
    sg = 15 - math.floor(math.log2(8 / step))
    factor, shift = numerics.rsqrt_norm(numerics.square_sum(x), round(8 / step * 2**sg), sg)
    real = x / np.sqrt((x * x).mean(axis=1, keepdims=True)) / step
    assert np.abs(numerics.scale_norm(x, factor, shift) - real).max() < 1.1


def test_scale_norm_saturates():
    got = numerics.scale_norm([[-32768, -3, -1, 0, 1, 3, 32767]], [40000], [16])
    assert got.tolist() == [[-127, -2, -1, 0, 1, 2, 127]]


def test_rope_turns_pairs():
    rng = random.Random(5)
    x = [[rng.randint(-32768, 32767) for _ in range(6)] for _ in range(40)]
    row = [16384, 0, 0, 16384, -11585, 11585]
    for values, got in zip(x, numerics.rope(x, row).tolist(), strict=True):
        expected = []
        for pair in range(3):
            a, b, c, s = *values[2 * pair:2 * pair + 2], *row[2 * pair:2 * pair + 2]
            expected += [a * c - b * s, a * s + b * c]
        assert got == [clip(half_up(Fraction(v, 2**20)), -127, 127) for v in expected]


def test_exp_weights_ignore_masked_positions():
    scores = np.array([[[100, 900, -50, 2**31 - 1]]])
    valid = np.array([True, False, True, False])
    top = numerics.score_max(scores, valid)
    assert top.tolist() == [[[100]]]
    got = numerics.exp_weights(scores, top, [[[40000]]], 16, valid)
    # 150 * 40000 / 65536 = 91.55 sixteenths of an octave.
    assert got.tolist() == [[[127, 0, round(127 * 2 ** (-92 / 16)), 0]]]
    assert numerics.exp_weights([-2**31], 2**31 - 1, 65535, 0).tolist() == [0]


def test_a_masked_score_is_not_zero():
    valid = [True, True, False]
    top = numerics.score_max([-900, -800, 0], valid)
    assert top.tolist() == [-800]
    assert numerics.exp_weights([-900, -800, 0], top, 16, 4, valid).tolist() == [2, 127, 0]


def test_normalise_is_the_rounded_table_division():
    rng = random.Random(6)
    for _ in range(300):
        den = rng.getrandbits(rng.randint(1, 31)) or 1
        acc = [rng.randint(-127 * den, 127 * den) for _ in range(3)]
        acc = [clip(a, -2**31, 2**31 - 1) for a in acc]
        n = den.bit_length() - 1
        r = numerics.RECIP[((den << 8) >> n) & 255]
        expected = [clip(half_up(Fraction(a * int(r), 2**(16 + n))), -127, 127) for a in acc]
        got = numerics.normalise(acc, den).tolist()
        assert got == expected
        assert all(abs(g - a / den) < 0.8 for g, a in zip(got, acc, strict=True))


def test_silu_table_is_indexed_in_twos_complement():
    table = np.arange(256, dtype=np.int16)
    assert numerics.silu_value([-128, -1, 0, 1, 127], table).tolist() == [128, 255, 0, 1, 127]
    table = np.array([-30000] * 256, np.int16)
    got = numerics.silu_mul([-128, 0, 5], [127, -4, 0], table, 50000, 29)
    exact = [Fraction(-30000 * t * 50000, 2**29) for t in (127, -4, 0)]
    assert got.tolist() == [clip(half_up(v), -127, 127) for v in exact]


def test_argmax_takes_the_lowest_of_equals():
    assert numerics.argmax([3, 9, -1, 9, 9]) == 1
    assert numerics.argmax([[0, 0], [-5, -4]]).tolist() == [0, 1]
