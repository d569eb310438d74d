"""``ouroboros map``: tiles to cores, with the certificate of how good the placement is."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from rich.progress import TextColumn

from ouroboros.sw.api.placing.map import MapOptions, map_tiles
from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.cli.group import INTERRUPTED
from ouroboros.sw.cli.placing.tile import show_tiles
from ouroboros.sw.cli.progress import bars
from ouroboros.sw.cli.tables import table
from ouroboros.sw.place.place import Result

__all__ = ["map_command"]

TITLES = {"start": "curves and start", "bound": "lower bound", "search": "search",
          "proof": "exact search"}


@contextlib.contextmanager
def place_progress() -> Iterator[Callable[[str, float, int], None]]:
    """A bar on stderr for ``sw.place.place``; nothing shows when piped."""
    with bars(TextColumn("{task.fields[best]}")) as progress:
        task = progress.add_task("", total=1.0, best="")

        def update(what: str, spent: float, best: int) -> None:
            progress.update(task, description=TITLES[what], completed=spent,
                            best=f"best {best:,}" if best else "")

        yield update


def _show(result: Result, output: Output) -> None:
    """Cost, bound, gap and what stands beside them."""
    found = result.as_dict()
    cost = found["cost"]

    def against(other: int) -> str:
        return f"{cost / other:.3f} of it" if other else ""

    how_good = "optimal, proved" if found["optimal"] else \
        "" if found["gap"] is None else f"gap {found['gap']:.2%}"
    output.say(f"{found['instance']}: {found['tiles']:,} tiles on {result.placement.grid.width} x "
               f"{result.placement.grid.height} cores, cost {cost:,}"
               + (f", {how_good}" if how_good else ""))
    shown = table("", "volume x hops", "", right=(1,))
    shown.add_row("cost", f"{cost:,}", how_good)
    shown.add_row("lower bound", f"{found['lower_bound']:,}", "no placement costs less")
    for name in ("row_snake", "die_snake", "die_hilbert"):
        other = found["baselines"][name]
        shown.add_row(name.replace("_", " "), f"{other:,}", against(other))
    output.show(shown)
    links = found["links"]
    nets = ("on multicast trees (X first, then Y)" if links["known"] else
            "every edge as unicasts, half each way,\nas the instance names no senders")
    output.say(f"byte-hops per token: {links['tree_byte_hops']:,} {nets}\nbusiest link: "
               f"{links['busiest_bytes']:,.0f} bytes per token ({links['busiest_flits']:,.1f} full "
               f"flits of 32 bytes),\n{links['busiest_direction']} of core {links['busiest_core']}")
    output.say(f"{found['moves']:,} moves in {found['search_seconds']:.1f} s, "
               f"{found['moves_per_s'] / 1e6:.2f} M/s, seed {found['seed']}"
               + ("; interrupted, best so far kept" if found["interrupted"] else ""))


@command(MapOptions, "map")
def map_command(options: MapOptions, output: Output) -> dict[str, Any]:
    """Place tiles on cores: least volume times hops, die borders counted as extra hops.

    Tiles are those of an --instance, of a --model on a --machine, or the cores of a --checkpoint's
    program (whose placement ouroboros run takes). Prints a proved lower bound and the gap to it,
    and what space-filling curves cost. Small instances are solved exactly. Ctrl-C ends the search
    and keeps the best so far, exit code 130. Cores that are --dead get no tile, beside
    those of the instance.
    """
    with place_progress() as progress:
        found = map_tiles(options, progress)
    _show(found.result, output)
    if found.tiled is not None:
        flits, goal = found.busiest_flits or 0.0, found.goal_flits or 0
        output.say(f"busiest link: {flits:,.0f} flits per token, headers and credits included;\n"
                   f"target {goal}, the cycles of an MVM: {'met' if flits <= goal else 'missed'}")
        if output.verbose:
            show_tiles(found.tiled, output)
        else:
            output.say("tiles and what they send: -v")
    if found.flit_hops is not None:
        before, after = found.flit_hops
        output.say(f"data flits from router to router per token: {after:,}, along the snake "
                   f"{before:,} ({after / before - 1:+.1%});\nmulticast trees and the host's "
                   "packets included")
    output.exit_code = INTERRUPTED if found.result.interrupted else 0
    return found.as_dict()
