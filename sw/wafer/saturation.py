"""The highest rate at which requests keep their limits of latency."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ouroboros.sw.perf.errors import PerfError

__all__ = ["Saturation", "find_rate"]

STEPS = 6
"""Halvings of the factor's exponent: what is found is within 2 ** (1 / 64), 1.1 %."""
LOWEST, HIGHEST = 2.0 ** -20, 2.0 ** 30


@dataclass(frozen=True, slots=True)
class Saturation:
    """What was found."""

    factor: float
    """Of the requests' own rate."""
    found: Mapping[str, Any]
    """Metrics there."""
    tried: tuple[tuple[float, bool], ...]
    """Factors in the order they were tried, and whether the limits held."""


def find_rate(metrics: Callable[[float], Mapping[str, Any]],
              limits: Mapping[str, float]) -> Saturation:
    """Search the largest factor whose 99th percentiles hold the limits, by doubling and halving.

    Parameters
    ----------
    metrics : callable
        Metrics of a run at a factor of the requests' rate, as ``sw.wafer.metrics.summary``.
    limits : mapping
        Seconds by name of latency.

    Raises
    ------
    PerfError
        If there are no limits, or no rate holds them, or every rate does.
    """
    if not limits:
        raise PerfError("a rate is searched for limits of latency: give --ttft-ms, --tpot-ms or "
                        "--e2e-ms")
    tried: list[tuple[float, bool]] = []
    best: Mapping[str, Any] = {}

    def holds(factor: float) -> bool:
        nonlocal best
        found = metrics(factor)
        good = found["requests"] > 0
        for name, limit in limits.items():
            have = found[f"{name}_s"]
            good = good and (have is None or have["p99"] <= limit)
        tried.append((factor, good))
        if good:
            best = found
        return bool(good)

    factor = 1.0
    if holds(factor):
        while holds(2 * factor):
            factor *= 2
            if factor >= HIGHEST:
                raise PerfError("limits of latency must be such that some rate breaks them, but "
                                f"{factor:g} times that of the requests does not")
    else:
        factor /= 2
        while not holds(factor):
            factor /= 2
            if factor < LOWEST:
                raise PerfError("limits of latency must be longer than a request alone takes, but "
                                "no rate holds them")
    step = 2.0 ** 0.5
    for _ in range(STEPS):
        if holds(factor * step):
            factor *= step
        step **= 0.5
    return Saturation(factor, best, tuple(tried))
