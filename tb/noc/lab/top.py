"""The mesh of the traffic laboratory: routers, each with a ``LabNode``."""

import functools

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ouroboros.hw.lib.library import Library, flat_ports
from ouroboros.hw.mesh.mesh import connected_ports, mesh_links
from ouroboros.hw.noc.die_link import DieLink
from ouroboros.hw.noc.link import Link
from ouroboros.hw.noc.router import Router
from ouroboros.hw.params.machine import MeshParams
from ouroboros.hw.params.noc import NocParams
from ouroboros.hw.params.packet import MESH_PORTS, Port
from ouroboros.hw.params.widths import COORDINATE_BITS
from ouroboros.tb.noc.lab.node import (
    EVERY_NODE,
    LabNode,
    Table,
    node_verilog,
    read_signature,
    write_signature,
)

__all__ = ["LabTile", "LabTop", "build_lab"]


class LabTile(wiring.Component):
    """A router and the node at its LOCAL port.

    Members
    -------
    inputs, outputs : arrays of 4 of Link, by ``Port``
        To the neighbours.
    number, x, y, mesh_width, mesh_height, connected : In
        Place; static (``LabNode``, ``Router``).
    write, read : In
        Settings and counters (``LabNode``); tables from ``LABELS`` on are the router's.
    value : Out(64)
        See ``LabNode``.
    dropped : Out(1)
        The router's.
    """

    def __init__(self, noc: NocParams, library: Library):
        self.noc, self.library = noc, library
        super().__init__({
            "inputs":  In(Link(noc)).array(len(MESH_PORTS)),
            "outputs": Out(Link(noc)).array(len(MESH_PORTS)),
            "number": In(8),
            **{name: In(COORDINATE_BITS) for name in ("x", "y", "mesh_width", "mesh_height")},
            "connected": In(len(Port)),
            "write": In(write_signature()), "read": In(read_signature()),
            "value": Out(64), "dropped": Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        m.submodules.router = router = self.library.instance(
            "router", lambda: Router(self.noc), params=self.noc)
        self.library.add_source("lab_node", node_verilog(self.noc, "lab_node"))
        m.submodules.node = node = self.library.instance(
            "lab_node", lambda: LabNode(self.noc), params=self.noc)
        for port in MESH_PORTS:
            connect(m, flipped(self.inputs[port]), router.inputs[port])
            connect(m, router.outputs[port], flipped(self.outputs[port]))
        connect(m, node.link_out, router.inputs[Port.LOCAL])
        connect(m, router.outputs[Port.LOCAL], node.link_in)
        connect(m, flipped(self.write), node.write)
        connect(m, flipped(self.read), node.read)
        write, read = self.write, self.read
        asked = (read.node == self.number) | (read.node >= EVERY_NODE)
        drop_header = Signal(64)
        m.d.sync += drop_header.eq(
            Mux(read.valid & read.address[14] & asked, router.drop_header, 0))
        m.d.comb += [
            node.number.eq(self.number), self.value.eq(node.value | drop_header),
            *(getattr(router, name).eq(getattr(self, name))
              for name in ("x", "y", "mesh_width", "mesh_height", "connected")),
            router.config.valid.eq(write.valid & (write.table >= Table.LABELS)
                                   & ((write.node == self.number) | (write.node >= EVERY_NODE))),
            router.config.table.eq(write.table - Table.LABELS),
            router.config.address.eq(write.address), router.config.data.eq(write.data),
            self.dropped.eq(router.dropped),
        ]

        return m


class LabTop(wiring.Component):
    """The tiles of a mesh, with links between its dies.

    Members
    -------
    write, read : In
        See ``LabNode``.
    value : Out(64)
        Sum over all nodes asked, three cycles after ``read``.
    dropped : Out(48)
        Drops of all routers since the start.
    """

    def __init__(self, noc: NocParams, mesh: MeshParams, library: Library):
        self.noc, self.mesh, self.library = noc, mesh, library
        super().__init__({"write": In(write_signature()), "read": In(read_signature()),
                          "value": Out(64), "dropped": Out(48)})

    def elaborate(self, platform):
        m = Module()

        mesh, places = self.mesh, self.mesh.coordinates
        tiles = {place: self.library.instance(
            "lab_tile", lambda: LabTile(self.noc, self.library), params=self.noc)
            for place in places}
        for number, (x, y) in enumerate(places):
            m.submodules[f"tile_{x}_{y}"] = tile = tiles[x, y]
            connect(m, flipped(self.write), tile.write)
            connect(m, flipped(self.read), tile.read)
            m.d.comb += [
                tile.number.eq(number), tile.x.eq(x), tile.y.eq(y),
                tile.mesh_width.eq(mesh.width), tile.mesh_height.eq(mesh.height),
                tile.connected.eq(connected_ports((x, y), tiles))]
        mesh_links(m, tiles, {}, self._border)
        # Links around the mesh, which no router uses, since ``connected`` lacks them. With them the
        # tiles are all alike, and can share their code.
        for y in range(1, mesh.height + 1):
            self._around(m, tiles[mesh.width, y], tiles[1, y], Port.EAST, Port.WEST)
        for x in range(1, mesh.width + 1):
            self._around(m, tiles[x, mesh.height], tiles[x, 1], Port.SOUTH, Port.NORTH)

        values, drops = [], []
        for y in range(1, mesh.height + 1):
            row = [tiles[x, y] for x in range(1, mesh.width + 1)]
            value, dropped = Signal(64, name=f"value{y}"), Signal(8, name=f"dropped{y}")
            m.d.sync += value.eq(sum(tile.value for tile in row))
            m.d.sync += dropped.eq(sum(tile.dropped for tile in row))
            values.append(value)
            drops.append(dropped)
        m.d.sync += self.value.eq(sum(values))
        m.d.sync += self.dropped.eq(self.dropped + sum(drops))

        return m

    def _around(self, m, last, first, onward, back):
        connect(m, last.outputs[onward], first.inputs[back])
        connect(m, first.outputs[back], last.inputs[onward])

    def _border(self, at, there):
        """What stands in the link between two neighbours: a ``DieLink`` if their dies differ."""
        x, y = min(at[0], there[0]), min(at[1], there[1])
        mesh = self.mesh
        before, die = (x, mesh.die_width) if at[1] == there[1] else (y, mesh.die_height)
        if before % die:
            return None
        return self.library.instance("die_link", lambda: DieLink(self.noc), params=self.noc)


@functools.cache
def build_lab(noc: NocParams, mesh: MeshParams) -> dict[str, str]:
    """Sources of module ``lab``; not to be changed, curves ask for the same ones many times."""
    library = Library()
    # Verilator computes what hangs on inputs of the top more than once a cycle; half a cycle after
    # the rising edge they are settled.
    ports = flat_ports(wiring.Signature(
        {"write": In(write_signature()), "read": In(read_signature())}).create())
    library.define("lab", lambda: LabTop(noc, mesh, library), params=(noc, mesh),
                   registered=["rst"], sampled=[name for name, _, _ in ports])
    return library.sources()
