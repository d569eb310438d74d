"""``ouroboros tile``: how a model is cut into tiles for a machine, and their traffic."""

from typing import Any

from rich.table import Table

from ouroboros.sw.api.placing.tile import Tiled, TileOptions, tile_shape
from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.cli.tables import table

__all__ = ["show_tiles", "tile"]


def _cores(found: dict[str, Any]) -> Table:
    cores = found["cores"]
    shown = table("quantity", "cores", "", title="Cores", right=(1,))
    for name, count, words in (
            ("weights", cores["weights"],
             (f"crossbar minimum {found['crossbar_minimum']:,}; "
              f"{found['weight_fill']:.1%} of their bytes are weights")),
            ("of a block", found["block_cores"],
             f"crossbar minimum {found['block_minimum']:,}; norm roots included"),
            ("KV", cores["kv"],
             f"{found['kv_members']} for each group of {found['kv_heads_per_core']} heads"),
            ("embedding", cores["embedding"], "residual slices that the host fills"),
            ("spare", cores["spare"], "free for repairs"),
            ("unused", cores["unused"], f"of {cores['live']:,} live, {cores['all']:,} in all")):
        shown.add_row(name, f"{count:,}", words)
    return shown


def _tilings(found: dict[str, Any]) -> Table:
    shown = table("matrix", "tiles of\na core", "slices", "cores", right=(1, 2, 3),
                  title="Tilings of a block, rows x columns")
    for name, one in found["tilings"].items():
        shown.add_row(name, f"{one['row_tiles']} x {one['column_tiles']}",
                      f"{one['row_slices']} x {one['column_slices']}", f"{one['cores']:,}")
    return shown


def _ports(found: Tiled) -> Table:
    shown = table("kind", "cores", "in", "out", right=(1, 2, 3), title=(
        "Flits per token of the busiest core of a kind;\n"
        f"a full MVM takes {found.count.machine.cim.mvm_cycles} cycles"))
    for load in found.ports:
        shown.add_row(load.kind, f"{load.cores:,}", f"{load.flits_in:,.1f}",
                      f"{load.flits_out:,.1f}")
    return shown


def show_tiles(found: Tiled, output: Output) -> None:
    """Counts beside the crossbar minimum, traffic; tilings and port loads with ``--verbose``."""
    count, instance, results = found.count, found.instance, found.as_dict()
    output.say(f"{count.shape.name} on machine {count.machine.name!r}: {instance.tiles:,} tiles "
               f"for {results['cores']['live']:,} live cores")
    output.show(_cores(results))
    output.say(f"{len(instance.edges):,} edges with {instance.volume / 1e6:.1f} MB per token; "
               f"{len(instance.nets):,} multicasts inject {found.injected_bytes / 1e6:.1f} MB")
    output.detail(_tilings(results), _ports(found))
    if not output.verbose:
        output.say("tilings and flits of the busiest cores: -v")


@command(TileOptions)
def tile(options: TileOptions, output: Output) -> dict[str, Any]:
    """Cut a model into tiles for the cores of a machine; count them and what they send.

    Tiles are the cores of the layout ``tiled`` (docs/tiling.md); what they send is what their
    programs send. A model that does not fit is refused, with the number of machines that it takes.
    """
    found = tile_shape(options)
    show_tiles(found, output)
    return found.as_dict()
