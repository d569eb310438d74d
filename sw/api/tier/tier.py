"""A memory tier beside GPUs: requests through a system, published figures."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ouroboros.sw.api.shared import WithShape
from ouroboros.sw.baselines.traffic import Traffic
from ouroboros.sw.lib.options import Options, option
from ouroboros.sw.models.shape import load_shape
from ouroboros.sw.tier.energy import Joules, joules
from ouroboros.sw.tier.errors import TierError
from ouroboros.sw.tier.figures.bar import read_bars
from ouroboros.sw.tier.figures.compare import Compared, compare
from ouroboros.sw.tier.figures.scheduling import prediction_of
from ouroboros.sw.tier.lengths import TRACES, draw, from_file
from ouroboros.sw.tier.pictures import FIGURES_MARK, draw_figures
from ouroboros.sw.tier.serve import Run, run
from ouroboros.sw.tier.systems import RANK_SETS, SYSTEMS, system
from ouroboros.sw.tier.technology import load_technology, technology_names

__all__ = ["FiguresOptions", "RunOptions", "TierRun", "WithTechnology", "compare_tier",
           "run_tier"]


@dataclass(frozen=True, kw_only=True)
class WithTechnology(Options):
    """DRAM of the tier."""

    technology: str = option("ddr4-3200", names=technology_names, metavar="FILE.toml")
    """Shipped technology of a pool or path of a TOML file."""


@dataclass(frozen=True, kw_only=True)
class RunOptions(WithTechnology, WithShape):
    """A system and requests."""

    model: str = option("gpt-175b", names=lambda: ("gpt-175b", "opt-66b", "qwen2-72b"),
                        metavar="NAME|FILE.toml")
    """Any shipped shape, or path of a TOML file; the publication has these."""
    system: str = option("tier", choices=lambda: tuple(SYSTEMS))
    """Where K and V lie, and what computes attention."""
    trace: str = option("openr1", names=lambda: tuple(TRACES), metavar="FILE.csv")
    """Lengths as of a trace, or a CSV file (arrival_s, input_tokens, output_tokens), all at
    once."""
    requests: int = option(1000, metavar="N", least=1, most=1_000_000)
    """How many are drawn."""
    seed: int = option(0, metavar="N", least=0)
    """Of the lengths."""
    tensor_parallel: int | None = option(None, metavar="N", least=1)
    """GPUs of a replica; by default the publication's, or as few as hold the weights twice."""
    capacity: float = option(1.0, metavar="F", above=0)
    """Of the tier, as a part of the technology's."""
    bandwidth: float = option(1.0, metavar="F", above=0)
    """Likewise."""
    efficiency: float | None = option(None, metavar="F", above=0, most=1)
    """Of the banks' bandwidth that is left; by default the technology's, banks staggered."""
    rank_sets: int = option(RANK_SETS, metavar="N", least=1)
    """While one receives, the others compute; 1: nothing is hidden."""
    scheduler: bool = option(False)
    """Balance attention and dense layers by predicted times, fitted to a run without."""


@dataclass(frozen=True, kw_only=True)
class FiguresOptions(WithTechnology):
    """Published figures."""

    bars: Path | None = option(None)
    """JSON file of published bars (docs/tier.md); without, only figures of the text stand beside
    the model's."""
    requests: int = option(1000, metavar="N", least=50, most=100_000)
    """Of each run from end to end."""
    seed: int = option(1, metavar="N", least=0)
    """Of their lengths."""
    plot: Path | None = option(None, written=True, mark=FIGURES_MARK, suffixes=(".svg", ".png"))
    """Picture: published against the model's."""


@dataclass(frozen=True, kw_only=True)
class TierRun:
    """What a system did with requests."""

    run: Run
    """Rates."""
    energy: Joules | None
    """Of a token; none where the technology has no currents."""

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {**self.run.as_dict(),
                "joules_per_token": None if self.energy is None else self.energy.as_dict()}


def run_tier(options: RunOptions) -> TierRun:
    """Requests through a system.

    Raises
    ------
    OuroborosError
        If the model does not fit, a request is too long, or a file is wrong.
    """
    technology, currents = load_technology(options.technology)
    found = system(options.system, load_shape(options.model), technology,
                   tensor_parallel=options.tensor_parallel, capacity=options.capacity,
                   bandwidth=options.bandwidth, efficiency=options.efficiency,
                   rank_sets=options.rank_sets)
    traffic = _traffic(options)
    served = run(found, traffic)
    if options.scheduler:
        if found.name != "tier":
            raise TierError(f"scheduler must be off for system {found.name!r}: it balances the "
                            "tier only")
        served = run(found, traffic, prediction=prediction_of(served))
    return TierRun(run=served, energy=None if currents is None else
                   joules(served, technology, currents))


def compare_tier(options: FiguresOptions,
                 progress: Callable[[str], None] = lambda _: None) -> Compared:
    """Figures of the publication beside the model's; draws them if asked for.

    Raises
    ------
    OuroborosError
        If the file of bars is wrong, or the technology has no currents.
    """
    technology, currents = load_technology(options.technology)
    found = compare(read_bars(options.bars), technology, currents, requests=options.requests,
                    seed=options.seed, progress=progress)
    if options.plot is not None:
        draw_figures(found, options.plot)
    return found


def _traffic(options: RunOptions) -> Traffic:
    if options.trace.endswith(".csv"):
        return from_file(Path(options.trace))
    return draw(options.trace, options.requests, options.seed)
