"""``ouroboros map``: tiles to cores, with the certificate of how good the placement is."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from sw.cli.options import json_option, write_json
from sw.place.instance import read_instance
from sw.place.place import Options, Result, place
from sw.place.placement import save

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
               f"{links['busiest_bytes']:,.0f} bytes per token, {links['busiest_direction']} of "
               f"core {links['busiest_core']}")
    click.echo(f"{found['moves']:,} moves in {found['search_seconds']:.1f} s, "
               f"{found['moves_per_s'] / 1e6:.2f} M/s, seed {found['seed']}"
               + ("; interrupted, best so far kept" if found["interrupted"] else ""))


@click.command("map")
@click.option("--instance", "instance_path", required=True, metavar="FILE",
              type=click.Path(path_type=Path, dir_okay=False),
              help="Tiles, traffic and grid as JSON, plain or gzipped.")
@click.option("--seconds", default=10.0, show_default=True, type=click.FloatRange(0, min_open=True),
              help="Wall time of the search.")
@click.option("--moves", type=click.IntRange(min=1), metavar="N",
              help="Moves to evaluate instead: the same seed gives the same placement.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
@click.option("--threads", default=2, show_default=True, type=click.IntRange(1, 64),
              help="Threads of the search.")
@click.option("--spares-per-die", default=0, show_default=True, type=click.IntRange(min=0),
              help="Live cores of each die that stay free, for repairs.")
@click.option("--out", "out_path", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write the placement as JSON; gzipped if the name ends in .gz.")
@json_option
def map_command(instance_path: Path, seconds: float, moves: int | None, seed: int, threads: int,
                spares_per_die: int, out_path: Path | None, json_path: Path | None) -> None:
    """Place tiles on cores: least volume times hops, die borders counted as extra hops.

    Prints a proved lower bound and the gap to it, and what space-filling curves cost. Small
    instances are solved exactly. Ctrl-C ends the search and keeps the best so far.
    """
    instance = read_instance(instance_path)
    options = Options(seconds=None if moves else seconds, moves=moves, seed=seed, threads=threads,
                      spares_per_die=spares_per_die)
    with place_progress() as progress:
        result = place(instance, options, progress)
    print_result(result)
    if out_path is not None:
        save(result.placement, out_path)
    write_json(json_path, result.as_dict())
