"""How wide values of scheme R2 travel through the SFU: saturation, and sums of squares as digits.

"Step" in a docstring is the step of R2 in docs/numerics.md.
"""

import numpy as np

from ouroboros.sw.golden.numerics import exp_table
from ouroboros.sw.golden.operands import Ints

__all__ = ["EXP12", "sat11", "sat12", "sat24", "sum_digits", "sum_of_digits"]

EXP12 = exp_table(12)
"""Step 6: powers of two in sixteenths of an octave, (256,) of 12 bits."""


def sat24(a: Ints) -> Ints:
    """Clip to -(2**23 - 1) .. 2**23 - 1."""
    return np.clip(a, -(1 << 23) + 1, (1 << 23) - 1)


def sat11(a: Ints) -> Ints:
    """Clip to -1023 .. 1023."""
    return np.clip(a, -1023, 1023)


def sat12(a: Ints) -> Ints:
    """Clip to -2047 .. 2047."""
    return np.clip(a, -2047, 2047)


def sum_digits(total: int) -> tuple[int, ...]:
    """A sum of squares as it travels: four digits of 16 bits, lowest first."""
    return tuple(total >> 16 * n & 0xFFFF for n in range(4))


def sum_of_digits(digits: Ints) -> int:
    """The sum again, from digits that were added up lane by lane: (4,) of unsigned 32 bits."""
    return sum(int(digit) << 16 * n for n, digit in enumerate(digits))
