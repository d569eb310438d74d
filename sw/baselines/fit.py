"""Constants of a system fitted to measured points, and the error on those that were held out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from ouroboros.sw.baselines.devices import Devices
from ouroboros.sw.baselines.errors import BaselineError
from ouroboros.sw.baselines.points import Point, predicted

__all__ = ["EXCHANGE", "FITTED", "SINGLE", "Errors", "Fit", "errors", "fit"]

FITTED = {"flops_share": (0.05, 1.0), "bandwidth_share": (0.05, 1.0), "kv_share": (0.05, 1.0),
          "corner": (1.0, 20.0), "layer_us": (0.1, 1e4), "sequence_us": (0.01, 1e4),
          "exchange_us": (0.1, 1e4), "exchange_gb_s": (1.0, 1e4)}
"""What no data sheet has, and between which values it is looked for."""
EXCHANGE = ("exchange_us", "exchange_gb_s")
"""Those that only points with several devices tell."""
SINGLE = tuple(name for name in FITTED if name not in (*EXCHANGE, "bandwidth_share"))
"""Those that points with one device tell. Time for a block's launches and for its weights add up to
the same in all points of one model, so a measured share of the bandwidth is better than a fitted
one."""
SCALE = 0.02
"""Errors much larger than this weigh as their size, smaller ones as their square."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Errors:
    """Relative errors of predictions, predicted / measured - 1."""

    points: tuple[Point, ...]
    """What was predicted."""
    values: tuple[float, ...]
    """One for each."""

    @property
    def mean(self) -> float:
        """Mean of their sizes."""
        return float(np.abs(self.values).mean())

    @property
    def most(self) -> float:
        """Largest of their sizes."""
        return float(np.abs(self.values).max())


@dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """Constants that were fitted."""

    devices: Devices
    """The system with them."""
    constants: dict[str, float]
    """By name."""
    fitted: Errors
    """On the points that they were fitted to."""
    held_out: Errors | None
    """On the others."""

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        def part(found: Errors | None) -> dict[str, Any] | None:
            return None if found is None else {"mean": found.mean, "most": found.most, "points": [
                {**point.as_dict(), "error": error}
                for point, error in zip(found.points, found.values, strict=True)]}
        return {"baseline": self.devices.name, "constants": self.constants,
                "fitted": part(self.fitted), "held_out": part(self.held_out)}


def errors(devices: Devices, points: Sequence[Point]) -> Errors:
    """Predict points."""
    return Errors(points=tuple(points), values=tuple(
        predicted(devices, point) / point.tokens_per_s - 1 for point in points))


def fit(devices: Devices, points: Sequence[Point], free: Sequence[str],
        held_out: Sequence[Point] = (), source: str = "fitted") -> Fit:
    """Fit constants by least squares of the logarithms, outliers weighing less.

    Parameters
    ----------
    free : sequence of str
        Which, of ``FITTED``; the others stay. The search begins at the values of ``devices``.
    held_out : sequence of Point, optional
        Points that are only predicted.
    source : str
        What the fitted constants say of where they come from.

    Raises
    ------
    BaselineError
        If there are fewer points than constants, or points do not tell a constant.
    """
    for name in free:
        if name not in FITTED:
            raise BaselineError(f"constant to fit must be one of {', '.join(FITTED)}, "
                                f"not {name!r}")
    if len(points) < len(free):
        raise BaselineError(f"points must be at least {len(free)} to fit {', '.join(free)}, "
                            f"not {len(points)}")
    if set(free) & set(EXCHANGE) and all(point.tensor_parallel == 1 for point in points):
        raise BaselineError(f"points must have some with tensor_parallel above 1 to fit "
                            f"{' and '.join(EXCHANGE)}")

    def with_values(logs: npt.NDArray[np.float64]) -> Devices:
        given = {name: float(value) for name, value in zip(free, np.exp(logs), strict=True)}
        return replace(devices, constants=devices.constants.with_values(given, source))

    low, high = np.log([FITTED[name] for name in free]).T
    start = np.log([devices.value(name) for name in free])
    found = least_squares(
        lambda logs: np.log1p(errors(with_values(logs), points).values),
        np.clip(start, low + 1e-3, high - 1e-3), bounds=(low, high), loss="soft_l1",
        f_scale=SCALE, x_scale=0.1, diff_step=1e-3)
    best = with_values(found.x)
    return Fit(devices=best, constants={name: best.value(name) for name in free},
               fitted=errors(best, points),
               held_out=errors(best, held_out) if held_out else None)
