"""Energy of a whole run: its events, what leaked meanwhile, and the share that was done twice."""

from dataclasses import dataclass
from typing import Any

from ouroboros.hw.params.machine import Machine
from ouroboros.sw.energy.events import Events
from ouroboros.sw.energy.joules import Joules, joules, leakage_w
from ouroboros.sw.energy.technology import Technology

__all__ = ["RunEnergy", "run_energy"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunEnergy:
    """Joules of a run."""

    events: Events
    """What was done."""
    dynamic: Joules
    """Of events, by kind."""
    leakage: float
    """Of all wafers, in joules."""
    seconds: float
    """How long it took."""

    @property
    def total(self) -> float:
        """Joules in all."""
        return self.dynamic.total + self.leakage

    @property
    def recomputed(self) -> float:
        """Joules of events of tokens that had been computed before; a token is like another."""
        events = self.events
        return self.dynamic.total * events.tokens_recomputed / events.tokens if events.tokens else 0

    @property
    def watts(self) -> float:
        """Mean power; 0 of a run that takes no time."""
        return self.total / self.seconds if self.seconds else 0.0

    @property
    def per_token(self) -> float | None:
        """Joules over tokens computed, recomputed ones left out; None: there is none."""
        useful = self.events.tokens - self.events.tokens_recomputed
        return self.total / useful if useful else None

    @property
    def per_output(self) -> float | None:
        """Joules over tokens generated; None: there is none."""
        return self.total / self.events.tokens_out if self.events.tokens_out else None

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {"joules": self.total, "dynamic": self.dynamic.as_dict(), "leakage": self.leakage,
                "recomputed": self.recomputed, "seconds": self.seconds, "watts": self.watts,
                "joules_per_token": self.per_token, "joules_per_output_token": self.per_output}


def run_energy(events: Events, machine: Machine, technology: Technology, *, clock_hz: float,
               core_area_mm2: float, wafers: int = 1, corner: str = "mid",
               bit_planes: bool = False) -> RunEnergy:
    """Energy of a run of ``events.cycles`` at a clock on so many wafers."""
    seconds = events.cycles / clock_hz
    return RunEnergy(
        events=events, seconds=seconds,
        dynamic=joules(events, machine, technology, corner, bit_planes=bit_planes),
        leakage=wafers * seconds * leakage_w(machine, core_area_mm2, technology, corner))
