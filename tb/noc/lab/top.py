"""The mesh of the traffic laboratory: routers, each with a ``LabNode``."""

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.lib.once import Library
from hw.noc.link import Link
from hw.noc.mesh import connected_ports, mesh_links
from hw.noc.router import Router
from hw.params.noc import NocParams
from hw.params.packet import Port
from tb.noc.lab.node import EVERY_NODE, LabNode, Table, node_verilog, read_signature, write_signature

__all__ = ["LabTile", "LabTop", "build_lab"]

MESH_PORTS = (Port.NORTH, Port.EAST, Port.SOUTH, Port.WEST)
STATIC = ("rst", "number", "x", "y", "mesh_width", "mesh_height", "connected")


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
            "number": In(8), "x": In(7), "y": In(7), "mesh_width": In(7), "mesh_height": In(7),
            "connected": In(len(Port)), "write": In(write_signature()), "read": In(read_signature()),
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
        write = self.write
        m.d.comb += [
            node.number.eq(self.number), self.value.eq(node.value),
            *(getattr(router, name).eq(getattr(self, name))
              for name in ("x", "y", "mesh_width", "mesh_height", "connected")),
            router.config.valid.eq(write.valid & (write.table == Table.LABELS)
                                   & ((write.node == self.number) | (write.node >= EVERY_NODE))),
            router.config.address.eq(write.address), router.config.ports.eq(write.data),
            self.dropped.eq(router.dropped),
        ]

        return m


class LabTop(wiring.Component):
    """``width`` x ``height`` tiles.

    Members
    -------
    write, read : In
        See ``LabNode``.
    value : Out(64)
        Sum over all nodes asked, two cycles after ``read``.
    dropped : Out(48)
        Drops of all routers since the start.
    """

    def __init__(self, noc: NocParams, width: int, height: int, library: Library):
        self.noc, self.width, self.height, self.library = noc, width, height, library
        super().__init__({"write": In(write_signature()), "read": In(read_signature()),
                          "value": Out(64), "dropped": Out(48)})

    def elaborate(self, platform):
        m = Module()

        places = [(x, y) for y in range(1, self.height + 1) for x in range(1, self.width + 1)]
        tiles = {}
        for n, (x, y) in enumerate(places):
            m.submodules[f"tile{n}"] = tile = tiles[x, y] = self.library.instance(
                "lab_tile", lambda: LabTile(self.noc, self.library), params=self.noc,
                registered=STATIC)
            connect(m, flipped(self.write), tile.write)
            connect(m, flipped(self.read), tile.read)
            m.d.comb += [
                tile.number.eq(n), tile.x.eq(x), tile.y.eq(y),
                tile.mesh_width.eq(self.width), tile.mesh_height.eq(self.height),
                tile.connected.eq(connected_ports((x, y), dict.fromkeys(places)))]
        mesh_links(m, tiles, {})
        m.d.sync += self.value.eq(sum(tile.value for tile in tiles.values()))
        m.d.sync += self.dropped.eq(self.dropped + sum(tile.dropped for tile in tiles.values()))

        return m


def build_lab(noc: NocParams, width: int, height: int) -> dict[str, str]:
    """Sources of module ``lab``."""
    library = Library()
    library.define("lab", lambda: LabTop(noc, width, height, library),
                   params=(noc, width, height))
    return library.sources()
