"""Machines by Bayesian optimisation at equal silicon, the search of mappings inside.

Every machine gets the same budget of the same search; a machine whose lower bound is above the
best EDP so far gets none. Winner and given machine are searched again with another seed and a
larger budget, so that luck of one search is not taken for a better machine.

Ref: Compass, arXiv 2512.06093, version 3: hardware by Bayesian optimisation; Watanabe,
Tree-structured Parzen estimator, arXiv 2304.11127.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from ouroboros.sw.search.annealing.search import Found, search
from ouroboros.sw.search.bounds.bound import bound
from ouroboros.sw.search.errors import SearchError
from ouroboros.sw.search.evaluation.tables import Problem
from ouroboros.sw.search.hardware.areas import Areas, load_areas
from ouroboros.sw.search.hardware.machines import ARRAYS, EIGHTHS, GRIDS, LAYOUTS, Chips, built
from ouroboros.sw.search.problem.instance import Instance

__all__ = ["Cosearched", "Trial", "cosearch"]

AGAIN = 4
"""Budget of the last two searches, times that of a trial."""
STARTUP = 8
"""Machines before the estimator is asked: those given first, the rest at random."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """A machine that was tried."""

    chips: Chips
    """What was chosen."""
    instance: Instance | None
    """The machine; None: it cannot be built."""
    found: Found | None
    """Its best mapping; None: none was searched."""
    bound: float
    """EDP that no mapping on it is below; infinite where it cannot be built."""
    why: str = ""
    """Why no mapping was searched."""

    @property
    def edp(self) -> float:
        """Of the best mapping; infinite where none was searched."""
        return math.inf if self.found is None else self.found.figures.edp

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        known = self.instance is not None
        return {**asdict(self.chips), "grid": list(GRIDS[self.chips.grid]),
                "kinds": [asdict(kind) for kind in self.instance.kinds] if self.instance else [],
                "edp": None if self.found is None else self.edp,
                "bound_edp": self.bound if known else None, "why": self.why}


@dataclass(frozen=True, kw_only=True, slots=True)
class Cosearched:
    """The machines, and the best of them beside the given one."""

    base: Problem
    """The given machine."""
    best: Problem
    """The best; ``base`` if no other is better."""
    before: Found
    """Mapping on the given machine, by the last search."""
    after: Found
    """The same on the best."""
    trials: tuple[Trial, ...]
    """In the order in which they were tried."""
    silicon_mm2: float
    """Of all chips."""
    interrupted: bool
    """Ctrl-C ended it before all trials."""

    @property
    def change(self) -> float:
        """Of the EDP, as a part of the given machine's; never above 0."""
        return self.after.figures.edp / self.before.figures.edp - 1

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {"instance": self.base.instance.name, "instance_digest": self.base.instance.digest,
                "silicon_mm2": self.silicon_mm2, "base": self.before.as_dict(),
                "best": self.after.as_dict(), "best_digest": self.best.instance.digest,
                "change": self.change, "trials": [one.as_dict() for one in self.trials],
                "interrupted": self.interrupted}


def cosearch(base: Instance, *, trials: int, evaluations: int, seed: int = 0, threads: int = 2,
             areas: Areas | None = None,
             progress: Callable[[str], None] = lambda what: None) -> Cosearched:
    """Search chips and mappings of an instance together.

    Parameters
    ----------
    trials : int
        Machines that are tried.
    evaluations : int
        Mappings that are tried on each; ``AGAIN`` times as many on the given one and on the best.
    seed : int
        Of the optimiser and of the searches: with equal threads, one seed gives one answer.
    progress : Callable
        Told of each machine.

    Raises
    ------
    SearchError
        If the optimiser is not installed, or a budget is none.
    """
    if trials < 1:
        raise SearchError(f"trials must be at least 1, not {trials}")
    areas, problem = areas or load_areas(), Problem(base)
    asked = _Asked(seed, _first(base))
    tried: list[Trial] = []
    given = search(problem, evaluations=evaluations, seed=seed, threads=threads)
    after, best, interrupted = given, problem, given.interrupted
    try:
        while len(tried) < trials and not interrupted:
            chips = asked.next()
            known = next((one for one in tried if one.chips == chips), None)
            trial = known or _tried(chips, base, areas, after.figures.edp, evaluations, seed,
                                    threads)
            # A machine that cannot be built, or is not worth a search, is told as what it is.
            asked.tell((trial.edp if trial.found else trial.bound) / given.figures.edp)
            tried.append(trial)
            progress(f"{len(tried)} of {trials}: {chips.name}, "
                     + (trial.why or f"EDP {trial.edp:.4e}"))
            if trial.found and trial.instance and trial.edp < after.figures.edp:
                after, best = trial.found, Problem(trial.instance)
    except KeyboardInterrupt:
        interrupted = True
    before = given
    if not interrupted:
        last: dict[str, Any] = {"evaluations": AGAIN * evaluations, "seed": seed + 1,
                                "threads": threads}
        before = search(problem, **last)
        after = before if best is problem else search(best, **last)
    if after.figures.edp > before.figures.edp:
        best, after = problem, before
    return Cosearched(base=problem, best=best, before=before, after=after, trials=tuple(tried),
                      silicon_mm2=areas.machine(base), interrupted=interrupted)


def _tried(chips: Chips, base: Instance, areas: Areas, least: float, evaluations: int, seed: int,
           threads: int) -> Trial:
    """A machine, with its mapping if that can be the best."""
    try:
        instance = built(chips, base, areas)
        problem = Problem(instance)
    except SearchError as error:
        return Trial(chips=chips, instance=None, found=None, bound=math.inf, why=str(error))
    limits = bound(problem)
    if limits.edp >= least:
        return Trial(chips=chips, instance=instance, found=None, bound=limits.edp,
                     why=f"no mapping is below {limits.edp:.4e}")
    found = search(problem, evaluations=evaluations, seed=seed, threads=threads, limits=limits)
    if found.interrupted:
        raise KeyboardInterrupt
    return Trial(chips=chips, instance=instance, found=found, bound=limits.edp)


def _first(base: Instance) -> list[Chips]:
    """Machines to begin with: the grid nearest to the given one, both kinds and each alone."""
    grid = min(range(len(GRIDS)), key=lambda n: (abs(
        math.log(GRIDS[n][0] * GRIDS[n][1] / base.chips)), n))
    macs = max(kind.rows * kind.cols for kind in base.kinds)
    array = min(range(len(ARRAYS["ws"])), key=lambda n: abs(
        math.log(ARRAYS["ws"][n][0] * ARRAYS["ws"][n][1] / macs)))
    return [Chips(grid, array, array, eighths, LAYOUTS[0])
            for eighths in (EIGHTHS // 2, 0, EIGHTHS)]


class _Asked:
    """The optimiser: asked for a machine, told its EDP.

    The tree-structured Parzen estimator takes whole numbers and names as they are, and its answer
    depends on seed and on what it was told alone.
    """

    def __init__(self, seed: int, first: list[Chips]):
        try:
            import optuna
        except ImportError:
            raise SearchError("Optuna must be installed to search hardware: install the project "
                              "with its extra 'search'") from None
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        whole, names = (optuna.distributions.IntDistribution,
                        optuna.distributions.CategoricalDistribution)
        self.space = {"grid": whole(0, len(GRIDS) - 1), "ws": whole(0, len(ARRAYS["ws"]) - 1),
                      "os": whole(0, len(ARRAYS["os"]) - 1), "eighths": whole(0, EIGHTHS),
                      "layout": names(LAYOUTS)}
        self.study = optuna.create_study(sampler=optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=STARTUP))
        for one in first:
            self.study.enqueue_trial(asdict(one))
        self.trial: Any = None

    def next(self) -> Chips:
        """A machine."""
        self.trial = self.study.ask(self.space)
        return Chips(**self.trial.params)

    def tell(self, value: float) -> None:
        """What the machine came to; infinite: it cannot be built."""
        if math.isfinite(value):
            self.study.tell(self.trial, math.log(value))
        else:
            self.study.tell(self.trial, state=_failed())


def _failed() -> Any:
    from optuna.trial import TrialState

    return TrialState.FAIL
