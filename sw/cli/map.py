"""``ouroboros map``: tiles to cores, with the certificate of how good the placement is."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ouroboros.hw.params.machine import Machine, load_machine
from ouroboros.sw.block.cores import SPARES_PER_DIE, count_cores
from ouroboros.sw.block.plans import PLACEMENTS
from ouroboros.sw.cli.group import INTERRUPTED
from ouroboros.sw.cli.options import (
    OutputFile,
    defects_option,
    json_option,
    machine_option,
    write_json,
)
from ouroboros.sw.cli.tile import members_option, print_tiles, tiles_as_dict
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.lib.text import Console
from ouroboros.sw.mapper.place import place_program
from ouroboros.sw.mapper.tiles import tile_model
from ouroboros.sw.mapper.traffic import flit_hops
from ouroboros.sw.models.shape import ModelShape, load_shape
from ouroboros.sw.place.dead import dead_cores
from ouroboros.sw.place.instance import read_instance
from ouroboros.sw.place.place import Options, Result, place
from ouroboros.sw.place.placement import SCHEMA, save
from ouroboros.sw.program.image import Token
from ouroboros.sw.quantise.source import open_model

__all__ = ["map_command"]

TITLES = {"start": "curves and start", "bound": "lower bound", "search": "search",
          "proof": "exact search"}


@contextlib.contextmanager
def place_progress() -> Iterator[Callable[[str, float, int], None]]:
    """A bar on stderr for ``sw.place.place``; nothing shows when piped."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[best]}"),
               TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True,
                  disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=1.0, best="")

        def update(what: str, spent: float, best: int) -> None:
            progress.update(task, description=TITLES[what], completed=spent,
                            best=f"best {best:,}" if best else "")

        yield update


def print_result(result: Result) -> None:
    """Cost, bound, gap and what stands beside them."""
    found = result.as_dict()
    cost = found["cost"]

    def against(other: int) -> str:
        return f"{cost / other:.3f} of it" if other else ""

    table = Table("", "volume x hops", "", title=f"{found['instance']}: {found['tiles']:,} tiles "
                  f"on {result.placement.grid.width} x {result.placement.grid.height} cores")
    table.columns[1].justify = "right"
    gap = "" if found["gap"] is None else f"gap {found['gap']:.2%}"
    table.add_row("cost", f"{cost:,}", "optimal, proved" if found["optimal"] else gap)
    table.add_row("lower bound", f"{found['lower_bound']:,}", "no placement costs less")
    for name in ("row_snake", "die_snake", "die_hilbert"):
        other = found["baselines"][name]
        table.add_row(name.replace("_", " "), f"{other:,}", against(other))
    Console().print(table)
    links = found["links"]
    nets = ("on multicast trees (X first, then Y)" if links["known"] else
            "every edge as unicasts, half each way, as the instance names no senders")
    click.echo(f"byte-hops per token: {links['tree_byte_hops']:,} {nets}; busiest link: "
               f"{links['busiest_bytes']:,.0f} bytes per token ({links['busiest_flits']:,.1f} full "
               f"flits of 32 bytes), {links['busiest_direction']} of core {links['busiest_core']}")
    click.echo(f"{found['moves']:,} moves in {found['search_seconds']:.1f} s, "
               f"{found['moves_per_s'] / 1e6:.2f} M/s, seed {found['seed']}"
               + ("; interrupted, best so far kept" if found["interrupted"] else ""))


@click.command("map")
@click.option("--instance", "instance_path", metavar="FILE",
              type=click.Path(path_type=Path, dir_okay=False),
              help="Tiles, traffic and grid as JSON, plain or gzipped.")
@click.option("--model", "model_name", metavar="NAME",
              help="Shipped shape or path of a TOML file: its tiles on a machine.")
@click.option("--checkpoint", type=click.Path(path_type=Path), metavar="PATH",
              help="A checkpoint that runs on a machine: the cores of its program.")
@machine_option("wafer")
@members_option
@defects_option
@click.option("--layout", default="plain", show_default=True, type=click.Choice(PLACEMENTS),
              help="Roles of the cores of a checkpoint's program.")
@click.option("--seconds", default=10.0, show_default=True, type=click.FloatRange(0, min_open=True),
              help="Wall time of the search; not for a checkpoint, which takes a second or two.")
@click.option("--moves", type=click.IntRange(min=1), metavar="N",
              help="Moves to evaluate instead: the same seed gives the same placement.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
@click.option("--threads", default=2, show_default=True, type=click.IntRange(1, 64),
              help="Threads of the search.")
@click.option("--spares-per-die", type=click.IntRange(min=0), metavar="N",
              help="Live cores of each die that stay free, for repairs; default: 4 for a model, "
                   "else 0.")
@click.option("--out", "out_path", type=OutputFile(SCHEMA), metavar="FILE",
              help="Write the placement as JSON; gzipped if the name ends in .gz.")
@json_option
def map_command(instance_path: Path | None, model_name: str | None, checkpoint: Path | None,
                machine_name: str, layout: str, dead: str, seconds: float,
                moves: int | None, seed: int, threads: int, spares_per_die: int | None,
                members: int | None, out_path: Path | None, json_path: Path | None) -> None:
    """Place tiles on cores: least volume times hops, die borders counted as extra hops.

    Tiles are those of an --instance, of a --model on a --machine, or the cores of a --checkpoint's
    program (whose placement ouroboros run takes). Prints a proved lower bound and the gap to it,
    and what space-filling curves cost. Small instances are solved exactly. Ctrl-C ends the search
    and keeps the best so far, exit code 130. Cores that are --dead get no tile, beside
    those of the instance.
    """
    if sum(given is not None for given in (instance_path, model_name, checkpoint)) != 1:
        raise OuroborosError("give one of --instance, --model and --checkpoint")
    if spares_per_die is None:
        spares_per_die = SPARES_PER_DIE if model_name is not None else 0
    options = Options(seconds=None if moves else seconds, moves=moves, seed=seed, threads=threads,
                      spares_per_die=spares_per_die)
    results: dict[str, Any]
    if instance_path is not None:
        instance = read_instance(instance_path)
        grid = instance.grid.without(dead_cores(dead, instance.grid))
        with place_progress() as progress:
            result = place(replace(instance, grid=grid), options, progress)
        print_result(result)
        results = result.as_dict()
    elif model_name is not None:
        machine = load_machine(machine_name)
        result, results = map_shape(machine, load_shape(model_name), members,
                                    dead_cores(dead, machine.mesh), options)
    else:
        assert checkpoint is not None, "one of the three is given"
        machine = load_machine(machine_name)
        result, results = map_checkpoint(machine, checkpoint, layout,
                                         dead_cores(dead, machine.mesh), options)
    if out_path is not None:
        save(result.placement, out_path)
    write_json(json_path, results)
    if result.interrupted:
        raise click.exceptions.Exit(INTERRUPTED)


def map_shape(machine: Machine, shape: ModelShape, members: int | None,
              defects: tuple[int, ...], options: Options) -> tuple[Result, dict[str, Any]]:
    """Tile a shape, place the tiles beside the spares of every die, print both."""
    count = count_cores(machine, shape, members=members, dead=len(defects),
                        spares_per_die=options.spares_per_die)
    instance = tile_model(count, defects=defects)
    print_tiles(count, instance)
    with place_progress() as progress:
        result = place(instance, options, progress)
    print_result(result)
    flits, goal = result.loads.busiest_flits(machine.noc.flit_bits // 8), machine.cim.mvm_cycles
    click.echo(f"busiest link: {flits:,.0f} flits per token, headers and credits included; "
               f"target {goal}, the cycles of an MVM: {'met' if flits <= goal else 'missed'}")
    return result, {
        **result.as_dict(), "busiest_link_flits": flits, "busiest_link_target_flits": goal,
        "tiling": tiles_as_dict(count, instance)}


def map_checkpoint(machine: Machine, checkpoint: Path, layout: str, defects: tuple[int, ...],
                   options: Options) -> tuple[Result, dict[str, Any]]:
    """Place the cores of a checkpoint's program; flit-hops beside those along the snake."""
    model = open_model(checkpoint, None).quantised()
    with place_progress() as progress:
        result, plain, placed = place_program(
            machine, model, layout, seed=options.seed, defects=defects, moves=options.moves,
            progress=progress)
    print_result(result)
    before, after = flit_hops(plain, Token(0)), flit_hops(placed, Token(0))
    click.echo(f"data flits from router to router per token: {after:,}, along the snake {before:,} "
               f"({after / before - 1:+.1%}); multicast trees and the host's packets included")
    return result, {**result.as_dict(), "layout": layout, "flit_hops_per_token": after,
                    "flit_hops_per_token_snake": before}
