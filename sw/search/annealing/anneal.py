"""Annealing of a mapping, compiled: propose, evaluate as far as needed, accept."""

from typing import NamedTuple

import numpy as np

from ouroboros.sw.lib.compiled import compiled
from ouroboros.sw.search.annealing.cost import NEVER, cost_up_to
from ouroboros.sw.search.annealing.draw import Stream, below
from ouroboros.sw.search.annealing.ground import Ground
from ouroboros.sw.search.annealing.moves import move
from ouroboros.sw.search.annealing.tree import Tree, decode
from ouroboros.sw.search.evaluation.tables import Floats, Problem, Tables
from ouroboros.sw.search.evaluation.work import Work
from ouroboros.sw.search.problem.layers import Ints
from ouroboros.sw.search.problem.mapping import Chips, Cuts

__all__ = ["State", "sweep", "sweep_tree"]


class State(NamedTuple):
    """Mappings of a search: as it is now, the best so far, the one that is tried."""

    cuts: Cuts
    """``(3, layers - 1)``."""
    chips: Chips
    """``(3, nodes)``."""
    costs: Floats
    """Of the first two, ``(2,)``."""

    @staticmethod
    def of(problem: Problem) -> "State":
        """Nothing yet."""
        instance = problem.instance
        return State(cuts=np.zeros((3, instance.layers - 1), np.int8),
                     chips=np.zeros((3, instance.genes), np.int16), costs=np.full(2, NEVER))


NOW, BEST, TRIED = range(3)


@compiled
def _take(s: State, cost: float) -> None:
    """The tried mapping is the one that is now."""
    s.cuts[NOW] = s.cuts[TRIED]
    s.chips[NOW] = s.chips[TRIED]
    s.costs[NOW] = cost
    if cost < s.costs[BEST]:
        s.cuts[BEST] = s.cuts[TRIED]
        s.chips[BEST] = s.chips[TRIED]
        s.costs[BEST] = cost


@compiled
def sweep(t: Tables, w: Work, g: Ground, s: State, contended: bool, powers: Ints, state: Stream,
          draws: Floats, weights: Ints, equal: bool, evaluations: int, temperature: float) -> int:
    """So many evaluations at one temperature; how many were taken.

    A proposal may cost ``temperature`` times an exponential draw more, as a part of the cost now;
    it is given up as soon as it is certain to cost more than that.
    """
    taken = 0
    cuts, chips = s.cuts[TRIED], s.chips[TRIED]
    for _ in range(evaluations):
        cuts[:] = s.cuts[NOW]
        chips[:] = s.chips[NOW]
        move(g, state, weights, equal, cuts, chips)
        allowed = s.costs[NOW] * (1.0 + temperature * draws[below(state, draws.size)])
        cost = cost_up_to(t, w, contended, powers, cuts, chips, allowed)
        if cost < NEVER:
            _take(s, cost)
            taken += 1
    return taken


@compiled
def sweep_tree(t: Tables, w: Work, g: Ground, s: State, contended: bool, powers: Ints,
               state: Stream, draws: Floats, tree: Tree, now: Ints, evaluations: int,
               temperature: float) -> int:
    """The same over trees of stages.

    Parameters
    ----------
    now : array
        The tree: what is behind each stage, and the order of the chips, ``(stages + 1,)``.
    """
    taken, stages = 0, now.size - 1
    behind = now.copy()
    for _ in range(evaluations):
        behind[:] = now
        for _ in range(1 + below(state, 2)):
            behind[below(state, stages)] = below(state, 3)
        if below(state, 10) == 0:
            behind[stages] = below(state, tree.lines.shape[0])
        decode(g, tree, behind[:stages], tree.lines[behind[stages]], s.cuts[TRIED], s.chips[TRIED])
        allowed = s.costs[NOW] * (1.0 + temperature * draws[below(state, draws.size)])
        cost = cost_up_to(t, w, contended, powers, s.cuts[TRIED], s.chips[TRIED], allowed)
        if cost < NEVER:
            _take(s, cost)
            now[:] = behind
            taken += 1
    return taken
