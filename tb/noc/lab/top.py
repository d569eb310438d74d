"""The mesh of the traffic laboratory: routers, each with a ``LabNode``."""

import functools
from itertools import pairwise

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.lib.once import Library, flat_ports
from hw.noc.die_link import DieLink
from hw.noc.link import Link
from hw.noc.mesh import connected_ports, mesh_links
from hw.noc.router import Router
from hw.params.noc import NocParams
from hw.params.packet import Port
from tb.noc.lab.node import (
    EVERY_NODE,
    LabNode,
    Table,
    node_verilog,
    read_signature,
    write_signature,
)

__all__ = ["LabRow", "LabTile", "LabTop", "build_lab"]

STATIC = ("rst", "y", "height", "vertical")
MESH_PORTS = (Port.NORTH, Port.EAST, Port.SOUTH, Port.WEST)


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


class LabRow(wiring.Component):
    """A row of tiles, in which Verilator compiles everything together.

    Tiles that are compiled each by itself simulate at less than half the speed, since every link
    then passes a boundary.

    Members
    -------
    north_in, south_in : arrays of ``width`` of In(Link)
        From the routers above and below.
    north_out, south_out : arrays of ``width`` of Out(Link)
        To them.
    y, height, vertical : In
        Row, from 1; rows of the mesh; which of ``Port`` NORTH and SOUTH lead on. Static.
    write, read, value : see ``LabNode``
        ``value`` is the sum over the row.
    dropped : Out(8)
        Routers that report a drop.
    """

    def __init__(self, noc: NocParams, width: int, die_width: int, library: Library):
        self.noc, self.width, self.die_width, self.library = noc, width, die_width, library
        super().__init__(_row_signature(noc, width))

    def elaborate(self, platform):
        m = Module()

        tiles = {}
        for x in range(1, self.width + 1):
            m.submodules[f"tile{x}"] = tile = tiles[x, 1] = self.library.instance(
                "lab_tile", lambda: LabTile(self.noc, self.library), params=self.noc)
            connect(m, flipped(self.north_in[x - 1]), tile.inputs[Port.NORTH])
            connect(m, flipped(self.south_in[x - 1]), tile.inputs[Port.SOUTH])
            connect(m, tile.outputs[Port.NORTH], flipped(self.north_out[x - 1]))
            connect(m, tile.outputs[Port.SOUTH], flipped(self.south_out[x - 1]))
            connect(m, flipped(self.write), tile.write)
            connect(m, flipped(self.read), tile.read)
        mesh_links(m, tiles, {}, lambda at, there: _border(
            self.noc, self.library, min(at[0], there[0]), self.die_width))
        for (x, _), tile in tiles.items():
            m.d.comb += [
                tile.number.eq((self.y - 1) * self.width + x - 1), tile.x.eq(x), tile.y.eq(self.y),
                tile.mesh_width.eq(self.width), tile.mesh_height.eq(self.height),
                tile.connected.eq(connected_ports((x, 1), tiles) | self.vertical)]
        m.d.sync += self.value.eq(sum(tile.value for tile in tiles.values()))
        m.d.sync += self.dropped.eq(sum(tile.dropped for tile in tiles.values()))

        return m


def _row_signature(noc: NocParams, width: int) -> wiring.Signature:
    return wiring.Signature({
        "north_in": In(Link(noc)).array(width), "south_in": In(Link(noc)).array(width),
        "north_out": Out(Link(noc)).array(width), "south_out": Out(Link(noc)).array(width),
        "y": In(7), "height": In(7), "vertical": In(len(Port)),
        "write": In(write_signature()), "read": In(read_signature()),
        "value": Out(64), "dropped": Out(8),
    })


def _border(noc: NocParams, library: Library, before: int, die: int) -> wiring.Component | None:
    """What stands in a link behind column or row ``before``: a ``DieLink`` between two dies."""
    if not die or before % die:
        return None
    return library.instance("die_link", lambda: DieLink(noc), params=noc)


class LabTop(wiring.Component):
    """``width`` x ``height`` tiles, in dies of ``die_width`` x ``die_height``; 0 for no border.

    Members
    -------
    write, read : In
        See ``LabNode``.
    value : Out(64)
        Sum over all nodes asked, three cycles after ``read``.
    dropped : Out(48)
        Drops of all routers since the start.
    """

    def __init__(self, noc: NocParams, width: int, height: int, library: Library, *,
                 die_width: int = 0, die_height: int = 0):
        self.noc, self.width, self.height, self.library = noc, width, height, library
        self.die_width, self.die_height = die_width, die_height
        super().__init__({"write": In(write_signature()), "read": In(read_signature()),
                          "value": Out(64), "dropped": Out(48)})

    def elaborate(self, platform):
        m = Module()

        # Verilator computes what hangs on inputs of a row several times a cycle; half a cycle after
        # the rising edge they are all settled.
        ports = flat_ports(_row_signature(self.noc, self.width).create())
        inputs = [name for name, flow, _ in ports if flow is In and name not in STATIC]
        rows = []
        for y in range(1, self.height + 1):
            m.submodules[f"row{y}"] = row = self.library.instance(
                "lab_row", lambda: LabRow(self.noc, self.width, self.die_width, self.library),
                params=(self.noc, self.width, self.die_width), registered=STATIC, sampled=inputs)
            connect(m, flipped(self.write), row.write)
            connect(m, flipped(self.read), row.read)
            m.d.comb += [row.y.eq(y), row.height.eq(self.height),
                         row.vertical.eq((y > 1) << Port.NORTH
                                         | (y < self.height) << Port.SOUTH)]
            rows.append(row)
        for y, (above, below) in enumerate(pairwise(rows), 1):
            for x in range(self.width):
                self._link(m, f"south_{x + 1}_{y}", above.south_out[x], below.north_in[x], y)
                self._link(m, f"north_{x + 1}_{y}", below.north_out[x], above.south_in[x], y)
        m.d.sync += self.value.eq(sum(row.value for row in rows))
        m.d.sync += self.dropped.eq(self.dropped + sum(row.dropped for row in rows))

        return m


    def _link(self, m, name, source, end, y):
        """Connect two rows; the border is one of dies if ``y`` is a die's last row."""
        crossing = _border(self.noc, self.library, y, self.die_height)
        if crossing is None:
            connect(m, source, end)
        else:
            m.submodules[name] = crossing
            connect(m, source, crossing.i)
            connect(m, crossing.o, end)


@functools.cache
def build_lab(noc: NocParams, width: int, height: int, *, die_width: int = 0,
              die_height: int = 0) -> dict[str, str]:
    """Sources of module ``lab``; not to be changed, curves ask for the same ones many times."""
    library = Library()
    library.define("lab", lambda: LabTop(noc, width, height, library, die_width=die_width,
                                         die_height=die_height),
                   params=(noc, width, height, die_width, die_height))
    return library.sources()
