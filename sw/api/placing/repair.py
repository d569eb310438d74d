"""Cores of a placed wafer die: options in, every repair and the last placement out."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ouroboros.sw.api.shared import OfPlaced
from ouroboros.sw.lib.options import option
from ouroboros.sw.place.dead import dead_cores
from ouroboros.sw.place.instance import read_instance
from ouroboros.sw.place.lifetime import Lifetime, live_through
from ouroboros.sw.place.placement import SCHEMA, check, load, save

__all__ = ["RepairOptions", "repair_placement"]

FAULTS = 100
"""Drawn unless the user says how many, or which cores are dead."""


@dataclass(frozen=True, kw_only=True)
class RepairOptions(OfPlaced):
    """A placement, and what dies."""

    faults: int | None = option(None, metavar="N", least=0)
    """Cores drawn at random that die, one after the other; default: 100, or none with --dead."""
    seed: int = option(0, metavar="N", least=0)
    """Of the draw of cores."""
    out: Path | None = option(None, written=True, mark=SCHEMA)
    """Write the repaired placement; its defects include the cores that died."""


def repair_placement(options: RepairOptions,
                     progress: Callable[[int, int], None] | None = None) -> Lifetime:
    """Let cores die and repair the placement each time; write it if wanted.

    Raises
    ------
    OuroborosError
        If a file is wrong, or the placement is not one of the instance.
    """
    instance = read_instance(options.instance)
    placement = load(options.placement)
    gone = dead_cores(options.dead, instance.grid)
    known = {*placement.grid.defects}
    instance = replace(instance, grid=instance.grid.without(known.intersection(gone)))
    check(placement, instance, str(options.placement))
    faults = options.faults
    if faults is None:
        faults = 0 if options.dead else FAULTS
    life = live_through(instance, placement, faults, options.seed, progress,
                        dead=[core for core in gone if core not in known])
    if options.out is not None:
        save(life.placement, options.out)
    return life
