"""A run within a limit of power: the clock goes down until the mean power of the run holds it.

Energy of an event is the same at any clock (no voltage is lowered); leakage goes on for as long as
the run does. All that takes cycles takes longer at a lower clock, latencies too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ouroboros.sw.energy.joules import capped_rate
from ouroboros.sw.energy.run import RunEnergy, run_energy
from ouroboros.sw.energy.technology import Technology
from ouroboros.sw.wafer.counts import run_events
from ouroboros.sw.wafer.estimate import Wafer
from ouroboros.sw.wafer.run import Run

__all__ = ["Power", "Throttled"]

NEAR = 0.005
"""A search ends where power is within this share below the limit."""
STEPS = 12
"""Runs of a search at most."""


@dataclass(frozen=True, slots=True)
class Throttled:
    """A run at the highest clock that was found to hold a limit."""

    run: Run
    """What came of the requests."""
    clock_hz: float
    """Clock."""
    energy: RunEnergy
    """Joules."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Power:
    """What a run on a wafer draws.

    Parameters
    ----------
    wafer : Wafer
        The model on the machine.
    technology : Technology
        Figures.
    corner : str
        Of the figures: ``low``, ``mid`` or ``high``.
    bit_planes : bool
        The array is read for every bit of an activation.
    """

    wafer: Wafer
    technology: Technology
    corner: str = "mid"
    bit_planes: bool = False

    def energy(self, run: Run, clock_hz: float, corner: str | None = None) -> RunEnergy:
        """Joules of a run at a clock."""
        return run_energy(run_events(self.wafer, run), self.wafer.machine, self.technology,
                          clock_hz=clock_hz, core_area_mm2=self.wafer.value("core_area_mm2"),
                          wafers=self.wafer.wafers, corner=corner or self.corner,
                          bit_planes=self.bit_planes)

    def throttled(self, run: Run, clock_hz: float, cap_w: float,
                  serve: Callable[[float], Run] | None = None) -> Throttled | None:
        """The same requests within a limit of mean power; None: leakage alone takes it.

        Parameters
        ----------
        run : Run
            At ``clock_hz``, the clock that is not exceeded.
        cap_w : float
            Watts.
        serve : callable, optional
            A run at another clock, where arrivals are in seconds. Without it all requests are there
            from the beginning, so that cycles are the same at every clock.
        """
        found = self.energy(run, clock_hz)
        if not found.seconds or found.watts <= cap_w:
            return Throttled(run, clock_hz, found)
        leakage = found.leakage / found.seconds
        if leakage >= cap_w:
            return None

        def share(energy: RunEnergy) -> float:
            """Of the clock, if the run took as many cycles at another one."""
            rate = 1 / energy.seconds
            return capped_rate(rate, energy.dynamic.total, leakage, cap_w) / rate

        if serve is None:
            clock_hz *= share(found)
            return Throttled(run, clock_hz, self.energy(run, clock_hz))
        best: Throttled | None = None
        # A slower machine waits less for requests, so its cycles are fewer and its power above what
        # its clock alone would make it: every step lands above the limit or at it, and the way
        # there is halved where it was too far.
        high, low = clock_hz, 0.0
        hz = clock_hz * share(found)
        for _ in range(STEPS):
            tried = serve(hz)
            energy = self.energy(tried, hz)
            if energy.watts <= cap_w:
                low, best = hz, Throttled(tried, hz, energy)
                if energy.watts >= cap_w * (1 - NEAR):
                    break
                hz = (low + high) / 2
            else:
                high = hz
                # A little further than the cycles say, so that the limit is met from below.
                hz = max(hz * share(energy) * (1 - NEAR / 2), (low + high) / 2 if low else 0.0)
        return best

    def as_dict(self, run: Run, clock_hz: float) -> dict[str, Any]:
        """Energy of a run by corner, for a file."""
        return {corner: self.energy(run, clock_hz, corner).as_dict()
                for corner in ("low", "mid", "high")}
