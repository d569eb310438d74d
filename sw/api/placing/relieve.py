"""A placement's busiest link, made less busy: options in, the new placement out."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ouroboros.sw.api.shared import OfPlaced
from ouroboros.sw.lib.options import option
from ouroboros.sw.place.dead import dead_cores
from ouroboros.sw.place.instance import Instance, read_instance
from ouroboros.sw.place.links import FLIT_BYTES, TARGET_FLITS, link_loads
from ouroboros.sw.place.placement import SCHEMA, Placement, check, load, save
from ouroboros.sw.place.relieve import relieve

__all__ = ["Relief", "RelieveOptions", "relieve_placement"]


@dataclass(frozen=True, kw_only=True)
class RelieveOptions(OfPlaced):
    """A placement, and what its busiest link may cost."""

    share: float = option(0.01, metavar="F", least=0)
    """Share of the cost that may be given for it."""
    target_flits: int = option(TARGET_FLITS, metavar="N", least=0)
    """Flits per token that are few enough; default: the cycles of an MVM."""
    out: Path | None = option(None, written=True, mark=SCHEMA)
    """Write the new placement."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Relief:
    """A placement with a less busy busiest link."""

    options: RelieveOptions
    """What was asked for."""
    instance: Instance
    """What is placed."""
    before: Placement
    """As it was."""
    placement: Placement
    """As it is now."""
    busiest_flits_before: float
    """Flits per token of the busiest link, full ones of 32 bytes."""
    busiest_bytes: float
    """Bytes per token of the busiest link now."""
    rounds: int
    """Rounds that lowered it."""

    @property
    def busiest_flits(self) -> float:
        """Flits per token of the busiest link now."""
        return self.busiest_bytes / FLIT_BYTES

    @property
    def met(self) -> bool:
        """Whether they are few enough."""
        return self.busiest_flits <= self.options.target_flits

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {
            "instance": self.instance.name, "digest": self.instance.digest,
            "busiest_flits_before": self.busiest_flits_before,
            "busiest_flits": self.busiest_flits, "busiest_bytes": self.busiest_bytes,
            "target_flits": self.options.target_flits, "met": self.met,
            "cost_before": self.before.cost, "cost": self.placement.cost,
            "share": self.options.share, "rounds": self.rounds}


def relieve_placement(options: RelieveOptions) -> Relief:
    """Move tiles off the busiest link, and write the placement if wanted.

    Raises
    ------
    OuroborosError
        If a file is wrong, or the placement is not one of the instance with these dead cores.
    """
    instance = read_instance(options.instance)
    instance = replace(instance, grid=instance.grid.without(
        dead_cores(options.dead, instance.grid)))
    before = load(options.placement)
    check(before, instance, str(options.placement))
    flits_before = link_loads(instance, before.core).busiest_flits()
    found = relieve(instance, before.core, share=options.share,
                    target_bytes=options.target_flits * FLIT_BYTES)
    after = replace(before, core=found.core, cost=found.cost)
    if options.out is not None:
        save(after, options.out)
    return Relief(options=options, instance=instance, before=before, placement=after,
                  busiest_flits_before=flits_before, busiest_bytes=found.busiest_bytes,
                  rounds=found.rounds)
