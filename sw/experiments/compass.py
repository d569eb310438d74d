"""What of Compass can be measured again: its search against its program's mapping, the price of
links taken as free, and what each part of this project's search brings.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from ouroboros.sw.lib.write import replaced
from ouroboros.sw.search.annealing.search import Plan, search
from ouroboros.sw.search.baselines.baselines import EVALUATIONS, genetic, random_search
from ouroboros.sw.search.baselines.families import named
from ouroboros.sw.search.bounds.bound import bound
from ouroboros.sw.search.evaluation.evaluate import Evaluator
from ouroboros.sw.search.evaluation.tables import Problem
from ouroboros.sw.search.problem.mapping import Mapping

__all__ = ["CANNOT", "MARK", "PAPER", "STEPS", "Reproduced", "Reproduction", "plot", "reproduce"]

PAPER = 0.6312
"""Mean reduction of EDP that the paper states. Source: arXiv 2512.06093, abstract."""
CANNOT = ("The paper's 63.12 % is a mean over searches of others whose mappings are in no public "
          "material, on batches whose lengths are not all public, with links that layers do not "
          "share. What can be compared: the published search with its own program's mapping, and "
          "with this one, on the same instances and in the same model.")
"""What stands beside the figures."""
STEPS = ("random", "seeded", "contention", "blocks", "rows")
"""The ablation, each with what is before it: random start; families and trees; links and DRAM
shared while it is searched; moves of whole blocks; micro-batches on chips of their own."""
MARK = "ouroboros search reproduce"
"""In the first bytes of every picture."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reproduced:
    """One instance; EDP in pJ x cycles, links and DRAM shared."""

    instance: str
    """Its name."""
    pipeline: float
    """The mapping that the paper's program has besides its search."""
    best_named: float
    """The best of the six mappings with a name."""
    published: float
    """The published search: it takes links as free, and is charged for them here."""
    published_contended: float
    """The same search, links and DRAM shared while it searches."""
    price: dict[str, float]
    """EDP with links shared over EDP with links free, of each named mapping."""
    ablation: dict[str, float]
    """By ``STEPS``."""
    bound: float
    """No mapping is below."""

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {"instance": self.instance, "pipeline_edp": self.pipeline,
                "best_named_edp": self.best_named, "ga_published_edp": self.published,
                "ga_contended_edp": self.published_contended,
                "ga_published_against_pipeline": self.published / self.pipeline - 1,
                "ga_contended_against_pipeline": self.published_contended / self.pipeline - 1,
                "price_of_contention": self.price, "ablation_edp": self.ablation,
                "search_against_ga_published": self.ablation[STEPS[-1]] / self.published - 1,
                "bound_edp": self.bound}


@dataclass(frozen=True, kw_only=True, slots=True)
class Reproduction:
    """All instances."""

    rows: tuple[Reproduced, ...]
    """One for each."""

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {"paper_reduction": PAPER, "paper_source": "arXiv 2512.06093, abstract",
                "what_cannot_be_compared": CANNOT,
                "instances": [row.as_dict() for row in self.rows]}


def reproduce(problems: Sequence[Problem], *, evaluations: int = EVALUATIONS, seed: int = 0,
              threads: int = 1, progress: Callable[[str], None] = lambda what: None,
              ) -> Reproduction:
    """Every search with so many evaluations; the paper's number by default."""
    rows: list[Reproduced] = []
    for problem in problems:
        name = problem.instance.name
        shared, free = Evaluator(problem), Evaluator(problem, contended=False)
        edp = {mapping: shared(one).edp for mapping, one in named(problem).items()}
        price = {mapping: edp[mapping] / free(one).edp for mapping, one in named(problem).items()}
        progress(f"{name}: published search")
        published = [shared(genetic(problem, evaluations=evaluations, seed=seed,
                                    contended=contended)).edp for contended in (False, True)]
        ablation: dict[str, float] = {}
        for step in STEPS:
            progress(f"{name}: {step}")
            ablation[step] = shared(_step(problem, step, evaluations, seed, threads)).edp
        rows.append(Reproduced(
            instance=name, pipeline=edp["repo_pipeline"], best_named=min(edp.values()),
            published=published[0], published_contended=published[1], price=price,
            ablation=ablation, bound=bound(problem).edp))
    return Reproduction(rows=tuple(rows))


def _step(problem: Problem, step: str, evaluations: int, seed: int, threads: int) -> Mapping:
    """The mapping that the search finds without what later steps bring."""
    place = STEPS.index(step)
    if place == 0:
        return random_search(problem, evaluations=evaluations, seed=seed)
    plan = Plan(rows=place >= 4, blocks=place >= 3)
    return search(problem, evaluations=evaluations, seed=seed, threads=threads,
                  contended=place >= 2, plan=plan).mapping


def plot(found: Reproduction, path: Path) -> None:
    """EDP of every step over that of the pipeline mapping, by instance; SVG or PNG by the name."""
    matplotlib.rcParams["svg.hashsalt"] = "ouroboros"
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    axes = figure.subplots()
    bars = ("published search", *STEPS, "bound")
    width = 0.8 / len(bars)
    for n, bar in enumerate(bars):
        heights = [{"published search": row.published, "bound": row.bound,
                    **row.ablation}[bar] / row.pipeline for row in found.rows]
        axes.bar([place + (n - len(bars) / 2 + 0.5) * width for place in range(len(heights))],
                 heights, width, label=bar if n in (0, len(bars) - 1) else f"+ {bar}")
    axes.axhline(1.0, color="grey", linewidth=0.8)
    axes.axhline(1 - PAPER, color="grey", linestyle=":", linewidth=0.8)
    axes.set_xticks(range(len(found.rows)), [row.instance for row in found.rows], rotation=15)
    axes.set_ylabel("EDP / EDP of the pipeline mapping")
    axes.set_yscale("log")
    axes.legend(fontsize=8, ncols=4)
    axes.set_title("Dotted: the paper's mean reduction, against searches that are not public")
    metadata = {"Date": None, "Title": MARK} if path.suffix == ".svg" else {"Title": MARK}
    with replaced(path) as aside:
        figure.savefig(aside, format=path.suffix[1:], metadata=metadata, dpi=120)
