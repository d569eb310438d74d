"""Percentiles of values that come in pieces: only those that can still be the answer are kept."""

import math

import numpy as np
import numpy.typing as npt

__all__ = ["Percentile"]


class Percentile:
    """A high percentile of groups of non-negative values, as ``numpy.percentile`` has it.

    Parameters
    ----------
    count : int
        Values that each group will have had in the end.
    percent : float
        Which percentile, 0 to 100.
    """

    def __init__(self, count: int, percent: float):
        # Where the answer lies between two neighbours of the sorted values.
        place = (count - 1) * (percent / 100)
        self._low = math.floor(place)
        self._weight = place - self._low
        self._keep = count - self._low
        self._count = count
        self._seen = 0
        self._largest: npt.NDArray[np.float32] | None = None

    def add(self, values: npt.NDArray[np.float32]) -> None:
        """More values (groups, n)."""
        self._seen += values.shape[1]
        joined = values if self._largest is None else np.concatenate([self._largest, values], 1)
        if joined.shape[1] > self._keep:
            joined = np.partition(joined, joined.shape[1] - self._keep, axis=1)[:, -self._keep:]
        self._largest = joined

    def result(self) -> npt.NDArray[np.float64]:
        """The percentile of every group, (groups,).

        Raises
        ------
        ValueError
            If there were more or fewer values than announced.
        """
        if self._largest is None or self._seen != self._count:
            raise ValueError(f"values must be {self._count} in a group, not {self._seen}")
        lowest = np.sort(self._largest.astype(np.float64), axis=1)
        low, high = lowest[:, 0], lowest[:, min(1, self._keep - 1)]
        step = high - low
        # The nearer neighbour is the base, as in NumPy: the same bits.
        if self._weight >= 0.5:
            found: npt.NDArray[np.float64] = high - step * (1 - self._weight)
        else:
            found = low + step * self._weight
        return found
