"""The search: families, trees, short annealings from the best of them, a long one.

Threads work apart from each other, with random numbers of their own; the best of them is the
result. So it depends on seed, evaluations and number of threads, and on nothing else. Ctrl-C ends
a search early and keeps the best so far.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from ouroboros.sw.search.annealing.budget import Budget
from ouroboros.sw.search.annealing.chain import Chain
from ouroboros.sw.search.annealing.cost import NEVER
from ouroboros.sw.search.annealing.moves import BLOCKS, EQUAL, FULL
from ouroboros.sw.search.baselines.families import families
from ouroboros.sw.search.bounds.bound import Bound, bound
from ouroboros.sw.search.errors import SearchError
from ouroboros.sw.search.evaluation.evaluate import Evaluator, Figures
from ouroboros.sw.search.evaluation.tables import Problem
from ouroboros.sw.search.problem.mapping import Mapping

__all__ = ["Found", "Plan", "Progress", "search"]

Progress = Callable[[float, float], None]
"""Told of the part of the budget that is spent, and of the best EDP so far."""
Cycle = tuple[float, float, float]
"""Until which part of the budget; first and last temperature, in parts of the cost."""
THREADS_MAX = 64
WATCH_S = 0.2
"""Between two calls of ``Progress``."""
ALIKE = 1e-6
"""Mappings whose costs differ by less, as a part, count as one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """How a thread spends its budget. The defaults are measured; see ``docs/search.md``."""

    tree: float = 0.05
    """Part for trees."""
    trial: float = 0.1
    """Part for short annealings."""
    trials: int = 3
    """From how many mappings."""
    cycles: tuple[tuple[Cycle, ...], ...] = (
        ((1.0, 0.004, 2e-5),),
        ((0.4, 0.006, 3e-4), (0.7, 0.003, 1e-4), (1.0, 0.0015, 2e-5)))
    """Long annealings, each from the best so far; threads take these rows in turn, as one suits
    some instances and one others."""
    families: bool = True
    """Begin with the families; otherwise with a random mapping."""
    trees: bool = True
    """Try trees, too."""
    blocks: bool = True
    """Moves of whole blocks."""
    rows: bool = True
    """Micro-batches on chips of their own; otherwise all share theirs."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Found:
    """The best mapping of a search."""

    mapping: Mapping
    """The mapping."""
    figures: Figures
    """What it costs in the model that was searched in."""
    bound: Bound
    """What no mapping is below."""
    evaluations: int
    """Mappings tried."""
    seconds: float
    """Wall time of the search, compilation and bound not included."""
    processor_s: float
    """Processor time, all threads."""
    interrupted: bool
    """Ctrl-C ended it before its budget did."""

    @property
    def gap(self) -> float:
        """How far the EDP is above its bound, as a part of the bound."""
        return self.bound.gap(self.figures.edp)

    def as_dict(self) -> dict[str, Any]:
        """For a file, without the mapping."""
        return {"edp": self.figures.edp, "latency_cycles": self.figures.latency_cycles,
                "energy_pj": self.figures.energy_pj, "bound_edp": self.bound.edp,
                "bound_latency_cycles": self.bound.latency_cycles,
                "bound_energy_pj": self.bound.energy_pj, "gap": self.gap,
                "evaluations": self.evaluations, "seconds": self.seconds,
                "processor_s": self.processor_s, "interrupted": self.interrupted}


def search(problem: Problem, *, seconds: float | None = None, evaluations: int | None = None,
           seed: int = 0, threads: int = 2, contended: bool = True, objective: str = "edp",
           plan: Plan | None = None, limits: Bound | None = None,
           starts: tuple[Mapping, ...] = (), progress: Progress | None = None) -> Found:
    """Search for the mapping of least cost.

    Parameters
    ----------
    seconds, evaluations : optional
        The budget: wall time, or mappings tried; exactly one. With evaluations, the same seed and
        threads give the same mapping.
    contended : bool
        Whether layers share links and DRAM while it is searched.
    objective : str
        What is made small, one of ``OBJECTIVES``.
    limits : Bound, optional
        If it is known; of what is searched.
    starts : tuple[Mapping, ...]
        To begin with, besides the families.

    Raises
    ------
    SearchError
        If not exactly one budget above 0 is given, or threads are none.
    """
    budget = Budget(seconds=seconds, evaluations=evaluations)
    if not 1 <= threads <= THREADS_MAX:
        raise SearchError(f"threads must be 1 to {THREADS_MAX}, not {threads}")
    plan = plan or Plan()
    limits = limits or bound(problem, contended=contended)
    options: dict[str, Any] = {"seed": seed, "contended": contended, "objective": objective}
    # What it calls is compiled before its clock starts.
    Chain(problem, budget, **options).warm()
    began, processor = time.perf_counter(), time.process_time()
    budget = Budget(seconds=seconds, evaluations=evaluations)
    scout = Chain(problem, budget, number=threads, **options)
    tried: list[tuple[float, int, Mapping]] = []
    interrupted = False
    chains: list[Chain] = []
    try:
        some = [*starts, *families(problem)] if plan.families else starts
        for n, mapping in enumerate(some):
            if not plan.rows and (mapping.chips != mapping.chips[0]).any():
                continue
            if tried and budget.spent >= 1.0:
                break
            tried.append((scout.start(mapping), n, mapping))
        tried.sort(key=lambda one: one[:2])
        left = Budget(evaluations=max(1, evaluations - budget.used)) if evaluations is not None \
            else budget
        if budget.spent < 1.0:
            chains = [Chain(problem, left.share(threads), number=n, **options)
                      for n in range(threads)]
            best = _distinct(tried, plan.trials)
            _run(chains, plan, best, lambda: _told(chains, scout, problem, objective, progress))
    except KeyboardInterrupt:
        interrupted = True
    best_chain = min([scout, *chains], key=lambda chain: chain.best_cost)
    if best_chain.best_cost >= NEVER:
        raise SearchError("the search was interrupted before its first mapping")
    mapping = best_chain.best
    return Found(
        mapping=mapping, figures=Evaluator(problem, contended=contended)(mapping), bound=limits,
        evaluations=scout.budget.used + sum(chain.budget.used for chain in chains),
        seconds=time.perf_counter() - began, processor_s=time.process_time() - processor,
        interrupted=interrupted)


def _distinct(tried: list[tuple[float, int, Mapping]], count: int) -> list[Mapping]:
    found: list[Mapping] = []
    last = 0.0
    for cost, _, mapping in tried:
        if len(found) < count and cost > last * (1 + ALIKE):
            found.append(mapping)
            last = cost
    return found


def _run(chains: list[Chain], plan: Plan, starts: list[Mapping], tell: Callable[[], None]) -> None:
    """All threads until their budgets are spent, or Ctrl-C."""
    with ThreadPoolExecutor(len(chains)) as pool:
        waiting: set[Future[None]] = {pool.submit(_work, chain, n, plan, starts)
                                      for n, chain in enumerate(chains)}
        try:
            while waiting:
                done, waiting = wait(waiting, timeout=WATCH_S)
                for one in done:
                    one.result()
                tell()
        except BaseException:
            # The pool waits for its threads, which look at this after each step.
            for chain in chains:
                chain.budget.stopped = True
            raise


def _work(chain: Chain, number: int, plan: Plan, starts: list[Mapping]) -> None:
    """One thread's search."""
    until, equal = 0.0, not plan.rows
    some = list(starts)
    weights = (EQUAL if equal else FULL).copy()
    if not plan.blocks:
        weights[BLOCKS] = 0
    if plan.trees:
        until = plan.tree
        chain.anneal_tree(until, 0.3, 0.001)
        if some and chain.best_cost < NEVER:
            some = [chain.best, *some[:plan.trials - 1]]
    if not some and chain.best_cost >= NEVER:
        chain.scatter(equal=equal)
    for start in some if len(some) > 1 else []:
        if chain.budget.spent >= 1.0:
            break
        chain.start(start)
        until += plan.trial / len(some)
        chain.anneal(until, 0.02, 0.002, equal=equal, weights=weights)
    for start in some if len(some) == 1 else []:
        chain.start(start)
    for part, hot, cold in plan.cycles[number % len(plan.cycles)]:
        chain.restart()
        chain.anneal(part, hot, cold, equal=equal, weights=weights)


def _told(chains: list[Chain], scout: Chain, problem: Problem, objective: str,
          progress: Progress | None) -> None:
    if progress is not None:
        best = min(chain.best_cost for chain in [scout, *chains])
        progress(min(chain.budget.spent for chain in chains),
                 best / problem.units if objective == "edp" else best)
