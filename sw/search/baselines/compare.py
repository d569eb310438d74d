"""A search beside everything that it is held against, on instances of any number."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import Any

from ouroboros.sw.search.annealing.search import Found, search
from ouroboros.sw.search.baselines.baselines import EVALUATIONS, Baseline, baselines
from ouroboros.sw.search.baselines.families import named
from ouroboros.sw.search.bounds.bound import bound
from ouroboros.sw.search.evaluation.tables import Problem

__all__ = ["Comparison", "Row", "compare"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One instance."""

    problem: Problem
    """The instance."""
    baselines: tuple[Baseline, ...]
    """What it is held against."""
    found: tuple[Found, ...]
    """The search, once for each seed."""

    @property
    def worst(self) -> float:
        """EDP of the worst seed."""
        return max(one.figures.edp for one in self.found)

    @property
    def best(self) -> float:
        """EDP of the best seed."""
        return min(one.figures.edp for one in self.found)

    @property
    def best_named(self) -> Baseline:
        """The best mapping with a name."""
        names = {*named(self.problem)}
        return min((one for one in self.baselines if one.name in names),
                   key=lambda one: one.figures.edp)

    def against(self, name: str) -> float:
        """Change of the worst seed's EDP, as a part of a baseline's; negative is better."""
        [other] = [one for one in self.baselines if one.name == name]
        return self.worst / other.figures.edp - 1

    @property
    def beaten_by(self) -> tuple[str, ...]:
        """Baselines that are better than the worst seed."""
        return tuple(one.name for one in self.baselines if one.figures.edp < self.worst)

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {"instance": self.problem.instance.name,
                "instance_digest": self.problem.instance.digest,
                "baselines": {one.name: {"edp": one.figures.edp,
                                         "latency_cycles": one.figures.latency_cycles,
                                         "energy_pj": one.figures.energy_pj,
                                         "processor_s": one.processor_s}
                              for one in self.baselines},
                "search": [one.as_dict() for one in self.found], "worst_edp": self.worst,
                "best_edp": self.best, "bound_edp": self.found[0].bound.edp,
                "against_best_named": self.against(self.best_named.name),
                "against_ga_published": self.against("ga_published"),
                "against_ga_contended": self.against("ga_contended"),
                "beaten_by": list(self.beaten_by)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """All instances."""

    rows: tuple[Row, ...]
    """One for each; fewer where it was interrupted."""
    interrupted: bool
    """Ctrl-C ended it."""

    def mean(self, name: str) -> float | None:
        """Mean over the instances of the change against a baseline, or ``best_named``."""
        if not self.rows:
            return None
        return fmean(row.against(row.best_named.name if name == "best_named" else name)
                     for row in self.rows)

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {"instances": [row.as_dict() for row in self.rows],
                "mean_against_best_named": self.mean("best_named"),
                "mean_against_ga_published": self.mean("ga_published"),
                "mean_against_ga_contended": self.mean("ga_contended"),
                "interrupted": self.interrupted}


def compare(problems: Sequence[Problem], *, evaluations: int, seeds: int = 3, threads: int = 2,
            baseline_evaluations: int = EVALUATIONS,
            progress: Callable[[str], None] = lambda what: None) -> Comparison:
    """Baselines, and the search with several seeds, links and DRAM shared.

    Parameters
    ----------
    evaluations : int
        Of the search, for each seed.
    progress : Callable
        Told what is worked on.
    """
    rows: list[Row] = []
    interrupted = False
    try:
        for problem in problems:
            name = problem.instance.name
            against = baselines(problem, evaluations=baseline_evaluations,
                                progress=partial(_told, progress, name))
            limits = bound(problem)
            found = []
            for seed in range(seeds):
                progress(f"{name}: search, seed {seed}")
                found.append(search(problem, evaluations=evaluations, seed=seed, threads=threads,
                                    limits=limits))
                if found[-1].interrupted:
                    raise KeyboardInterrupt
            rows.append(Row(problem=problem, baselines=tuple(against), found=tuple(found)))
    except KeyboardInterrupt:
        interrupted = True
    return Comparison(rows=tuple(rows), interrupted=interrupted)


def _told(progress: Callable[[str], None], name: str, what: str) -> None:
    progress(f"{name}: {what}")
