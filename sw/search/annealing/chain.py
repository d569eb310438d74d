"""One thread's search: its mappings, its random numbers, what it has spent."""

import numpy as np

from ouroboros.sw.search.annealing.anneal import State, sweep, sweep_tree
from ouroboros.sw.search.annealing.budget import Budget
from ouroboros.sw.search.annealing.cost import NEVER, OBJECTIVES, cost_up_to
from ouroboros.sw.search.annealing.draw import exponentials, stream
from ouroboros.sw.search.annealing.ground import Ground
from ouroboros.sw.search.annealing.moves import EQUAL, FULL
from ouroboros.sw.search.annealing.tree import Tree
from ouroboros.sw.search.baselines.genetic import scatter
from ouroboros.sw.search.evaluation.tables import Problem
from ouroboros.sw.search.evaluation.work import Work
from ouroboros.sw.search.problem.layers import Ints
from ouroboros.sw.search.problem.mapping import Mapping

__all__ = ["Chain"]

STEP = 256
"""Evaluations at one temperature; a search can be stopped after each step."""


class Chain:
    """Annealing of one instance by one thread.

    Parameters
    ----------
    seed, number : int
        Seed of the search, and which of its threads this is.
    objective : str
        One of ``OBJECTIVES``.
    """

    def __init__(self, problem: Problem, budget: Budget, *, seed: int = 0, number: int = 0,
                 contended: bool = True, objective: str = "edp") -> None:
        self.problem, self.budget, self.contended = problem, budget, contended
        self.powers = np.array(OBJECTIVES[objective], np.int64)
        self.tables, self.work, self.ground = problem.tables, Work.of(problem), Ground.of(problem)
        self.state, self.random = State.of(problem), stream(seed, number)
        self.draws = exponentials()

    @property
    def best(self) -> Mapping:
        """The best mapping so far."""
        return self._mapping(1)

    @property
    def best_cost(self) -> float:
        """Its cost, in time units and pJ to their powers; ``NEVER`` before the first."""
        return float(self.state.costs[1])

    def warm(self) -> None:
        """Call every kernel without any work, so that it is compiled."""
        common = (self.tables, self.work, self.ground, self.state, self.contended, self.powers,
                  self.random, self.draws)
        sweep(*common, FULL, False, 0, 1.0)
        sweep_tree(*common, Tree.of(self.problem), np.zeros(self.problem.stages + 1, np.int64), 0,
                   1.0)
        cost_up_to(self.tables, self.work, self.contended, self.powers, self.state.cuts[0],
                   self.state.chips[0], NEVER)

    def start(self, mapping: Mapping) -> float:
        """Go on from a mapping; its cost."""
        self.state.cuts[0], self.state.chips[0] = mapping.cuts, mapping.chips.reshape(-1)
        cost = cost_up_to(self.tables, self.work, self.contended, self.powers, self.state.cuts[0],
                          self.state.chips[0], NEVER)
        self.budget.used += 1
        self.state.costs[0] = cost
        if cost < self.state.costs[1]:
            self.state.cuts[1], self.state.chips[1] = self.state.cuts[0], self.state.chips[0]
            self.state.costs[1] = cost
        return cost

    def restart(self) -> None:
        """Go on from the best mapping."""
        self.state.cuts[0], self.state.chips[0] = self.state.cuts[1], self.state.chips[1]
        self.state.costs[0] = self.state.costs[1]

    def anneal(self, until: float, hot: float, cold: float, *, equal: bool = False,
               weights: Ints | None = None) -> None:
        """Cool from ``hot`` to ``cold`` until so much of the budget is spent.

        Parameters
        ----------
        until : float
            Part of the budget, 0 to 1.
        hot, cold : float
            Temperatures, in parts of the cost.
        equal : bool
            All micro-batches share their chips.
        """
        used = (EQUAL if equal else FULL) if weights is None else weights
        began = self.budget.spent
        while (now := self.budget.spent) < until:
            step = self.budget.next(STEP)
            sweep(self.tables, self.work, self.ground, self.state, self.contended, self.powers,
                  self.random, self.draws, used, equal, step,
                  hot * (cold / hot) ** ((now - began) / (until - began)))
            self.budget.used += step

    def anneal_tree(self, until: float, hot: float, cold: float) -> None:
        """The same over two-level trees of stages, from that without a cut."""
        tree = Tree.of(self.problem)
        now = np.zeros(self.problem.stages + 1, np.int64)
        now[-1] = 1
        self.state.costs[0] = NEVER
        began = self.budget.spent
        while (spent := self.budget.spent) < until:
            step = self.budget.next(STEP)
            sweep_tree(self.tables, self.work, self.ground, self.state, self.contended,
                       self.powers, self.random, self.draws, tree, now, step,
                       hot * (cold / hot) ** ((spent - began) / (until - began)))
            self.budget.used += step

    def scatter(self, *, equal: bool = False) -> None:
        """Go on from a random mapping; ``equal``: all micro-batches share their chips."""
        scatter(self.random, self.problem.instance.chips, self.state.cuts[0], self.state.chips[0])
        if equal:
            rows = self.state.chips[0].reshape(self.problem.batches, -1)
            rows[:] = rows[0]
        self.start(self._mapping(0))

    def _mapping(self, which: int) -> Mapping:
        return Mapping(cuts=self.state.cuts[which].copy(),
                       chips=self.state.chips[which].reshape(self.problem.batches, -1).copy())
