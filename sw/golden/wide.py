"""The integer primitives for operands wider than the int8 array, and the gate that makes them.

As in ``sw.golden.numerics``, integers only, operands refused where they would wrap; "step" is that
of docs/numerics.md.
"""

import math

import numpy as np
import numpy.typing as npt

from ouroboros.sw.golden.numerics import ACC_BITS, Ints, RangeError, mvm, rnd
from ouroboros.sw.golden.operands import signed, table
from ouroboros.sw.models.scheme import DIGIT_BITS, SIGMOID_FRACTION_BITS

__all__ = ["SIGMOID", "bit_length", "exponent", "gated", "mvm_digits", "scale_token", "sigmoid"]

_ONE = 1 << 16
_GATE_BITS = 16

SIGMOID = table([round(_ONE / (1 + math.exp(-n / 2**SIGMOID_FRACTION_BITS))) for n in range(256)])
"""Step 9: sigmoids of 0 to 8 in steps of 1/32, (256,) of 16 bits."""


def bit_length(a: npt.ArrayLike) -> Ints:
    """Bits of integers >= 0: the place of the highest one, counted from 1; 0 for 0."""
    a = np.asarray(a, np.int64)
    if a.size and a.min() < 0:
        raise RangeError(f"a must not be negative, not {a.min()}")
    bits = np.zeros_like(a)
    for step in (32, 16, 8, 4, 2, 1):
        high = np.right_shift(a, bits + step) > 0
        bits = bits + step * high
    return np.asarray(bits + (np.right_shift(a, bits) > 0))


def sigmoid(u16: npt.ArrayLike, fu: int) -> Ints:
    """Step 9: sigmoids with 16 fraction bits, 0 to 65536, of gates with ``fu`` fraction bits."""
    index = rnd(signed("u16", u16, _GATE_BITS), fu - SIGMOID_FRACTION_BITS)
    half = SIGMOID[np.minimum(np.abs(index), 255)]
    half = np.where(np.abs(index) > 255, _ONE, half)
    return np.where(index < 0, _ONE - half, half)


def gated(u16: npt.ArrayLike, t16: npt.ArrayLike, fu: int) -> Ints:
    """Step 9: ``rnd(sigmoid * t * u, 16)``, int32 of at most 2**30 in magnitude."""
    product = sigmoid(u16, fu) * signed("t16", t16, _GATE_BITS)
    return rnd(product * signed("u16", u16, _GATE_BITS), 16)


def exponent(w: npt.ArrayLike, bits: int) -> Ints:
    """Step 9: exponent (...) of tokens (..., n), with which n signed ``bits`` hold them."""
    largest = np.abs(signed("w", w, ACC_BITS)).max(axis=-1)
    return np.maximum(bit_length(largest) - (bits - 1), 0)


def scale_token(w: npt.ArrayLike, ef: npt.ArrayLike, bits: int) -> Ints:
    """Step 9: ``rnd(w, ef)`` of tokens (..., n), clipped to ``bits``, symmetric."""
    top = (1 << (bits - 1)) - 1
    return np.clip(rnd(signed("w", w, ACC_BITS), np.asarray(ef)[..., None]), -top, top)


def mvm_digits(x: npt.ArrayLike, weights: npt.ArrayLike, bits: int) -> Ints:
    """Partial sums of inputs of ``bits``, signed, and int8 weights.

    One pass of the array up to 8 bits; above that one for each digit of 6 bits, the low one
    unsigned.

    Raises
    ------
    RangeError
        If a sum does not fit int32.
    """
    x = signed("x", x, bits)
    if bits <= 8:
        return mvm(x, weights)
    high = mvm(x >> DIGIT_BITS, weights)
    low = mvm(x & ((1 << DIGIT_BITS) - 1), weights)
    return signed("acc", (high << DIGIT_BITS) + low, ACC_BITS)
