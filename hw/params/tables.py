"""Contents of the special-function ROMs, in exact integer arithmetic.

Formulas are those of the numerics scheme (steps 3, 6 and 7); every entry is the nearest integer to
a real number, found here without floating point, so that it is the same on every platform.
"""

from math import isqrt

RSQRT_FIRST = 64
"""Index of the first entry of ``RSQRT``."""


def _rsqrt(index: int) -> int:
    """Nearest integer to 65535 / sqrt((index + 1/2) / 64)."""
    twice = isqrt(4 * 65535**2 * 128 // (2 * index + 1))
    return (twice + 1) // 2


def _exp(index: int) -> int:
    """Nearest integer to 127 * 2**(-index / 16)."""
    value = 0
    while (2 * value + 1)**16 << index <= 254**16:
        value += 1
    return value


def _recip(index: int) -> int:
    """Nearest integer to 65535 / (1 + (index + 1/2) / 256)."""
    divisor = 513 + 2 * index
    return (2 * 65535 * 512 + divisor) // (2 * divisor)


RSQRT = tuple(_rsqrt(index) for index in range(RSQRT_FIRST, 256))
"""Reciprocal square roots for indices 64 to 255, 16 bits."""
EXP = (*(_exp(index) for index in range(255)), 0)
"""Powers of two in sixteenths of an octave, 7 bits; the last entry is 0."""
RECIP = tuple(_recip(index) for index in range(256))
"""Reciprocals of 1 to 2, 16 bits."""
