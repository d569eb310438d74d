"""What a search is held against: mappings by rule, and searches as others do them."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ouroboros.sw.search.annealing.budget import Budget
from ouroboros.sw.search.annealing.chain import Chain
from ouroboros.sw.search.annealing.cost import NEVER
from ouroboros.sw.search.annealing.draw import stream
from ouroboros.sw.search.annealing.moves import COLUMNS
from ouroboros.sw.search.baselines.families import families, named, stage_pipeline
from ouroboros.sw.search.baselines.genetic import POPULATION, RATES, breed, costs_of, scatter
from ouroboros.sw.search.evaluation.evaluate import Evaluator, Figures
from ouroboros.sw.search.evaluation.tables import Problem
from ouroboros.sw.search.evaluation.work import Work
from ouroboros.sw.search.problem.mapping import Mapping

__all__ = ["EVALUATIONS", "SEARCHES", "Baseline", "baselines", "gemini_like",
           "genetic", "genetic_contended", "random_search", "set_like"]

EVALUATIONS = 24_000
"""Of the paper: population 120, 200 generations."""
PHASES = (0.3, 0.7)
"""Parts of the generations at which the rates of mutations change."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Baseline:
    """A mapping that a search is held against."""

    name: str
    """How it was made."""
    mapping: Mapping
    """The mapping."""
    figures: Figures
    """What it costs, links and DRAM shared."""
    processor_s: float
    """Processor time of its search; 0 where it was made by rule."""


def genetic(problem: Problem, *, evaluations: int = EVALUATIONS, seed: int = 0,
            contended: bool = False) -> Mapping:
    """The genetic search as published.

    Parameters
    ----------
    contended : bool
        Let layers share links and DRAM while it searches; as published they do not.
    """
    instance = problem.instance
    count, generations = min(POPULATION, evaluations), max(1, evaluations // POPULATION)
    tables, work, random = problem.tables, Work.of(problem), stream(seed)
    cuts = np.zeros((count, instance.layers - 1), np.int8)
    chips = np.zeros((count, instance.genes), np.int16)
    costs = np.zeros(count)
    for n in range(count):
        scatter(random, instance.chips, cuts[n], chips[n])
    costs_of(tables, work, contended, cuts, chips, 0, count, costs)
    next_cuts, next_chips = cuts.copy(), chips.copy()
    for generation in range(1, generations):
        phase = sum(generation / generations >= part for part in PHASES)
        breed(random, RATES[phase], instance.chips, cuts, chips, costs, next_cuts, next_chips)
        cuts, next_cuts, chips, next_chips = next_cuts, cuts, next_chips, chips
        costs[0] = costs.min()
        costs_of(tables, work, contended, cuts, chips, 1, count, costs)
    best = int(costs.argmin())
    return Mapping(cuts=cuts[best].copy(), chips=chips[best].reshape(problem.batches, -1).copy())


def genetic_contended(problem: Problem, *, evaluations: int = EVALUATIONS,
                      seed: int = 0) -> Mapping:
    """The same with links and DRAM shared while it searches."""
    return genetic(problem, evaluations=evaluations, seed=seed, contended=True)


def gemini_like(problem: Problem, *, evaluations: int = EVALUATIONS, seed: int = 0) -> Mapping:
    """Annealing of single layers from stages in stripes; micro-batches share their chips."""
    chain = Chain(problem, Budget(evaluations=evaluations), seed=seed)
    chain.start(stage_pipeline(problem, order="snake", segments="each stage"))
    chain.anneal(1.0, 0.05, 0.0005, equal=True, weights=COLUMNS)
    return chain.best


def set_like(problem: Problem, *, evaluations: int = EVALUATIONS, seed: int = 0) -> Mapping:
    """Annealing of two-level trees of stages."""
    chain = Chain(problem, Budget(evaluations=evaluations), seed=seed)
    chain.anneal_tree(1.0, 0.3, 0.001)
    return chain.best


def random_search(problem: Problem, *, evaluations: int = EVALUATIONS, seed: int = 0) -> Mapping:
    """The best of random mappings."""
    chain = Chain(problem, Budget(evaluations=evaluations), seed=seed)
    while chain.budget.spent < 1.0:
        chain.scatter()
    assert chain.best_cost < NEVER, "a budget has at least one evaluation"
    return chain.best


SEARCHES: dict[str, Callable[..., Mapping]] = {
    "random": random_search, "ga_published": genetic, "ga_contended": genetic_contended,
    "gemini_like": gemini_like, "set_like": set_like}
"""Searches by name; each takes evaluations and seed."""


def baselines(problem: Problem, *, evaluations: int = EVALUATIONS, seed: int = 0,
              progress: Callable[[str], None] = lambda name: None) -> list[Baseline]:
    """The named mappings, the best of the families, and the searches.

    Parameters
    ----------
    evaluations, seed : int
        Of each search.
    progress : Callable
        Told of each name before its work.
    """
    evaluator = Evaluator(problem)
    found = [Baseline(name=name, mapping=mapping, figures=evaluator(mapping), processor_s=0.0)
             for name, mapping in named(problem).items()]
    progress("best_of_families")
    best = min(((evaluator(mapping), n, mapping) for n, mapping in enumerate(families(problem))),
               key=lambda one: (one[0].edp, one[1]))
    found.append(Baseline(name="best_of_families", mapping=best[2], figures=best[0],
                          processor_s=0.0))
    for name, make in SEARCHES.items():
        progress(name)
        began = time.process_time()
        mapping = make(problem, evaluations=evaluations, seed=seed)
        found.append(Baseline(name=name, mapping=mapping, figures=evaluator(mapping),
                              processor_s=time.process_time() - began))
    return found
