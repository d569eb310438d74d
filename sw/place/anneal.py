"""Simulated annealing of a placement, compiled, on one or several threads.

The threads work on one placement. For each phase (a few milliseconds) the grid is cut into
stripes, at places drawn at random, so that every thread owns as many tiles as the others; it moves
only those, and only within its stripes, against the others' positions at the phase's beginning.
Then the parts are put together again and the cost is counted exactly. So a result depends on seed,
budget of moves and number of threads, and on nothing else.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sw.place.cost import cost
from sw.place.errors import PlaceError
from sw.place.instance import Instance, Ints
from sw.place.kernel import EMPTY, NOBODY, exponential_draws, sweep
from sw.place.traffic import Ints32, Traffic, traffic_of

__all__ = ["Annealed", "Progress", "Schedule", "anneal"]

Progress = Callable[[float, int], None]
"""Called with the fraction of the budget that is spent and the best cost so far."""
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """How the search cools: temperature and window fall geometrically over the budget.

    The defaults are measured; see ``sw/place/README.md``.
    """

    hot: float = 10.0
    """First temperature, in hops of a mean edge: warm enough to mend the start, not to melt it."""
    cold: float = 0.5
    """Last temperature."""
    window: int = 15
    """First window, cores to each side."""
    window_end: int = 2
    """Last window."""
    near: int = 1
    """Cores around a neighbour for proposals that jump to one."""
    near_of_256: int = 128
    """How many of 256 proposals jump so."""
    phase_moves_per_tile: int = 55
    """Moves per tile and phase."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Annealed:
    """The best placement seen."""

    core: Ints
    """Core of each tile, ``(tiles,)``."""
    cost: int
    """Its cost, exact."""
    evaluated: int
    """Moves evaluated, all threads; proposals outside grid or stripe do not count."""
    accepted: int
    """Of these."""
    seconds: float
    """Wall time of the search, compilation not included."""
    interrupted: bool
    """True if Ctrl-C ended the search before its budget did."""

    @property
    def moves_per_s(self) -> float:
        """Evaluated moves per second, all threads together."""
        return self.evaluated / self.seconds if self.seconds else 0.0


class _Search:
    """Arrays of one search. ``core`` is replaced as a whole after each phase."""

    def __init__(self, instance: Instance, start: Ints, seed: int, threads: int,
                 movable: Bools | None) -> None:
        grid = instance.grid
        self.instance, self.threads, self.width = instance, threads, grid.width
        self.traffic: Traffic = traffic_of(instance)
        self.u, self.v = grid.u.astype(np.int32), grid.v.astype(np.int32)
        self.x, self.y = grid.x, grid.y
        self.core = start.astype(np.int32)
        self.draws = exponential_draws()
        self.random = np.random.default_rng(seed)
        self.states = [self.random.integers(1, 1 << 63, 2).astype(np.uint64)
                       for _ in range(threads)]
        usable = np.zeros(grid.cores, np.bool_)
        usable[grid.live] = True
        self.movable = np.ones(instance.tiles, np.bool_) if movable is None else movable
        usable[self.core[~self.movable]] = False
        self.usable = usable

    def owners(self) -> npt.NDArray[np.int8]:
        """A fresh cut of the grid, ``(cores,)``: thread of each core, or ``NOBODY``."""
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

    def part(self, me: int, owner: npt.NDArray[np.int8], moves: int, temperature: float,
             window: int, schedule: Schedule) -> tuple[Ints32, int, int]:
        """One thread's share of a phase: cores as it leaves them, moves evaluated, accepted."""
        core, traffic = self.core.copy(), self.traffic
        tile = np.full(owner.size, EMPTY, np.int32)
        tile[core] = np.arange(core.size, dtype=np.int32)
        mine = np.flatnonzero((owner[core] == me) & self.movable).astype(np.int32)
        if not mine.size:
            return core, 0, 0
        evaluated, accepted, _ = sweep(
            moves, temperature, window, schedule.near, schedule.near_of_256, self.states[me],
            self.draws, mine, owner, me, traffic.start, traffic.tile, traffic.volume, self.u,
            self.v, self.width, core, tile, self.u[core], self.v[core])
        return core, evaluated, accepted


def anneal(instance: Instance, start: Ints, *, seed: int = 0, seconds: float | None = None,
           moves: int | None = None, threads: int = 2, movable: Bools | None = None,
           schedule: Schedule | None = None, progress: Progress | None = None) -> Annealed:
    """Improve a placement until the budget is spent: ``seconds`` or ``moves``, exactly one.

    With a budget of moves the result is reproducible. Ctrl-C ends the search early and keeps the
    best so far. ``movable`` marks the tiles that may move, ``(tiles,)``; all by default.

    Raises
    ------
    PlaceError
        If both budgets or none are given, or one is not positive.
    """
    if (seconds is None) == (moves is None):
        raise PlaceError("budget must be seconds or moves, one of the two")
    if (seconds if seconds is not None else moves or 0) <= 0:
        raise PlaceError(f"budget must be above 0, not {seconds if moves is None else moves}")
    if not 1 <= threads <= 64:
        raise PlaceError(f"threads must be 1 to 64, not {threads}")
    schedule = schedule or Schedule()
    search = _Search(instance, start, seed, threads, movable)
    share = max(500, schedule.phase_moves_per_tile * instance.tiles // (2 * threads))
    mean = search.traffic.mean_volume
    best, best_core = cost(instance, start), start.astype(np.int64)
    phase = evaluated = accepted = drawn = 0
    interrupted = False

    def run(pool: ThreadPoolExecutor, hops: float, window: int, budget: int) -> None:
        nonlocal evaluated, accepted, drawn
        owner = search.owners()
        parts = list(pool.map(lambda me: search.part(me, owner, budget, hops * mean, window,
                                                     schedule), range(threads)))
        whose = owner[search.core]
        core = search.core
        for me, (moved, done, taken) in enumerate(parts):
            core = np.where(whose == me, moved, core)
            evaluated += done
            accepted += taken
            drawn += budget
        search.core = core

    with ThreadPoolExecutor(threads) as pool:
        run(pool, 0.0, 1, 0)                       # compiles
        drawn, began = 0, time.perf_counter()
        try:
            while True:
                spent = (max(evaluated, drawn / 8) / moves if moves is not None
                         else (time.perf_counter() - began) / (seconds or 1.0))
                if spent >= 1.0:
                    break
                budget = share
                if moves is not None:
                    budget = max(1, min(share, -(-(moves - evaluated) // threads)))
                hops = schedule.hot * (schedule.cold / schedule.hot) ** spent
                window = schedule.window * (schedule.window_end / schedule.window) ** spent
                run(pool, hops, max(1, round(window)), budget)
                now = cost(instance, search.core.astype(np.int64))
                if now < best:
                    best, best_core = now, search.core.astype(np.int64)
                if progress is not None and phase % 16 == 0:
                    progress(spent, best)
                phase += 1
        except KeyboardInterrupt:
            interrupted = True
    return Annealed(core=best_core, cost=cost(instance, best_core), evaluated=evaluated,
                    accepted=accepted, seconds=time.perf_counter() - began,
                    interrupted=interrupted)
