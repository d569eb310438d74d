"""``ouroboros repair``: cores of a placed wafer die; chains of tiles step aside."""

from dataclasses import replace
from pathlib import Path

import click
from rich.table import Table

from ouroboros.sw.cli.options import (
    OutputFile,
    defects_option,
    json_option,
    progress_bar,
    write_json,
)
from ouroboros.sw.lib.text import Console
from ouroboros.sw.place.dead import dead_cores
from ouroboros.sw.place.instance import read_instance
from ouroboros.sw.place.lifetime import live_through
from ouroboros.sw.place.placement import SCHEMA, check, load, save

__all__ = ["repair"]

FAULTS = 100
"""Drawn unless the user says how many, or which cores are dead."""
READABLE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option("--instance", "instance_path", required=True, type=READABLE, metavar="FILE",
              help="The instance that was placed.")
@click.option("--placement", "placement_path", required=True, type=READABLE, metavar="FILE",
              help="What ouroboros map --out wrote.")
@defects_option
@click.option("--faults", type=click.IntRange(min=0), metavar="N",
              help="Cores drawn at random that die, one after the other; default: 100, or none "
                   "with --dead.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0),
              help="Of the draw of cores.")
@click.option("--out", "out_path", type=OutputFile(SCHEMA), metavar="FILE",
              help="Write the repaired placement; its defects include the cores that died.")
@json_option
@click.pass_context
def repair(context: click.Context, instance_path: Path, placement_path: Path, dead: str,
           faults: int | None, seed: int, out_path: Path | None, json_path: Path | None) -> None:
    """Let cores of a placement die and repair it each time, by the cheapest chain of tiles.

    Those that are --dead die first, unless the placement knows of them already. Exit code 1 if the
    spares end before the faults do.
    """
    instance = read_instance(instance_path)
    placement = load(placement_path)
    gone = dead_cores(dead, instance.grid)
    known = {*placement.grid.defects}
    instance = replace(instance, grid=instance.grid.without(known.intersection(gone)))
    check(placement, instance, str(placement_path))
    if faults is None:
        faults = 0 if dead else FAULTS
    with progress_bar("faults") as progress:
        life = live_through(instance, placement, faults, seed, progress,
                            dead=[core for core in gone if core not in known])
    found = life.as_dict()
    table = Table("faults", "cost", "mean, ms", title=f"{instance.name}: repairs")
    for column in table.columns:
        column.justify = "right"
    for row in found["after"]:
        table.add_row(f"{row['faults']:,}", f"{row['cost_change']:+.4%}", f"{row['mean_ms']:.3f}")
    Console().print(table)
    click.echo(f"{found['faults_on_tiles']:,} faults hit a tile; tiles moved: mean "
               f"{found['mean_tiles_moved']:.1f}, at most {found['max_tiles_moved']}; time: 99 % "
               f"below {found['p99_ms']:.2f} ms, at most {found['max_ms']:.2f} ms; tables, once: "
               f"{found['table_ms']:.1f} ms; spares left: {found['spares_left']:,}")
    if out_path is not None:
        save(life.placement, out_path)
    write_json(json_path, found)
    if life.refusal is not None:
        click.echo(f"fault {found['faults'] + 1}: {life.refusal}", err=True)
        context.exit(1)
