"""Tiles of a rectangle and the links between them, as part of a structure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ouroboros.hw.lib.library import Library
from ouroboros.hw.mesh.structure import LinkEnd, Structure
from ouroboros.hw.mesh.tile import Tile
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import MESH_PORTS, Port
from ouroboros.hw.params.position import Position

__all__ = ["STATIC", "Outside", "Place", "define_tile", "place_tiles"]

STATIC = ("rst", "x", "y", "mesh_width", "mesh_height", "connected")
"""Inputs of a tile that pass a register at its entry; see ``hw.lib.library``."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What lies beyond a port of a tile at the border of the rectangle."""

    connected: str
    """Whether something is there, as an expression."""
    leaving: LinkEnd
    """Link out of the tile."""
    entering: LinkEnd
    """Link into it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """What a tile is told of its place, as expressions."""

    x: str
    y: str
    width: str
    """Of the mesh."""
    height: str
    live: str = ""
    """Whether it works, where that is an input; a tile that does not stays in reset and says
    nothing."""


def define_tile(machine: Machine, library: Library) -> None:
    """Add module ``tile``, which is the same in all machines that differ in their mesh only."""
    library.define("tile", lambda: Tile(machine, library), registered=STATIC,
                   params=(machine.cim, machine.core, machine.noc, machine.kv))


def place_tiles(structure: Structure, machine: Machine, tiles: Iterable[Position],
                place: Callable[[Position], Place],
                outside: Callable[[Position, Port], Outside | None]) -> None:
    """Add tiles, by their coordinates in the rectangle, and connect neighbours.

    A link is named after the tile that it leaves, by its coordinates in the rectangle. Inputs that
    nothing is connected to are 0: no flit, no credit.

    Parameters
    ----------
    outside : Callable[[Position, Port], Outside | None]
        What lies beyond a port where no tile is; None: nothing.
    """
    tiles = list(tiles)
    noc, there = machine.noc, set(tiles)
    beyond = {(at, port): outside(at, port) for at in tiles for port in MESH_PORTS
              if port.beyond(at) not in there}
    links = {(at, port): LinkEnd.wires(structure, noc, f"from_{at[0]}_{at[1]}_{port.name.lower()}")
             for at in tiles for port in MESH_PORTS if port.beyond(at) in there}
    for at in tiles:
        own = place(at)
        mask, connected = ["1'b1"], {"clk": "clk", "rst": f"rst | ~{own.live}" if own.live
                                     else "rst"}
        for port in reversed(MESH_PORTS):
            if (out := beyond.get((at, port))) is not None:
                mask.append(out.connected)
            else:
                mask.append((place(port.beyond(at)).live or "1'b1")
                            if port.beyond(at) in there else "1'b0")
        for port in MESH_PORTS:
            far = port.beyond(at)
            if far in there:
                entering = links[far, port.opposite].only(noc, "valid", place(far).live)
                leaving = links[at, port].only(noc, "credit", place(far).live)
            elif (out := beyond[at, port]) is not None:
                entering, leaving = out.entering, out.leaving
            else:
                entering = LinkEnd.idle(noc, sender=False)
                leaving = LinkEnd.idle(noc, sender=True)
            connected |= entering.at(f"inputs__{port}") | leaving.at(f"outputs__{port}")
        structure.place("tile", f"tile_{at[0]}_{at[1]}", connected | {
            "x": own.x, "y": own.y, "mesh_width": own.width, "mesh_height": own.height,
            "connected": f"{{{', '.join(mask)}}}"})
