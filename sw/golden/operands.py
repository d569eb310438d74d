"""Operands of the integer primitives: int64 arrays that fit the width the hardware gives them."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ouroboros.sw.lib.errors import OuroborosError

__all__ = ["Ints", "RangeError", "ints", "signed", "table"]

Ints = npt.NDArray[np.int64]


class RangeError(OuroborosError):
    """An operand that does not fit the width the hardware gives it."""


def table(values: list[int]) -> Ints:
    """A constant of the datapath, (n,); it cannot be written."""
    found = np.array(values, np.int64)
    found.flags.writeable = False
    return found


def ints(name: str, value: npt.ArrayLike, low: int, high: int) -> Ints:
    """An operand as int64, refused unless it is integer and within low..high."""
    array: npt.NDArray[Any] = np.asarray(value)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integer, not {array.dtype}")
    if array.size:
        smallest, largest = int(array.min()), int(array.max())
        if smallest < low or largest > high:
            wrong = smallest if smallest < low else largest
            raise RangeError(f"{name} must be between {low} and {high}, not {wrong}")
    return array.astype(np.int64, copy=False)


def signed(name: str, value: npt.ArrayLike, bits: int) -> Ints:
    """An operand as int64, refused unless it is integer and fits ``bits`` in two's complement."""
    return ints(name, value, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)
