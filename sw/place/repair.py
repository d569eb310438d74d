"""Repair of a placement: a core dies, a chain of tiles steps aside towards a free core."""

from dataclasses import dataclass, replace

import numpy as np

from ouroboros.sw.place.chain import LABELS_MAX, NEVER, find_chain
from ouroboros.sw.place.errors import PlaceError
from ouroboros.sw.place.instance import Grid, Instance, Ints
from ouroboros.sw.place.kernel import EMPTY
from ouroboros.sw.place.placement import Placement, check
from ouroboros.sw.place.traffic import traffic_of

__all__ = ["Repair", "Repairer", "spare_cores"]

REACH = 2
"""Cores to each side that one tile of a chain may step."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Repair:
    """What one fault did."""

    failed: int
    """The core that died."""
    chain: Ints
    """Cores from the failed one to the free one: the tile on each moves to the next. Empty if the
    failed core had no tile."""
    cost_change: int
    """Of the placement, exact."""


class Repairer:
    """A placement in service. Building the tables takes longer than a repair; they are kept.

    Raises
    ------
    PlaceError
        If the placement is not one of the instance.
    """

    def __init__(self, instance: Instance, placement: Placement) -> None:
        check(placement, instance)
        grid = instance.grid
        self._placement, self._grid = placement, grid
        self.cost = placement.cost
        """Of the placement as it is now."""
        traffic = traffic_of(instance)
        a, b, volume = instance.edges.T
        order = np.lexsort((np.r_[b, a], np.r_[a, b]))
        self._near = traffic.start, traffic.tile, np.r_[volume, volume][order]
        self._u, self._v = grid.u, grid.v
        self._alive = np.zeros(grid.cores, np.bool_)
        self._alive[grid.live] = True
        self._core = placement.core.copy()
        self._tile = np.full(grid.cores, EMPTY, np.int64)
        self._tile[self._core] = np.arange(self._core.size)
        self._best = np.full(grid.cores, NEVER, np.int64)
        self._labels = np.empty((4, LABELS_MAX), np.int64)

    @property
    def spares(self) -> int:
        """Live cores without a tile."""
        return int(self._alive.sum()) - self._core.size

    @property
    def live(self) -> Ints:
        """Cores that work, ascending."""
        return np.flatnonzero(self._alive)

    def fail(self, failed: int) -> Repair:
        """Take a core out of service and move its tile, if it has one.

        Raises
        ------
        PlaceError
            If the core is not a live one, or no core is free: then nothing has changed.
        """
        if not 0 <= failed < self._grid.cores or not self._alive[failed]:
            raise PlaceError(f"failed core must be a live core of the grid, not {failed}")
        tile = int(self._tile[failed])
        if tile == EMPTY:
            self._alive[failed] = False
            return Repair(failed=failed, chain=np.empty(0, np.int64), cost_change=0)
        if not self.spares:
            raise PlaceError(
                f"core {failed} cannot be repaired: all {self._core.size:,} live cores have a "
                "tile and no spare is left; place fewer tiles on this wafer")
        self._alive[failed] = False
        reach = REACH
        while True:
            change, chain = find_chain(failed, reach, self._grid.width, self._u, self._v,
                                       self._alive, self._core, self._tile, *self._near,
                                       self._best, self._labels)
            if chain.size:
                break
            # Dead cores wall the chain in, or its labels ran out: longer steps need fewer.
            reach *= 2
        moved = self._tile[chain[:-1]]
        self._tile[failed] = EMPTY
        self._tile[chain[1:]] = moved
        self._core[moved] = chain[1:]
        self.cost += int(change)
        return Repair(failed=failed, chain=chain, cost_change=int(change))

    def placement(self) -> Placement:
        """The placement as it is now, on a grid whose defects include the failed cores."""
        dead = tuple(np.flatnonzero(~self._alive).tolist())
        return replace(self._placement, grid=replace(self._grid, defects=dead),
                       core=self._core, cost=self.cost, lower_bound=None)


def spare_cores(grid: Grid, per_die: int) -> Ints:
    """Live cores to keep free, ``per_die`` on each die, spread over it; ascending.

    Chosen one after the other so that the core farthest from any chosen one becomes nearer: the
    sum over the die's live cores of the hops to the nearest chosen core falls most.

    Raises
    ------
    PlaceError
        If a die has fewer live cores than that.
    """
    chosen: list[int] = []
    live, u, v, die = grid.live, grid.u, grid.v, grid.die
    for number in range(grid.dies_across * grid.dies_down):
        mine = live[die[live] == number]
        if mine.size < per_die:
            raise PlaceError(f"spares per die must be at most {mine.size}, the live cores of die "
                             f"{number}, not {per_die}")
        hops = abs(u[mine][:, None] - u[mine]) + abs(v[mine][:, None] - v[mine])
        nearest = np.full(mine.size, hops.max(initial=0) + 1)
        for _ in range(per_die):
            n = int(np.minimum(nearest[:, None], hops).sum(0).argmin())
            nearest = np.minimum(nearest, hops[:, n])
            chosen.append(int(mine[n]))
    return np.array(sorted(chosen), np.int64)
