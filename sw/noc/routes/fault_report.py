"""What faults do to the routes of a mesh: classes, detours, time of the check."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from ouroboros.sw.noc.experiment.traffic_file import Volumes
from ouroboros.sw.noc.routes.check import Checker
from ouroboros.sw.noc.routes.faults import Faults
from ouroboros.sw.noc.routes.live import live_mesh
from ouroboros.sw.noc.routes.routing import Routes
from ouroboros.sw.noc.routes.tables import make_tables
from ouroboros.sw.noc.routes.waypoints import HOPS, ROUTE_CLASS, count_all

__all__ = ["PairShares", "bytes_by_class", "check_seconds", "pair_shares"]

REPEATS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class PairShares:
    """Pairs of live cores by route class."""

    pairs: int
    """Pairs looked at."""
    all_pairs: bool
    """These are all ordered pairs, a core with itself included; else drawn at random."""
    shares: tuple[float, float, float]
    """Of classes 0, 1 and 2."""
    extra_hops: float
    """Mean hops of class 1 beyond the shortest way of an unbroken mesh."""


def pair_shares(routes: Routes, pairs: int, seed: int) -> PairShares:
    """Classes of ``pairs`` pairs drawn at random, or of all of them with ``pairs`` = 0."""
    cores, width = routes.cores, routes.mesh.width
    if pairs == 0:
        counts = count_all(width, routes.live.reach, cores, cores)
        total = int(counts[:3].sum())
        found, extra = counts[:3], counts[4] / max(counts[1], 1)
    else:
        rng = np.random.default_rng(seed)
        sources, ends = rng.choice(cores, (2, pairs))
        choices = routes.choices(sources, ends)
        found = np.bincount(choices[:, ROUTE_CLASS], minlength=3)
        total = pairs
        one = choices[:, ROUTE_CLASS] == 1
        least = (abs(sources % width - ends % width) + abs(sources // width - ends // width))
        extra = float((choices[:, HOPS] - least)[one].mean()) if one.any() else 0.0
    return PairShares(pairs=total, all_pairs=pairs == 0, extra_hops=float(extra),
                      shares=(found[0] / total, found[1] / total, found[2] / total))


def bytes_by_class(routes: Routes, volumes: Volumes) -> tuple[float, float, float]:
    """Shares of the bytes of classes 0, 1 and 2; every flow as unicast."""
    for what, place in (("source", volumes.sources), ("destination", volumes.ends)):
        for core in np.unique(place[~routes.live.live[place]])[:1]:
            routes.require(what, (int(core % routes.mesh.width) + 1,
                                  int(core // routes.mesh.width) + 1))
    choices = routes.choices(volumes.sources, volumes.ends)
    found = np.bincount(choices[:, ROUTE_CLASS], weights=volumes.volume_bytes, minlength=3)
    total = found.sum() or 1.0
    return found[0] / total, found[1] / total, found[2] / total


def check_seconds(faults: Faults) -> dict[str, Any]:
    """Processor time, in seconds, of making and checking routes: the least of some repeats.

    ``live_s`` finds out what is left, ``tables_s`` makes the tables of class 2, ``check_s`` checks
    all; ``die_s`` checks again after one die has changed, the longest of all dies.
    """
    best: dict[str, float] = {}

    def keep(name: str, seconds: float) -> None:
        best[name] = min(seconds, best.get(name, seconds))

    for _ in range(REPEATS + 1):    # the first time compiles, or loads what is compiled
        start = time.process_time()
        live = live_mesh(faults)
        keep("live_s", time.process_time() - start)
        start = time.process_time()
        tables = make_tables(live)
        keep("tables_s", time.process_time() - start)
        start = time.process_time()
        checker = Checker(live, tables)
        keep("check_s", time.process_time() - start)
    longest = 0.0
    for die in range(live.dies):
        start = time.process_time()
        checker.changed(live, tables, die)
        longest = max(longest, time.process_time() - start)
    return best | {"die_s": longest, "channels": checker.checked.channels,
                   "dependencies": checker.checked.dependencies}
