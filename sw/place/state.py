"""The arrays of a search, shared by its phases, and one thread's work on them."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from ouroboros.sw.place.budget import Budget
from ouroboros.sw.place.cost import cost
from ouroboros.sw.place.instance import Instance, Ints
from ouroboros.sw.place.kernel import EMPTY, NOBODY, exponential_draws, sweep
from ouroboros.sw.place.traffic import Ints32, traffic_of

__all__ = ["Bools", "Owners", "State", "Step"]

Bools = npt.NDArray[np.bool_]
Owners = npt.NDArray[np.int8]
"""Thread of each core, or ``NOBODY``, ``(cores,)``."""
Step = tuple[int, float, int]
"""Moves, temperature in hops of a mean edge, window."""
NEAR, NEAR_OF_256 = 1, 128
"""Half of the proposals jump next to a neighbour in the traffic; see docs/placement.md."""


class State:
    """A placement under search. ``core`` is replaced as a whole, never changed."""

    def __init__(self, instance: Instance, start: Ints, seed: int, threads: int,
                 movable: Bools | None) -> None:
        grid = instance.grid
        self.instance, self.threads, self.width = instance, threads, grid.width
        self.traffic = traffic_of(instance)
        self.mean = self.traffic.mean_volume
        self.u, self.v = grid.u.astype(np.int32), grid.v.astype(np.int32)
        self.x, self.y = grid.x, grid.y
        self.core = start.astype(np.int32)
        self.draws = exponential_draws()
        self.random = np.random.default_rng(seed)
        self.streams = [self.random.integers(1, 1 << 63, 2).astype(np.uint64)
                        for _ in range(threads)]
        self.movable = np.ones(instance.tiles, np.bool_) if movable is None else movable
        self.usable = np.zeros(grid.cores, np.bool_)
        self.usable[grid.live] = True
        self.usable[self.core[~self.movable]] = False
        self.best, self.best_core = cost(instance, start), start.astype(np.int64)

    def part(self, me: int, owner: Owners, steps: list[Step]) -> tuple[Ints32, int, int]:
        """One thread's work: cores as it leaves its tiles, moves evaluated and accepted."""
        core, traffic = self.core.copy(), self.traffic
        tile = np.full(owner.size, EMPTY, np.int32)
        tile[core] = np.arange(core.size, dtype=np.int32)
        mine = np.flatnonzero((owner[core] == me) & self.movable).astype(np.int32)
        tile_u, tile_v = self.u[core], self.v[core]
        evaluated = accepted = 0
        for moves, hops, window in steps if mine.size else []:
            done, taken, _ = sweep(
                moves, hops * self.mean, window, NEAR, NEAR_OF_256, self.streams[me], self.draws,
                mine, owner, me, traffic.start, traffic.tile, traffic.volume, self.u, self.v,
                self.width, core, tile, tile_u, tile_v)
            evaluated += done
            accepted += taken
        return core, evaluated, accepted

    def parts(self, pool: ThreadPoolExecutor, owner: Owners, steps: list[list[Step]],
              budget: Budget) -> list[Ints32]:
        """Every thread's work, counted; ``steps`` holds a list for each thread."""
        found = list(pool.map(lambda me: self.part(me, owner, steps[me]), range(self.threads)))
        for (_, evaluated, accepted), asked in zip(found, steps, strict=True):
            budget.count(sum(step[0] for step in asked), evaluated, accepted)
        return [core for core, _, _ in found]

    def work(self, pool: ThreadPoolExecutor, owner: Owners, step: list[Step],
             budget: Budget) -> Ints32:
        """The placement after one step of every thread; the state itself stays as it is."""
        return self.merged(owner, self.parts(pool, owner, [[one] for one in step], budget))

    def cost_of(self, core: Ints32) -> int:
        """Exact."""
        return cost(self.instance, core.astype(np.int64))

    def keep_best(self) -> None:
        """Remember the placement if nothing better was seen."""
        now = self.cost_of(self.core)
        if now < self.best:
            self.best, self.best_core = now, self.core.astype(np.int64)

    def merged(self, owner: Owners, parts: list[Ints32]) -> Ints32:
        """The placement with each thread's tiles where the thread left them."""
        whose, core = owner[self.core], self.core
        for me, part in enumerate(parts):
            core = np.where(whose == me, part, core)
        return core

    def stripes(self) -> Owners:
        """A fresh cut of the grid into stripes, as many tiles for each thread."""
        if self.threads == 1:
            return np.where(self.usable, 0, NOBODY).astype(np.int8)
        line = (self.x, self.y)[int(self.random.integers(2))]
        moving = line[self.core[self.movable]]
        if not moving.size:
            return np.full(self.usable.size, NOBODY, np.int8)
        before = np.cumsum(np.bincount(moving, minlength=int(line.max()) + 1)) / moving.size
        stripe = (before[line] + self.random.random()) * self.threads
        return np.where(self.usable, stripe.astype(np.int64) % self.threads,
                        NOBODY).astype(np.int8)
