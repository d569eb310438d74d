"""Contents of the special-function ROMs, in exact integer arithmetic.

Formulas are those of the numerics scheme (steps 3, 6, 7 and 9); every entry is the nearest integer
to a real number, found here without binary floating point, so that it is the same on every
platform.
"""

from bisect import bisect_right
from decimal import Context, Decimal
from math import isqrt

SIGMOID_ONE = 1 << 16
"""What a sigmoid of 1 is in ``SIGMOID``."""
RSQRT_FIRST = 64
"""Index of the first entry of ``RSQRT``."""


def _rsqrt(index: int) -> int:
    """Nearest integer to 65535 / sqrt((index + 1/2) / 64)."""
    twice = isqrt(4 * 65535**2 * 128 // (2 * index + 1))
    return (twice + 1) // 2


def _exp(index: int, largest: int) -> int:
    """Nearest integer to largest * 2**(-index / 16)."""
    return bisect_right(range(largest), (2 * largest)**16,
                        key=lambda value: (2 * value + 1)**16 << index)


def _sigmoid(index: int) -> int:
    """Nearest integer to SIGMOID_ONE / (1 + exp(-index / 32))."""
    exact = Context(prec=40)
    power = exact.exp(exact.divide(Decimal(-index), Decimal(32)))
    return int(exact.to_integral_value(exact.divide(Decimal(SIGMOID_ONE), 1 + power)))


def _recip(index: int) -> int:
    """Nearest integer to 65535 / (1 + (index + 1/2) / 256)."""
    divisor = 513 + 2 * index
    return (2 * 65535 * 512 + divisor) // (2 * divisor)


RSQRT = tuple(_rsqrt(index) for index in range(RSQRT_FIRST, 256))
"""Reciprocal square roots for indices 64 to 255, 16 bits."""
EXP = (*(_exp(index, 127) for index in range(255)), 0)
"""Powers of two in sixteenths of an octave, 7 bits; the last entry is 0."""
EXP12 = (*(_exp(index, 4095) for index in range(255)), 0)
"""The same, 12 bits."""
SIGMOID = tuple(_sigmoid(index) for index in range(256))
"""Sigmoid in steps of 1/32, 16 bits."""
RECIP = tuple(_recip(index) for index in range(256))
"""Reciprocals of 1 to 2, 16 bits."""
