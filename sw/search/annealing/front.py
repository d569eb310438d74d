"""Latency against energy: mappings of which no other is better in both."""

from dataclasses import dataclass, replace
from typing import Any

from ouroboros.sw.search.annealing.budget import Budget
from ouroboros.sw.search.annealing.cost import OBJECTIVES
from ouroboros.sw.search.annealing.search import Found, Progress, search
from ouroboros.sw.search.baselines.families import families
from ouroboros.sw.search.bounds.bound import bound
from ouroboros.sw.search.evaluation.evaluate import Evaluator, Figures
from ouroboros.sw.search.evaluation.tables import Problem
from ouroboros.sw.search.problem.mapping import Mapping

__all__ = ["Point", "front", "undominated"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Point:
    """A mapping of the front."""

    mapping: Mapping
    """The mapping."""
    figures: Figures
    """Its latency and energy."""

    def as_dict(self) -> dict[str, Any]:
        """For a file, without the mapping."""
        return {"latency_cycles": self.figures.latency_cycles, "energy_pj": self.figures.energy_pj,
                "edp": self.figures.edp}


def undominated(points: list[Point]) -> tuple[Point, ...]:
    """Those that none of the others equals or beats in both, by latency."""
    found: list[Point] = []
    for one in sorted(points, key=lambda one: (one.figures.latency_cycles, one.figures.energy_pj)):
        if not found or one.figures.energy_pj < found[-1].figures.energy_pj:
            found.append(one)
    return tuple(found)


def front(problem: Problem, *, seconds: float | None = None, evaluations: int | None = None,
          seed: int = 0, threads: int = 2, contended: bool = True,
          progress: Progress | None = None) -> tuple[Found, tuple[Point, ...]]:
    """Search with every one of ``OBJECTIVES``, each from what the others found.

    Returns
    -------
    found, points
        The mapping of least EDP, and the front.

    Raises
    ------
    SearchError
        As ``search``.
    """
    whole = Budget(seconds=seconds, evaluations=evaluations)
    limits = bound(problem, contended=contended)
    evaluator = Evaluator(problem, contended=contended)
    points = [Point(mapping=mapping, figures=evaluator(mapping)) for mapping in families(problem)]
    parts = len(OBJECTIVES)
    best: Found | None = None
    spent, seconds_spent, processor, interrupted = 0, 0.0, 0.0, False
    for objective in OBJECTIVES:
        some = search(
            problem, seconds=None if whole.seconds is None else whole.seconds / parts,
            evaluations=None if evaluations is None else max(1, evaluations // parts), seed=seed,
            threads=threads, contended=contended, objective=objective, limits=limits,
            starts=tuple(point.mapping for point in undominated(points)), progress=progress)
        points.append(Point(mapping=some.mapping, figures=some.figures))
        spent, seconds_spent = spent + some.evaluations, seconds_spent + some.seconds
        processor, interrupted = processor + some.processor_s, some.interrupted
        if best is None or some.figures.edp < best.figures.edp:
            best = some
        if interrupted:
            break
    assert best is not None, "there are objectives"
    return replace(best, evaluations=spent, seconds=seconds_spent, processor_s=processor,
                   interrupted=interrupted), undominated(points)
