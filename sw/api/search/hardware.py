"""Chips and mappings of an instance searched together: options in, machines out."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ouroboros.sw.lib.options import Options, option
from ouroboros.sw.search.errors import SearchError
from ouroboros.sw.search.evaluation.look import look
from ouroboros.sw.search.hardware.areas import load_areas
from ouroboros.sw.search.hardware.cosearch import Cosearched, cosearch
from ouroboros.sw.search.pictures.picture import PICTURE_MARK, write_picture
from ouroboros.sw.search.problem.instance import RULES
from ouroboros.sw.search.problem.read import read_instance, write_instance

__all__ = ["HardwareOptions", "search_hardware"]

CORNERS = ("low", "mid", "high")


@dataclass(frozen=True, kw_only=True)
class HardwareOptions(Options):
    """An instance, and how many machines and mappings are tried."""

    instance: Path | None = option(None)
    """Layers, chips and batch as JSON, by rules compass-ref-1; must be given."""
    trials: int = option(24, metavar="N", least=1)
    """Machines."""
    evaluations: int = option(20_000, metavar="N", least=1)
    """Mappings of each; four times as many of the given machine and of the best at last."""
    seed: int = option(0, metavar="N", least=0)
    """Of the optimiser and of the searches."""
    threads: int = option(2, metavar="N", least=1, most=64)
    """Threads of each search."""
    corner: str = option("mid", choices=lambda: CORNERS)
    """Silicon of an array: least, likely, most."""
    out: Path | None = option(None, written=True, mark=RULES)
    """Write the instance with the best machine as JSON."""
    report: Path | None = option(None, written=True, mark=PICTURE_MARK, suffixes=(".html",))
    """Write a page with pictures of its mapping."""


def search_hardware(options: HardwareOptions,
                    progress: Callable[[str], None] = lambda what: None) -> Cosearched:
    """Search machines of the instance's silicon; write what is asked for.

    Raises
    ------
    OuroborosError
        If a file is wrong, or the optimiser is not installed.
    """
    if options.instance is None:
        raise SearchError("--instance FILE must be given: layers, chips and batch as JSON")
    found = cosearch(read_instance(options.instance), trials=options.trials,
                     evaluations=options.evaluations, seed=options.seed,
                     threads=options.threads, areas=load_areas(options.corner),
                     progress=progress)
    if options.out is not None:
        write_instance(found.best.instance, options.out)
    if options.report is not None:
        write_picture(look(found.best, found.after.mapping), options.report, found.after.bound)
    return found
