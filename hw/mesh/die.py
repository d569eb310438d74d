"""The mesh of tiles with the host's edge port: composition only."""

from collections.abc import Set

from amaranth import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ouroboros.hw.lib.library import Library
from ouroboros.hw.mesh.mesh import connected_ports, mesh_links
from ouroboros.hw.mesh.tile import Tile
from ouroboros.hw.noc.link import flit_layout
from ouroboros.hw.noc.port import HostPort
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.position import Position

__all__ = ["Die"]

STATIC = ("rst", "x", "y", "mesh_width", "mesh_height", "connected")
"""Inputs of a tile that pass a register at its entry; see ``hw.lib.library``."""


class Die(wiring.Component):
    """``mesh.width`` x ``mesh.height`` tiles and one host port at (0, ``mesh.host_y``).

    Parameters
    ----------
    machine : Machine
        Sizes.
    library : Library
        Where each distinct module is emitted once.
    built : Set[Position], optional
        Coordinates of the tiles that there are, for simulating a program that needs no others; by
        default all. Beside the others a router has no neighbour.

    Members
    -------
    host_i : In(stream(flit_layout(noc)))
        Flits from the host.
    host_o : Out(stream(flit_layout(noc)))
        Flits to the host.
    """

    def __init__(self, machine: Machine, library: Library, built: Set[Position] | None = None):
        self.machine, self.library, self.built = machine, library, built
        super().__init__({
            "host_i": In(stream.Signature(flit_layout(machine.noc))),
            "host_o": Out(stream.Signature(flit_layout(machine.noc))),
        })

    def elaborate(self, platform):
        m = Module()

        machine, library, mesh = self.machine, self.library, self.machine.mesh
        m.submodules.host_port = port = library.instance(
            "host_port", lambda: HostPort(machine.noc), params=machine.noc)
        connect(m, flipped(self.host_i), port.i)
        connect(m, port.o, flipped(self.host_o))

        tiles = {}
        for x, y in mesh.coordinates:
            if self.built is None or (x, y) in self.built:
                tiles[x, y] = tile = library.instance(
                    "tile", lambda: Tile(machine, library), params=machine, registered=STATIC)
                m.submodules[f"tile_{x}_{y}"] = tile
        edges = {machine.host: (port.link_out, port.link_in)}
        mesh_links(m, tiles, edges)
        for (x, y), tile in tiles.items():
            m.d.comb += [
                tile.x.eq(x), tile.y.eq(y), tile.mesh_width.eq(mesh.width),
                tile.mesh_height.eq(mesh.height),
                tile.connected.eq(connected_ports((x, y), {**tiles, **edges}))]

        return m
