"""What scheme R2 adds to the arithmetic of the SFU, on integers.

"Step" in a docstring is the step of R2 in docs/numerics.md.
"""

import math

import numpy as np

from ouroboros.sw.golden.numerics import Ints, rnd

__all__ = ["DIGIT_BITS", "EXP12", "SIGMOID", "bits", "exponent", "gate", "sat12", "sat24",
           "squares", "sum_digits", "sum_of_digits"]

DIGIT_BITS = 6
"""An f or e of 12 bits goes through the int8 array as ``high * 2**6 + low``."""
GATE_ONE = 1 << 16
"""G of a large x; a step of its index is 1/32."""


def _table(values: list[int]) -> Ints:
    table = np.array(values, np.int64)
    table.flags.writeable = False
    return table


EXP12 = _table([round(4095 * 2 ** (-n / 16)) for n in range(255)] + [0])
"""Step 6: powers of two in sixteenths of an octave, (256,) of 12 bits."""
SIGMOID = _table([round(GATE_ONE / (1 + math.exp(-n / 32))) for n in range(256)])
"""Step 9: 2**16 sigmoid(n / 32), (256,) of 16 bits."""


def sat24(a: Ints) -> Ints:
    """Clip to -(2**23 - 1) .. 2**23 - 1."""
    return np.clip(a, -(1 << 23) + 1, (1 << 23) - 1)


def sat12(a: Ints) -> Ints:
    """Clip to -2047 .. 2047."""
    return np.clip(a, -2047, 2047)


def squares(y: Ints) -> Ints:
    """Step 3: ``q`` of int24 (n,): the square, from 2**15 on with 8 bits of y rounded off."""
    z = np.abs(y)
    coarse = rnd(z, 8)
    return np.where(z < 1 << 15, z * z, coarse * coarse << 16)


def sum_digits(total: int) -> tuple[int, ...]:
    """A sum of squares as it travels: four digits of 16 bits, lowest first."""
    return tuple(total >> 16 * n & 0xFFFF for n in range(4))


def sum_of_digits(digits: Ints) -> int:
    """The sum again, from digits that were added up lane by lane: (4,) of unsigned 32 bits."""
    return sum(int(digit) << 16 * n for n, digit in enumerate(digits))


def gate(u: Ints, shift: int) -> Ints:
    """Step 9: G of u with ``shift + 5`` fraction bits: 2**16 sigmoid(u), 0 to 65536."""
    index = rnd(u, shift)
    inside = SIGMOID[np.minimum(np.abs(index), 255)]
    value = np.where(index < 0, GATE_ONE - inside, inside)
    return np.where(index < -255, 0, np.where(index > 255, GATE_ONE, value))


def bits(value: int) -> int:
    """Position of the highest one, counted from 1; 0 of 0."""
    return value.bit_length()


def exponent(largest: int, kept: int) -> int:
    """Step 9: how far values up to ``largest`` are shifted, so that ``kept`` bits are left."""
    return max(0, bits(largest) - kept)
