"""Latency, energy and EDP of mappings."""

from dataclasses import dataclass

import numpy as np

from ouroboros.sw.search.evaluation.alone import alone
from ouroboros.sw.search.evaluation.contend import LATE, contend
from ouroboros.sw.search.evaluation.issue import issue
from ouroboros.sw.search.evaluation.tables import Problem
from ouroboros.sw.search.evaluation.work import Work
from ouroboros.sw.search.problem.instance import Instance
from ouroboros.sw.search.problem.mapping import Mapping

__all__ = ["Evaluator", "Figures"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """What a mapping costs."""

    latency_cycles: float
    """From the first layer's start to the last one's end."""
    energy_pj: float
    """Arithmetic, buffers, links and DRAM."""

    @property
    def edp(self) -> float:
        """Energy-delay product, pJ x cycles."""
        return self.latency_cycles * self.energy_pj


class Evaluator:
    """Evaluates mappings of one instance, one at a time."""

    def __init__(self, problem: Problem | Instance, *, contended: bool = True) -> None:
        self.problem = problem if isinstance(problem, Problem) else Problem(problem)
        self.contended = contended
        self.tables = self.problem.tables
        self.work = Work.of(self.problem)

    def __call__(self, mapping: Mapping) -> Figures:
        """Figures of a mapping."""
        chips = np.ascontiguousarray(mapping.chips).reshape(-1)
        energy, dram = issue(self.tables, self.work, mapping.cuts, chips)
        units = contend(self.tables, self.work, chips, dram, LATE) if self.contended else \
            alone(self.tables, self.work, chips, LATE)
        return Figures(latency_cycles=units / self.problem.units, energy_pj=energy)
