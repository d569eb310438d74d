"""Reheats: a box of the wafer is warmed and cooled again; what comes out better is kept.

A placement that has been cooled as a whole is good everywhere and best nowhere. Choosing between
whole runs would hardly help, as the luck of many parts averages out; choosing part by part does.
Each thread has a box of its own; the boxes of a round are disjoint.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ouroboros.sw.place.budget import Budget
from ouroboros.sw.place.kernel import NOBODY
from ouroboros.sw.place.state import Owners, State, Step

__all__ = ["reheat"]

SIDES = 12, 20
"""Least and largest side of a box, cores."""
MOVES_PER_TILE = 4000
STEPS = 30
"""Temperatures of one reheat."""
HOT, COLD = 20.0, 0.5
WINDOW, WINDOW_END = 10, 2
TRIES = 20
"""Draws of a box that is to be apart from the others, before it is cut to fit."""


def reheat(state: State, pool: ThreadPoolExecutor, budget: Budget,
           progress: Callable[[float, int], None] | None) -> None:
    """Reheat boxes until the budget is spent. The state's best never gets worse."""
    while (spent := budget.spent) < 1.0:
        owner = _boxes(state)
        tiles = [int(((owner[state.core] == me) & state.movable).sum())
                 for me in range(state.threads)]
        steps = [_steps(budget.share(MOVES_PER_TILE * max(1, count), state.threads))
                 for count in tiles]
        parts = state.parts(pool, owner, steps, budget)
        together = state.merged(owner, parts)
        now = state.cost_of(together)
        if now <= state.best:
            state.core = together
        else:
            # Boxes that touch may spoil each other's gain, or one box lost what another won.
            for me, part in enumerate(parts):
                alone = np.where(owner[state.core] == me, part, state.core)
                if state.cost_of(alone) <= state.cost_of(state.core):
                    state.core = alone
        state.keep_best()
        if progress is not None:
            progress(spent, state.best)


def _steps(moves: int) -> list[Step]:
    steps = min(STEPS, moves)
    fractions = np.linspace(0.0, 1.0, steps)
    return [(moves // steps, HOT * (COLD / HOT) ** f,
             max(1, round(WINDOW * (WINDOW_END / WINDOW) ** f))) for f in fractions.tolist()]


def _boxes(state: State) -> Owners:
    """A box around a tile for each thread."""
    owner = np.full(state.usable.size, NOBODY, np.int8)
    if not state.movable.any():
        return owner
    centres = state.core[state.movable]
    for me in range(state.threads):
        for _ in range(TRIES):
            centre = centres[state.random.integers(centres.size)]
            w, h = state.random.integers(SIDES[0], SIDES[1] + 1, 2)
            left = state.x[centre] - state.random.integers(w)
            top = state.y[centre] - state.random.integers(h)
            box = ((state.x >= left) & (state.x < left + w)
                   & (state.y >= top) & (state.y < top + h) & state.usable)
            if (owner[box] == NOBODY).all():
                break
        owner[box & (owner == NOBODY)] = me
    return owner
