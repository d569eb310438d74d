"""``ouroboros relieve``: a placement's busiest link, made less busy."""

from dataclasses import replace
from pathlib import Path

import click

from ouroboros.sw.cli.options import OutputFile, defects_option, json_option, write_json
from ouroboros.sw.place.dead import dead_cores
from ouroboros.sw.place.instance import read_instance
from ouroboros.sw.place.links import FLIT_BYTES, TARGET_FLITS, link_loads
from ouroboros.sw.place.placement import SCHEMA, Placement, check, load, save
from ouroboros.sw.place.relieve import relieve

__all__ = ["relieve_command"]

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("relieve")
@click.option("--instance", "instance_path", required=True, type=FILE, metavar="FILE",
              help="The instance that was placed.")
@click.option("--placement", "placement_path", required=True, type=FILE, metavar="FILE",
              help="What ouroboros map --out wrote.")
@click.option("--share", default=0.01, show_default=True, type=click.FloatRange(0),
              help="Share of the cost that may be given for it.")
@click.option("--target-flits", default=TARGET_FLITS, show_default=True,
              type=click.IntRange(min=0),
              help="Flits per token that are few enough; default: the cycles of an MVM.")
@click.option("--out", "out_path", type=OutputFile(SCHEMA), metavar="FILE",
              help="Write the new placement.")
@defects_option
@json_option
def relieve_command(instance_path: Path, placement_path: Path, share: float, target_flits: int,
                    dead: str, out_path: Path | None, json_path: Path | None) -> None:
    """Move tiles so that the busiest link carries less, for a stated share of the cost at most.

    Loads are those of multicast trees, X first, then Y; without nets in the instance, of every
    edge as unicasts, half each way. Flits are 32 bytes, full, headers not counted. --dead: as
    given to ouroboros map.
    """
    instance = read_instance(instance_path)
    instance = replace(instance, grid=instance.grid.without(dead_cores(dead, instance.grid)))
    placed = load(placement_path)
    check(placed, instance, str(placement_path))
    before = link_loads(instance, placed.core).busiest_flits()
    found = relieve(instance, placed.core, share=share, target_bytes=target_flits * FLIT_BYTES)
    after = found.busiest_bytes / FLIT_BYTES
    click.echo(f"busiest link: {before:,.1f} -> {after:,.1f} flits per token; target "
               f"{target_flits}: {'met' if after <= target_flits else 'missed'}; cost "
               f"{placed.cost:,} -> {found.cost:,} ({found.cost / max(placed.cost, 1) - 1:+.3%})")
    if out_path is not None:
        save(Placement(instance_name=placed.instance_name, grid=placed.grid, core=found.core,
                       instance_digest=placed.instance_digest, cost=found.cost,
                       lower_bound=placed.lower_bound, seed=placed.seed), out_path)
    write_json(json_path, {
        "instance": instance.name, "digest": instance.digest, "busiest_flits_before": before,
        "busiest_flits": after, "busiest_bytes": found.busiest_bytes,
        "target_flits": target_flits, "met": after <= target_flits, "cost_before": placed.cost,
        "cost": found.cost, "share": share, "rounds": found.rounds})
