"""Mappings of serving on chips of several kinds: options in, mappings with bounds out."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ouroboros.sw.experiments.compass import MARK, Reproduction, plot, reproduce
from ouroboros.sw.lib.options import Options, option
from ouroboros.sw.search.annealing.front import Point, front
from ouroboros.sw.search.annealing.search import Found, Progress, search
from ouroboros.sw.search.baselines.baselines import EVALUATIONS
from ouroboros.sw.search.baselines.compare import Comparison, compare
from ouroboros.sw.search.errors import SearchError
from ouroboros.sw.search.evaluation.evaluate import Evaluator, Figures
from ouroboros.sw.search.evaluation.look import Look, look
from ouroboros.sw.search.evaluation.tables import Problem
from ouroboros.sw.search.pictures.picture import PICTURE_MARK, write_picture
from ouroboros.sw.search.pictures.trace import TRACE_MARK, write_trace
from ouroboros.sw.search.problem.generate import MakeOptions, make_instance
from ouroboros.sw.search.problem.instance import RULES, Instance
from ouroboros.sw.search.problem.mapping import SCHEMA, read_mapping, write_mapping
from ouroboros.sw.search.problem.read import read_instance, write_instance

__all__ = ["CompareOptions", "MakeFileOptions", "ReproduceOptions", "SearchOptions", "Searched",
           "compare_searches", "make_file", "reproduce_paper", "search_mapping"]

SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class SearchOptions(Options):
    """An instance, and how long is searched."""

    instance: Path | None = option(None)
    """Layers, chips and batch as JSON, by rules compass-ref-1; must be given."""
    seconds: float | None = option(None, metavar="S")
    """Wall time of the search; 60 if neither this nor --evaluations is given."""
    evaluations: int | None = option(None, metavar="N")
    """Mappings to try instead: the same seed gives the same mapping."""
    seed: int = option(0, metavar="N", least=0)
    """Of the search."""
    threads: int = option(2, metavar="N", least=1, most=64)
    """Threads of the search."""
    contended: bool = option(True, off="--uncontended")
    """Whether layers share links and DRAM; as published they do not."""
    front: bool = False
    """Search for less latency and less energy, too: a fifth of the budget for each of five."""
    mapping: Path | None = option(None)
    """Do not search: figures of this mapping, as --out wrote it."""
    out: Path | None = option(None, written=True, mark=SCHEMA)
    """Write the mapping as JSON."""
    trace: Path | None = option(None, written=True, mark=TRACE_MARK)
    """Write its schedule for Perfetto (ui.perfetto.dev) or chrome://tracing."""
    report: Path | None = option(None, written=True, mark=PICTURE_MARK, suffixes=(".html",))
    """Write a page with pictures of it: chips over time, traffic of the chips."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Searched:
    """A mapping, what it costs, and how far it is from the bound."""

    problem: Problem
    """The instance."""
    look: Look
    """Schedule and traffic of the mapping."""
    found: Found | None
    """The search; None where a mapping was given."""
    other: Figures
    """Figures in the other model: links free, or shared."""
    front: tuple[Point, ...]
    """Mappings of which none is better in both latency and energy; empty unless asked for."""
    options: SearchOptions
    """What was asked for."""

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        instance = self.problem.instance
        return {"instance": instance.name, "instance_digest": instance.digest,
                "contended": self.options.contended, "seed": self.options.seed,
                "threads": self.options.threads, **self.look.as_dict(),
                "search": None if self.found is None else self.found.as_dict(),
                "edp_in_the_other_model": self.other.edp,
                "front": [point.as_dict() for point in self.front]}


def search_mapping(options: SearchOptions, progress: Progress | None = None) -> Searched:
    """Search for the mapping of least EDP, or look at one that is given; write what is asked for.

    Raises
    ------
    OuroborosError
        If a file is wrong, or the budget is none.
    """
    if options.instance is None:
        raise SearchError("--instance FILE must be given: layers, chips and batch as JSON")
    seconds = options.seconds
    if seconds is None and options.evaluations is None:
        seconds = SECONDS
    problem = Problem(read_instance(options.instance))
    found: Found | None = None
    points: tuple[Point, ...] = ()
    if options.mapping is not None:
        mapping = read_mapping(options.mapping, problem.instance)
    elif options.front:
        found, points = front(problem, seconds=seconds, evaluations=options.evaluations,
                              seed=options.seed, threads=options.threads,
                              contended=options.contended, progress=progress)
        mapping = found.mapping
    else:
        found = search(problem, seconds=seconds, evaluations=options.evaluations,
                       seed=options.seed, threads=options.threads, contended=options.contended,
                       progress=progress)
        mapping = found.mapping
    seen = look(problem, mapping, contended=options.contended)
    if options.out is not None:
        write_mapping(mapping, problem.instance, options.out)
    if options.trace is not None:
        write_trace(seen, options.trace)
    if options.report is not None:
        write_picture(seen, options.report, None if found is None else found.bound)
    return Searched(problem=problem, look=seen, found=found, front=points, options=options,
                    other=Evaluator(problem, contended=not options.contended)(mapping))


@dataclass(frozen=True, kw_only=True)
class SeveralOptions(Options):
    """Instances, and evaluations of each search."""

    instance: tuple[Path, ...] = option((), placed=True)
    """Instances as JSON."""
    evaluations: int = option(EVALUATIONS, metavar="N", least=1)
    """Mappings that each search tries; the paper's number by default."""
    threads: int = option(2, metavar="N", least=1, most=64)
    """Threads of this project's search."""

    def problems(self) -> list[Problem]:
        """The instances."""
        if not self.instance:
            raise SearchError("at least one instance must be given: a file of JSON")
        return [Problem(read_instance(path)) for path in self.instance]


@dataclass(frozen=True, kw_only=True)
class CompareOptions(SeveralOptions):
    """The same for baselines and search, or more for the search."""

    search_evaluations: int | None = option(None, metavar="N", least=1)
    """Mappings that this project's search tries instead."""
    seeds: int = option(3, metavar="N", least=1, most=99)
    """Seeds of this project's search, of which the worst counts."""


def compare_searches(options: CompareOptions,
                     progress: Callable[[str], None] = lambda what: None) -> Comparison:
    """Baselines and search on instances.

    Raises
    ------
    OuroborosError
        If a file is wrong.
    """
    return compare(options.problems(), seeds=options.seeds, threads=options.threads,
                   evaluations=options.search_evaluations or options.evaluations,
                   baseline_evaluations=options.evaluations, progress=progress)


@dataclass(frozen=True, kw_only=True)
class ReproduceOptions(SeveralOptions):
    """What is measured again of the paper."""

    threads: int = option(1, metavar="N", least=1, most=64)
    """Threads of this project's search."""
    seed: int = option(0, metavar="N", least=0)
    """Of all searches."""
    plot: Path | None = option(None, written=True, mark=MARK, suffixes=(".svg", ".png"))
    """Draw the figure."""


def reproduce_paper(options: ReproduceOptions,
                    progress: Callable[[str], None] = lambda what: None) -> Reproduction:
    """The published search against its program's mapping, the price of contention, the ablation.

    Raises
    ------
    OuroborosError
        If a file is wrong.
    """
    found = reproduce(options.problems(), evaluations=options.evaluations, seed=options.seed,
                      threads=options.threads, progress=progress)
    if options.plot is not None:
        plot(found, options.plot)
    return found


@dataclass(frozen=True, kw_only=True)
class MakeFileOptions(MakeOptions):
    """An instance, and where it is written."""

    out: Path = option(written=True, mark=RULES)
    """Write the instance as JSON."""


def make_file(options: MakeFileOptions) -> Instance:
    """Make an instance and write it.

    Raises
    ------
    OuroborosError
        If there is no such model, or sizes do not divide each other.
    """
    found = make_instance(options)
    write_instance(found, options.out)
    return found
