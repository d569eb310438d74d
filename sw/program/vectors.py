"""Vectors of signed elements in flits, low end first, as ``docs/architecture.md`` packs them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["join_flits", "pack_vector", "unpack_vector"]

ELEMENT_BITS = (8, 16, 32)


def pack_vector(values: Sequence[int] | NDArray[Any], bits: int, flit_bits: int) -> list[int]:
    """Flits that hold signed elements of ``bits`` bits, low end first; the rest is 0.

    Raises
    ------
    ValueError
        If ``bits`` is not 8, 16 or 32, or a value does not fit.
    """
    _check_element(bits)
    array = np.asarray(values, dtype=np.int64)
    if array.ndim != 1:
        raise ValueError(f"values must be a vector, not of shape {array.shape!r}")
    bad = array[(array < -(1 << bits - 1)) | (array >= 1 << bits - 1)]
    if bad.size:
        raise ValueError(f"value must fit {bits} bits, not {int(bad[0])!r}")
    raw = array.astype(f"<i{bits // 8}").tobytes()
    size = flit_bits // 8
    return [int.from_bytes(raw[n:n + size], "little") for n in range(0, len(raw), size)]


def unpack_vector(flits: Sequence[int], bits: int, count: int, flit_bits: int) -> NDArray[Any]:
    """First ``count`` signed elements; inverse of ``pack_vector``."""
    _check_element(bits)
    raw = b"".join(flit.to_bytes(flit_bits // 8, "little") for flit in flits)
    return np.frombuffer(raw, dtype=f"<i{bits // 8}")[:count].astype(np.int64)


def join_flits(flits: Sequence[int], flit_bits: int) -> int:
    """Word of several flits, low end first."""
    return sum(flit << n * flit_bits for n, flit in enumerate(flits))


def _check_element(bits: int) -> None:
    if bits not in ELEMENT_BITS:
        raise ValueError(f"element bits must be one of {ELEMENT_BITS}, not {bits!r}")
