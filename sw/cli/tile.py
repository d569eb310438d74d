"""``ouroboros tile``: how a model is cut into tiles for a machine, and their traffic."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.table import Table

from ouroboros.hw.params.machine import Machine, load_machine
from ouroboros.sw.block.cores import SPARES_PER_DIE, CoreCount, count_cores
from ouroboros.sw.cli.options import (
    OutputFile,
    defects_option,
    json_option,
    machine_option,
    print_whole,
    write_json,
)
from ouroboros.sw.mapper.ports import PortLoad, port_loads
from ouroboros.sw.mapper.tiles import tile_model
from ouroboros.sw.models.shape import load_shape
from ouroboros.sw.place.dead import dead_cores
from ouroboros.sw.place.instance import SCHEMA, Instance, write_instance

__all__ = ["members_option", "print_tiles", "tile", "tiles_as_dict"]

Command = TypeVar("Command", bound=Callable[..., Any])


members_option: Callable[[Command], Command] = click.option(
    "--members", type=int, metavar="N",
    help="Cores that share the tokens of a KV head; default: as many as fit.")


def _tiling_table(count: CoreCount) -> Table:
    found = count.as_dict()
    table = Table(title=f"Tilings of {count.shape.name} on machine {count.machine.name!r}")
    for title in ("matrix", "row x column tiles a core", "row x column slices", "cores"):
        table.add_column(title, no_wrap=True, justify="left" if title == "matrix" else "right")
    for name, t in found["tilings"].items():
        table.add_row(name, f"{t['row_tiles']} x {t['column_tiles']}",
                      f"{t['row_slices']} x {t['column_slices']}", str(t["cores"]))
    return table


def _count_table(count: CoreCount) -> Table:
    found = count.as_dict()
    cores = found["cores"]
    table = Table("quantity", "cores", "", title="Cores")
    table.add_row("one block's weights", f"{found['block_cores']:,}",
                  f"crossbar minimum {found['block_minimum']:,}; norm roots included")
    table.add_row("weights", f"{cores['weights']:,}",
                  f"crossbar minimum {found['crossbar_minimum']:,}, "
                  f"{found['weight_fill']:.1%} of their bytes are weights")
    table.add_row("embedding", f"{cores['embedding']:,}", "residual slices that the host fills")
    table.add_row("KV", f"{cores['kv']:,}",
                  f"{found['kv_members']} for each group of {found['kv_heads_per_core']} heads")
    table.add_row("spare", f"{cores['spare']:,}", "free for repairs")
    table.add_row("unused", f"{cores['unused']:,}",
                  f"of {cores['live']:,} live, {cores['all']:,} in all")
    return table


def _port_table(machine: Machine, loads: list[PortLoad]) -> Table:
    table = Table(title=f"Flits per token of the busiest core of a kind; a full MVM takes "
                        f"{machine.cim.mvm_cycles} cycles")
    for title in ("kind", "cores", "in", "out"):
        table.add_column(title, no_wrap=True, justify="left" if title == "kind" else "right")
    for load in loads:
        table.add_row(load.kind, f"{load.cores:,}", f"{load.flits_in:,.1f}",
                      f"{load.flits_out:,.1f}")
    return table


def print_tiles(count: CoreCount, instance: Instance) -> None:
    """Tilings, counts beside the crossbar minimum, port loads."""
    machine = count.machine
    loads = port_loads(instance.tile_names, instance.nets, machine.noc.flit_bits // 8)
    for table in (_tiling_table(count), _count_table(count), _port_table(machine, loads)):
        print_whole(table)
    click.echo(f"{instance.tiles:,} tiles, {len(instance.edges):,} edges with "
               f"{instance.volume / 1e6:.1f} MB per token; {len(instance.nets):,} multicasts "
               f"inject {sum(net.volume_bytes for net in instance.nets) / 1e6:.1f} MB")


def tiles_as_dict(count: CoreCount, instance: Instance) -> dict[str, Any]:
    """The same, for a file."""
    loads = port_loads(instance.tile_names, instance.nets, count.machine.noc.flit_bits // 8)
    return {
        "machine": count.machine.name, "model": count.shape.name,
        "model_source": count.shape.source, **count.as_dict(),
        "ports": [{"kind": load.kind, "cores": load.cores, "flits_in": load.flits_in,
                   "flits_out": load.flits_out} for load in loads],
        "tiles": instance.tiles, "edges": len(instance.edges), "nets": len(instance.nets),
        "bytes_per_token": instance.volume,
        "injected_bytes_per_token": sum(net.volume_bytes for net in instance.nets)}


@click.command()
@machine_option("wafer")
@click.option("--model", "model_name", default="llama-13b", show_default=True, metavar="NAME",
              help="Shipped shape or path of a TOML file.")
@members_option
@click.option("--spares-per-die", default=SPARES_PER_DIE, show_default=True, metavar="N",
              help="Cores of each die that hold nothing.")
@defects_option
@click.option("--out", type=OutputFile(SCHEMA), metavar="FILE",
              help="Write the instance for ouroboros map --instance, .json or .json.gz.")
@json_option
def tile(machine_name: str, model_name: str, spares_per_die: int, members: int | None,
         dead: str, out: Path | None, json_path: Path | None) -> None:
    """Cut a model into tiles for the cores of a machine; count them and what they send.

    Tiles are the cores of the layout ``tiled`` (docs/tiling.md); what they send is what their
    programs send. A model that does not fit is refused, with the number of machines that it takes.
    """
    machine, shape = load_machine(machine_name), load_shape(model_name)
    defects = dead_cores(dead, machine.mesh)
    count = count_cores(machine, shape, members=members, dead=len(defects),
                        spares_per_die=spares_per_die)
    instance = tile_model(count, defects=defects)
    print_tiles(count, instance)
    if out is not None:
        write_instance(instance, out)
    write_json(json_path, tiles_as_dict(count, instance))
