"""Simulated annealing of a placement, compiled, on one or several threads.

The threads work on one placement. For each phase (a few milliseconds) the grid is cut into
stripes, at places drawn at random, so that every thread owns as many tiles as the others; it moves
only those, and only within its stripes, against the others' positions at the phase's beginning.
Then the parts are put together again and the cost is counted exactly. So a result depends on seed,
budget of moves and number of threads, and on nothing else.

What is left of the budget after cooling goes into reheats, see ``sw.place.reheat``.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ouroboros.sw.place.budget import Budget
from ouroboros.sw.place.cost import cost
from ouroboros.sw.place.errors import PlaceError
from ouroboros.sw.place.instance import Instance, Ints
from ouroboros.sw.place.reheat import reheat
from ouroboros.sw.place.state import Bools, State

__all__ = ["Annealed", "Progress", "Schedule", "anneal"]

Progress = Callable[[float, int], None]
"""Called with the fraction of the budget that is spent and the best cost so far."""
THREADS_MAX = 64
PHASES_A_CALL = 16
"""Phases between two calls of ``progress``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """How the search cools: temperature and window fall geometrically.

    The defaults are measured; see ``docs/placement.md``.
    """

    hot: float = 10.0
    """First temperature, in hops of a mean edge: warm enough to mend the start, not to melt it."""
    cold: float = 0.5
    """Last temperature."""
    window: int = 15
    """First window, cores to each side."""
    window_end: int = 2
    """Last window."""
    phase_moves_per_tile: int = 55
    """Moves per tile and phase."""
    reheats: float = 0.3
    """Part of the budget that is spent on reheats after cooling."""


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
    budget = Budget(seconds, moves)
    if not 1 <= threads <= THREADS_MAX:
        raise PlaceError(f"threads must be 1 to {THREADS_MAX}, not {threads}")
    schedule = schedule or Schedule()
    state = State(instance, start, seed, threads, movable)
    interrupted = False
    with ThreadPoolExecutor(threads) as pool:
        state.work(pool, state.stripes(), [(0, 0.0, 1)] * threads, Budget(None, 1))    # compiles
        budget.start()
        try:
            _cool(state, pool, budget, schedule, progress)
            if schedule.reheats:
                reheat(state, pool, budget, progress)
        except KeyboardInterrupt:
            interrupted = True
    return Annealed(core=state.best_core, cost=cost(instance, state.best_core),
                    evaluated=budget.evaluated, accepted=budget.accepted,
                    seconds=budget.elapsed_s, interrupted=interrupted)


def _cool(state: State, pool: ThreadPoolExecutor, budget: Budget, schedule: Schedule,
          progress: Progress | None) -> None:
    """From hot to cold over the first part of the budget, phase by phase."""
    threads, part = state.threads, 1.0 - schedule.reheats
    share = max(500, schedule.phase_moves_per_tile * state.instance.tiles // (2 * threads))
    phase = 0
    while (spent := budget.spent) < part:
        fraction = spent / part
        hops = schedule.hot * (schedule.cold / schedule.hot) ** fraction
        window = schedule.window * (schedule.window_end / schedule.window) ** fraction
        step = budget.share(share, threads), hops, max(1, round(window))
        state.core = state.work(pool, state.stripes(), [step] * threads, budget)
        state.keep_best()
        if progress is not None and phase % PHASES_A_CALL == 0:
            progress(spent, state.best)
        phase += 1
    if schedule.reheats:
        state.core = state.best_core.astype(np.int32)
