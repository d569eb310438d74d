"""Constants measured on the hardware: least squares over some parameter sets, one held out."""

import datetime
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ouroboros.sw.lib.write import write
from ouroboros.sw.perf.errors import PerfError

__all__ = ["CALIBRATION", "MARK", "Constant", "Fit", "Sample", "fit", "read_calibration",
           "write_calibration"]

CALIBRATION = Path(__file__).with_name("calibration.toml")
"""Written by ``ouroboros calibrate``."""
MARK = "# Written by `ouroboros calibrate`"
"""How such a file begins."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement."""

    features: tuple[float, ...]
    """What the cycles are a linear function of."""
    cycles: int
    """Measured."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Coefficients, and how well they foretell what they were not fitted on."""

    coefficients: tuple[float, ...]
    """One for each feature."""
    fitted_percent: float
    """Largest relative error on the samples of the fit."""
    held_out_percent: float
    """Largest relative error on the samples held out."""


@dataclass(frozen=True, slots=True)
class Constant:
    """One entry of the calibration file."""

    value: float
    """In ``unit``."""
    unit: str
    """For example ``cycles/beat``."""
    source: str
    """Command, parameter sets, held-out error."""
    date: str
    """Of the measurement."""


def fit(samples: Sequence[Sample], held_out: Sequence[Sample]) -> Fit:
    """Least squares over ``samples``, without an intercept: give a feature of ones for that.

    Raises
    ------
    PerfError
        If the samples do not determine the coefficients, or there is nothing held out.
    """
    if not held_out:
        raise PerfError("held-out samples must be at least one, not none")
    matrix = np.array([sample.features for sample in samples])
    cycles = np.array([sample.cycles for sample in samples], float)
    found, _, rank, _ = np.linalg.lstsq(matrix, cycles, rcond=None)
    if rank < matrix.shape[1]:
        raise PerfError(f"samples must determine {matrix.shape[1]} coefficients, not {rank}")

    def worst(some: Sequence[Sample]) -> float:
        return float(max(100 * abs(np.dot(sample.features, found) - sample.cycles) / sample.cycles
                         for sample in some))

    return Fit(tuple(float(value) for value in found), worst(samples), worst(held_out))


def write_calibration(groups: Mapping[str, Mapping[str, Constant]],
                      path: Path = CALIBRATION) -> None:
    """Write constants by group and name."""
    lines = [f"{MARK}: cycles measured on the RTL of leaf blocks."]
    for group, constants in groups.items():
        for name, constant in constants.items():
            lines += ["", f"[{group}.{name}]", f"value = {round(constant.value, 6)}",
                      f'unit = "{constant.unit}"', f'source = "{constant.source}"',
                      f"date = {constant.date}"]
    write(path, "\n".join(lines) + "\n")


def read_calibration(path: Path = CALIBRATION) -> dict[str, dict[str, Constant]]:
    """Constants by group and name.

    Raises
    ------
    PerfError
        If an entry lacks its value, unit, source or date.
    """
    with path.open("rb") as file:
        groups = tomllib.load(file)
    return {group: {name: _constant(f"{path.name}: {group}.{name}", entry)
                    for name, entry in entries.items()} for group, entries in groups.items()}


def _constant(where: str, entry: Mapping[str, Any]) -> Constant:
    kinds = {"value": float, "unit": str, "source": str, "date": datetime.date}
    for key, kind in kinds.items():
        if not isinstance(entry.get(key), kind):
            raise PerfError(f"{where}.{key} must be a {kind.__name__}, not {entry.get(key)!r}")
    return Constant(entry["value"], entry["unit"], entry["source"], str(entry["date"]))
