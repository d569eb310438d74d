"""``ouroboros relieve``: a placement's busiest link, made less busy."""

from typing import Any

from ouroboros.sw.api.placing.relieve import RelieveOptions, relieve_placement
from ouroboros.sw.cli.command import Output, command

__all__ = ["relieve_command"]


@command(RelieveOptions, "relieve")
def relieve_command(options: RelieveOptions, output: Output) -> dict[str, Any]:
    """Move tiles so that the busiest link carries less, for a stated share of the cost at most.

    Loads are those of multicast trees, X first, then Y; without nets in the instance, of every
    edge as unicasts, half each way. Flits are 32 bytes, full, headers not counted. --dead: as
    given to ouroboros map.
    """
    found = relieve_placement(options)
    before, after = found.before.cost, found.placement.cost
    output.say(f"busiest link: {found.busiest_flits_before:,.1f} -> {found.busiest_flits:,.1f} "
               f"flits per token; target {options.target_flits}: "
               f"{'met' if found.met else 'missed'}\ncost {before:,} -> {after:,} "
               f"({after / max(before, 1) - 1:+.3%})")
    return found.as_dict()
