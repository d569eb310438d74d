"""The integer primitives of the datapath, one function per operation of the scheme.

Every function takes integers or integer arrays and gives int64 arrays; none uses a float on its
way. Operands are checked against the widths of the hardware, so a value that would wrap there is
refused here. "Step" in a docstring is the step of the scheme in docs/numerics.md.
"""

import functools
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ouroboros.sw.golden.operands import Ints, RangeError, ints, signed, table

__all__ = [
    "ACC_BITS", "EXP", "EXP_STEPS_PER_OCTAVE", "LOGIT_FRACTION_BITS", "NORM_INDEX_MIN", "QK_BITS",
    "RECIP", "ROPE_FRACTION_BITS", "RSQRT", "SHIFT_MAX", "Ints", "RangeError", "argmax", "clip8",
    "exp_table", "exp_weights", "mvm", "normalise", "requant", "residual_add", "rnd", "rope",
    "rsqrt_norm", "sat8", "sat16", "scale_norm", "score_max", "silu_mul", "silu_value",
    "square_sum",
]

SHIFT_MAX = 63
"""Largest shift: a shift field is 6 bits."""
ACC_BITS = 32
"""Width of a partial sum."""
QK_BITS = 6
"""Fraction bits that q and k carry below their int8 scale until RoPE is done."""
ROPE_FRACTION_BITS = 14
"""Fraction bits of the RoPE tables (Q1.14)."""
EXP_STEPS_PER_OCTAVE = 16
"""Entries of EXP per factor of two."""
LOGIT_FRACTION_BITS = 12
"""Fraction bits of the logits."""
NORM_INDEX_MIN = 64
"""Index of the first entry of RSQRT."""

_SQUARE_SUM_MAX = 1 << 63
# Exact in float32: no partial sum of this many int8 products reaches 2**24.
_EXACT_TERMS = 2**24 // 128**2 - 1


RSQRT = table([round(65535 / math.sqrt((n + 0.5) / 64)) for n in range(64, 256)])
"""Step 3: reciprocal square roots for indices 64 to 255, (192,) of 16 bits."""


@functools.cache
def exp_table(bits: int) -> Ints:
    """Step 6: powers of two in sixteenths of an octave, (256,) of ``bits``."""
    return table([round((2**bits - 1) * 2 ** (-n / 16)) for n in range(255)] + [0])


EXP = exp_table(7)
"""Step 6: exponentials of one pass of the array."""
RECIP = table([round(65535 / (1 + (n + 0.5) / 256)) for n in range(256)])
"""Step 7: reciprocals of 1 to 2, (256,) of 16 bits."""


def rnd(a: npt.ArrayLike, s: npt.ArrayLike) -> Ints:
    """``(a + 2**(s - 1)) >> s``: shift right, halves upwards; ``s = 0`` gives a. |a| < 2**62."""
    a = signed("a", a, 63)
    if type(s) is int and 0 <= s <= SHIFT_MAX:
        return (a + (1 << s >> 1)) >> s
    s = ints("shift", s, 0, SHIFT_MAX)
    half = np.where(s > 0, np.left_shift(np.int64(1), np.maximum(s - 1, 0)), 0)
    return np.right_shift(a + half, s)


def sat8(a: npt.ArrayLike) -> Ints:
    """Clip to the symmetric int8 range, -127 to 127."""
    return np.clip(np.asarray(a, np.int64), -127, 127)


def clip8(a: npt.ArrayLike) -> Ints:
    """Clip to the whole int8 range, -128 to 127 (step 9, table index only)."""
    return np.clip(np.asarray(a, np.int64), -128, 127)


def sat16(a: npt.ArrayLike) -> Ints:
    """Clip to int16, -32768 to 32767."""
    return np.clip(np.asarray(a, np.int64), -32768, 32767)


def mvm(x: npt.ArrayLike, weights: npt.ArrayLike) -> Ints:
    """Partial sums of int8 inputs (..., k) and int8 weights (outputs, k): (..., outputs).

    Exact: the products are added as float32 in runs too short to round, then as int64. Weights
    that are used often may be int8 values kept as float32.
    """
    x, weights = signed("x", x, 8), np.asarray(weights)
    if weights.dtype != np.float32:
        weights = signed("weights", weights, 8)
    rows = x.reshape(-1, x.shape[-1]).astype(np.float32)
    columns = weights.astype(np.float32, copy=False).T
    acc = np.zeros((rows.shape[0], columns.shape[1]), np.int64)
    for start in range(0, columns.shape[0], _EXACT_TERMS):
        stop = start + _EXACT_TERMS
        acc += (rows[:, start:stop] @ columns[start:stop]).astype(np.int64)
    return acc.reshape(*x.shape[:-1], columns.shape[1])


def requant(acc: npt.ArrayLike, m: npt.ArrayLike, s: npt.ArrayLike) -> Ints:
    """``rnd(acc * m, s)``, 32 x 16 to 48 bits; what follows saturates or adds."""
    return rnd(signed("acc", acc, ACC_BITS) * ints("m", m, 0, 65535), s)


def residual_add(x: npt.ArrayLike, delta: npt.ArrayLike, limits: tuple[int, int]) -> Ints:
    """Steps 8 and 9: the residual (..., dim) after adding a requantised projection."""
    low, high = limits
    found: Ints = np.clip(ints("x", x, low, high) + signed("delta", delta, 63), low, high)
    return found


def square_sum(x: npt.ArrayLike) -> Ints:
    """Step 3: sum of squares of int24 (..., n) over the last axis; sums of slices add up.

    Of magnitudes above 15 bits the lowest 8 bits are rounded off before the square.
    """
    z = np.abs(signed("x", x, 24))
    wide = z >= 1 << 15
    digit = np.where(wide, rnd(z, 8), z)
    square = digit * digit
    return np.asarray(np.where(wide, square << 16, square).sum(axis=-1))


def rsqrt_norm(total: npt.ArrayLike, mg: int, sg: int) -> tuple[Ints, Ints]:
    """Step 3: factor Y (16 bits) and shift of a token from ``ss = sum x^2 + c``.

    The norm's output is ``scale_norm(x, Y, shift)`` with ``shift = sg + (e + 6) / 2``.
    """
    total = ints("sum of squares", total, 0, _SQUARE_SUM_MAX - 1)
    e = np.zeros_like(total)
    while (wide := np.right_shift(total, e) >= 256).any():
        e = e + 2 * wide
    index = np.maximum(np.right_shift(total, e), NORM_INDEX_MIN)
    factor = rnd(RSQRT[index - NORM_INDEX_MIN] * ints("mg", mg, 0, 65535), 16)
    return factor, sg + (e + 6) // 2


def scale_norm(x: npt.ArrayLike, factor: npt.ArrayLike, shift: npt.ArrayLike) -> Ints:
    """Step 3: int8 output of the norm, ``sat8(rnd(x * Y, shift))``; Y and shift per token."""
    factor = ints("factor", factor, 0, 65535)[..., None]
    return sat8(rnd(signed("x", x, 24) * factor, np.asarray(shift)[..., None]))


def rope(x: npt.ArrayLike, row: npt.ArrayLike) -> Ints:
    """Step 5: int8 (..., head_dim) from int16 pairs (a, b) turned by a row C0, S0, C1, S1, ..."""
    x = signed("x", x, 16)
    row = signed("row", row, 16)
    a, b = x[..., 0::2], x[..., 1::2]
    cos, sin = row[..., 0::2], row[..., 1::2]
    turned = np.stack([a * cos - b * sin, a * sin + b * cos], axis=-1)
    turned = turned.reshape(*turned.shape[:-2], -1)
    return sat8(rnd(turned, ROPE_FRACTION_BITS + QK_BITS))


def score_max(scores: npt.ArrayLike, valid: npt.ArrayLike | None = None) -> Ints:
    """Step 6: maximum of int32 scores (..., n) over the valid positions, kept as (..., 1)."""
    scores = signed("scores", scores, ACC_BITS)
    if valid is not None:
        if not np.asarray(valid).any(axis=-1).all():
            raise RangeError("valid must hold at least one position of every head")
        scores = np.where(valid, scores, -(1 << (ACC_BITS - 1)))
    return np.asarray(scores.max(axis=-1, keepdims=True))


def exp_weights(scores: npt.ArrayLike, maximum: npt.ArrayLike, me: npt.ArrayLike, se: int,
                valid: npt.ArrayLike | None = None, bits: int = 7) -> Ints:
    """Step 6: e (..., n) of ``bits`` from scores and their maximum; masked positions give 0."""
    scores = signed("scores", scores, ACC_BITS)
    drop = signed("maximum", maximum, ACC_BITS) - scores
    if valid is not None:
        drop = np.where(valid, drop, 0)
    drop = ints("maximum - score", drop, 0, 2**ACC_BITS - 1)
    weights = exp_table(bits)[np.minimum(rnd(drop * ints("me", me, 0, 65535), se), 255)]
    return np.asarray(weights if valid is None else np.where(valid, weights, 0))


def normalise(acc: npt.ArrayLike, den: npt.ArrayLike) -> Ints:
    """Step 7: int8 context (..., head_dim) from ``sum e * v8`` and ``den = sum e`` (...)."""
    acc = signed("acc", acc, ACC_BITS)
    den = ints("den", den, 1, 2 ** (ACC_BITS - 1) - 1)
    n = np.zeros_like(den)
    while (wide := np.right_shift(den, n) > 1).any():
        n = n + wide
    index = np.right_shift(den << 8, n) & 255
    return sat8(rnd(acc * RECIP[index][..., None], (16 + n)[..., None]))


def silu_value(u8: npt.ArrayLike, table: npt.ArrayLike) -> Ints:
    """Step 9: table value of u8; the index is u8 in two's complement, ``u8 & 255``."""
    values: Ints = signed("table", table, 16)[signed("u8", u8, 8) & 255]
    return values


def silu_mul(u8: npt.ArrayLike, t8: npt.ArrayLike, table: npt.ArrayLike, mf: int, sf: int) -> Ints:
    """Step 9: int8 product of SiLU(gate) and up, ``sat8(rnd(SL[u8] * t8 * Mf, Sf))``."""
    gate = silu_value(u8, table)
    return sat8(rnd(gate * signed("t8", t8, 8) * ints("mf", mf, 0, 65535), sf))


def argmax(logits: npt.ArrayLike) -> npt.NDArray[Any]:
    """Id of the largest logit over the last axis, the lowest id of equals."""
    return np.asarray(signed("logits", logits, ACC_BITS).argmax(axis=-1))
