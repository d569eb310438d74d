"""Faults over a wafer's life: which are survived, and what they cost."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ouroboros.sw.place.errors import PlaceError
from ouroboros.sw.place.instance import Instance
from ouroboros.sw.place.placement import Placement
from ouroboros.sw.place.repair import Repair, Repairer

__all__ = ["Lifetime", "live_through"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Lifetime:
    """A sequence of faults, each repaired."""

    repairs: tuple[Repair, ...]
    """One for each fault that was survived."""
    seconds: tuple[float, ...]
    """Wall time of each: chain and update of the placement."""
    table_seconds: float
    """Wall time of building the tables, once."""
    cost_before: int
    """Cost before the first fault."""
    placement: Placement
    """After the last repair, on the grid without the failed cores."""
    spares: int
    """Free live cores that are left."""
    refusal: str | None
    """Why the last fault could not be repaired; None if all were."""

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``; ``after`` holds the cumulative figures after 1, 10, 100, .. faults."""
        changes = np.cumsum([repair.cost_change for repair in self.repairs] or [0])
        milliseconds = np.array(self.seconds or [0.0]) * 1e3
        moved = np.array([max(0, repair.chain.size - 1) for repair in self.repairs] or [0])
        total = len(self.repairs)
        marks = sorted({10**k for k in range(9) if 10**k <= total} | ({total} if total else set()))
        return {
            "faults": total, "refusal": self.refusal, "spares_left": self.spares,
            "cost_before": self.cost_before, "cost": self.placement.cost,
            "cost_change": self.placement.cost / self.cost_before - 1 if self.cost_before else 0.0,
            "faults_on_tiles": int((moved > 0).sum()), "table_ms": self.table_seconds * 1e3,
            "mean_ms": float(milliseconds.mean()), "max_ms": float(milliseconds.max()),
            "p99_ms": float(np.quantile(milliseconds, 0.99)),
            "mean_tiles_moved": float(moved.mean()), "max_tiles_moved": int(moved.max()),
            "after": [{"faults": mark, "cost_change": int(changes[mark - 1])
                       / self.cost_before if self.cost_before else 0.0,
                       "mean_ms": float(milliseconds[:mark].mean())} for mark in marks]}


def live_through(instance: Instance, placement: Placement, faults: int, seed: int = 0,
                 progress: Callable[[int, int], None] | None = None, *,
                 dead: Iterable[int] = ()) -> Lifetime:
    """Let cores die one after the other until spares end: ``dead``, then some drawn at random.

    Parameters
    ----------
    faults : int
        Cores that are drawn, each from all live ones.
    dead : iterable of int
        Live cores that die before, in this order.

    Raises
    ------
    PlaceError
        If the placement is not one of the instance.
    """
    compile_once = Repairer(instance, placement)
    if compile_once.spares:
        compile_once.fail(int(placement.core[0]))
    began = time.perf_counter()
    repairer = Repairer(instance, placement)
    table_seconds = time.perf_counter() - began
    random = np.random.default_rng(seed)
    repairs, seconds, refusal = [], [], None
    named = tuple(dead)
    for n in range(len(named) + faults):
        live = repairer.live
        if not live.size:
            break
        failed = named[n] if n < len(named) else int(live[random.integers(live.size)])
        began = time.perf_counter()
        try:
            repairs.append(repairer.fail(failed))
        except PlaceError as error:
            refusal = str(error)
            break
        seconds.append(time.perf_counter() - began)
        if progress is not None:
            progress(n + 1, len(named) + faults)
    return Lifetime(repairs=tuple(repairs), seconds=tuple(seconds), table_seconds=table_seconds,
                    cost_before=placement.cost, placement=repairer.placement(),
                    spares=repairer.spares, refusal=refusal)
