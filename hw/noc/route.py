"""Which ports, and virtual channels, a packet goes on by."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ouroboros.hw.lib.struct import struct
from ouroboros.hw.params.format import Format
from ouroboros.hw.params.noc import PAYLOAD_FLITS_MAX, NocParams
from ouroboros.hw.params.packet import ROUTE, TABLE_ADDRESS, Port, Turn
from ouroboros.hw.params.widths import (
    COORDINATE_BITS,
    DIE_BITS,
    DIE_CORE_BITS,
    LABEL_BITS,
    TURN_BITS,
)

__all__ = ["Place", "Route", "TableRead", "route_layout"]


def route_layout() -> data.StructLayout:
    """First 64 bits of a header."""
    return struct(Format(ROUTE))


class Place(wiring.Signature):
    """Inputs that tell a router where it is; ``Out`` at the one who knows.

    ``x``, ``y`` are its coordinates, ``mesh_width`` and ``mesh_height`` the extent of the mesh and
    ``connected`` the ports that lead somewhere alive (bit order ``Port``).
    """

    def __init__(self):
        coordinates = ("x", "y", "mesh_width", "mesh_height")
        super().__init__({**{name: Out(COORDINATE_BITS) for name in coordinates},
                          "connected": Out(len(Port))})


class TableRead(wiring.Signature):
    """Read of a router's tables, answered in the same cycle; ``Out`` at the reader.

    ``ports`` is the entry ``label`` of the label table; ``die_turn`` and ``core_turn`` (``Turn``)
    are what the tables of class 2 say about ``die`` and ``core``.
    """

    def __init__(self):
        super().__init__({"label": Out(LABEL_BITS), "ports": In(len(Port)),
                          "die": Out(DIE_BITS), "die_turn": In(TURN_BITS),
                          "core": Out(DIE_CORE_BITS), "core_turn": In(TURN_BITS)})


class Route(wiring.Component):
    """Output ports and channels of a packet from its header, without a cycle of delay.

    Class 0 and control: in x to the target's column, or to the nearest column of cores for a
    destination west or east of the mesh; then in y; then out. The target is the waypoint, if there
    is one, and from there on the destination, on class 1. Class 1 is the same without a waypoint.
    Class 2: by the tables, as transit until the table of dies says that this is the die, then as
    arrival. Multicast (class 0 and control): the label table's entry. Ordered and multicast
    packets keep their channel, and take the first one of class 1; others may use any of the class.

    ``good`` is 0 and ``ports`` has only what is left when the header is wrong or a port is not
    connected.

    Parameters
    ----------
    noc : NocParams
        The network.

    Members
    -------
    valid : In(1)
        There is a header; without one all outputs are 0.
    header : In(route_layout())
        First 64 bits of a header.
    vc : In
        The channel it came on.
    place : In(Place())
        Where the router is.
    table : Out(TableRead())
        The tables.
    ports : Out(5)
        Set of output ports; 0 if the packet cannot go anywhere.
    allowed : Out(channels)
        Channels that it may go on by.
    good : Out(1)
        The header is well formed and every port of its route is connected.
    """

    def __init__(self, noc: NocParams):
        self.noc = noc
        super().__init__({
            "valid": In(1),
            "header": In(route_layout()),
            "vc": In(ceil_log2(noc.channels)),
            "place": In(Place()),
            "table": Out(TableRead()),
            "ports": Out(len(Port)),
            "allowed": Out(noc.channels),
            "good": Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        noc, header, place = self.noc, self.header, self.place
        sets = [sum(1 << vc for vc in noc.class_channels(n)) for n in range(3)]
        first_of_class1 = 1 << noc.vcs if noc.class1_vcs else 0
        x, y = Signal(COORDINATE_BITS), Signal(COORDINATE_BITS)
        west, east, inside_x, inside_y, exists = (Signal(name=name) for name in (
            "west", "east", "inside_x", "inside_y", "exists"))
        column = Signal(COORDINATE_BITS)
        wanted, xy = Signal(len(Port), name="wanted"), Signal(len(Port))
        came = Signal(noc.channels)     # one bit: the channel it came on
        leg, underway, past, by_table, fits = (Signal(name=name) for name in (
            "leg", "underway", "past", "by_table", "fits"))
        address = struct(TABLE_ADDRESS)(
            Cat(header.way_x, header.way_y)[:TABLE_ADDRESS.bits])
        m.d.comb += [self.table.label.eq(header.label), self.table.die.eq(address.die),
                     self.table.core.eq(address.core)]

        with m.If(self.valid):
            m.d.comb += [
                came.eq(1 << self.vc),
                by_table.eq((came & sets[2]) != 0),
                # A first leg ends at the waypoint, which may be the first router.
                leg.eq(((came & (sets[1] | sets[2])) == 0) & ((header.way_x | header.way_y) != 0)),
                past.eq(leg & (header.way_x == place.x) & (header.way_y == place.y)),
                underway.eq(leg & ~past),
                x.eq(Mux(underway, header.way_x, header.dst_x)),
                y.eq(Mux(underway, header.way_y, header.dst_y)),
                west.eq(x == 0),
                east.eq(x == place.mesh_width + 1),
                inside_x.eq(~west & (x <= place.mesh_width)),
                inside_y.eq((y != 0) & (y <= place.mesh_height)),
                exists.eq(Mux(inside_y, inside_x | ((west | east) & ~underway),
                              inside_x & ~underway & ((y == 0) | (y == place.mesh_height + 1)))),
                column.eq(Mux(west, 1, Mux(east, place.mesh_width, x))),
            ]
            with m.If(~exists):
                m.d.comb += xy.eq(0)
            with m.Elif(column > place.x):
                m.d.comb += xy.eq(1 << Port.EAST)
            with m.Elif(column < place.x):
                m.d.comb += xy.eq(1 << Port.WEST)
            with m.Elif(y > place.y):
                m.d.comb += xy.eq(1 << Port.SOUTH)
            with m.Elif(y < place.y):
                m.d.comb += xy.eq(1 << Port.NORTH)
            with m.Elif(west):
                m.d.comb += xy.eq(1 << Port.WEST)
            with m.Elif(east):
                m.d.comb += xy.eq(1 << Port.EAST)
            with m.Else():
                m.d.comb += xy.eq(1 << Port.LOCAL)

            m.d.comb += fits.eq(header.length <= PAYLOAD_FLITS_MAX)
            with m.If(header.label != 0):
                # A label past the table would read some other entry.
                m.d.comb += fits.eq(~by_table & ~leg & ((came & sets[1]) == 0)
                                    & (header.label < noc.labels)
                                    & (header.length < noc.multicast_flits))
                m.d.comb += wanted.eq(self.table.ports)
                m.d.comb += self.allowed.eq(came)
            with m.Elif(by_table):
                self._tables(m, came, wanted)
            with m.Elif(past):
                m.d.comb += wanted.eq(xy if noc.class1_vcs else 0)
                m.d.comb += self.allowed.eq(Mux(header.ordered, first_of_class1, sets[1]))
            with m.Else():
                m.d.comb += wanted.eq(xy)
                m.d.comb += self.allowed.eq(came)
                with m.If(~header.ordered):
                    for channels in sets[:2]:
                        with m.If((came & channels) != 0):
                            m.d.comb += self.allowed.eq(channels)
            with m.If(fits):
                m.d.comb += self.ports.eq(wanted & place.connected)
                m.d.comb += self.good.eq((wanted != 0) & ((wanted & ~place.connected) == 0))

        return m

    def _tables(self, m, came, wanted):
        """Route of class 2."""
        transit = self.noc.transit_vc
        turn = Signal(Turn)
        arrived = Signal()
        if self.noc.class2_vcs:
            m.d.comb += arrived.eq(came[transit + 1] | (self.table.die_turn == Turn.ARRIVED))
            m.d.comb += turn.eq(Mux(arrived, self.table.core_turn, self.table.die_turn))
            m.d.comb += self.allowed.eq(1 << transit << arrived)
            with m.Switch(turn):
                for port in Port:
                    with m.Case(Turn[port.name]):
                        m.d.comb += wanted.eq(1 << port)
