"""Which ports a packet leaves by."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.lib.struct import struct
from hw.params.format import Format
from hw.params.noc import PAYLOAD_FLITS_MAX, NocParams
from hw.params.packet import ROUTE, Port

__all__ = ["Place", "Route", "route_layout"]


def route_layout() -> data.StructLayout:
    """First 64 bits of a header."""
    return struct(Format(ROUTE))


class Place(wiring.Signature):
    """Static inputs that tell a router where it is; ``Out`` at the one who knows.

    ``x``, ``y`` are its coordinates, ``mesh_width`` and ``mesh_height`` the extent of the mesh and
    ``connected`` the ports that lead somewhere (bit order ``Port``).
    """

    def __init__(self):
        super().__init__({"x": Out(7), "y": Out(7), "mesh_width": Out(7), "mesh_height": Out(7),
                          "connected": Out(len(Port))})


class Route(wiring.Component):
    """Output ports of a packet from its header, without a cycle of delay.

    Unicast: in x to the destination's column, or to the nearest column of cores for a destination
    west or east of the mesh; then in y; then out. Multicast: the label table's entry. ``good`` is 0
    and ``ports`` has only what is left when the header is wrong or a port is not connected.

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
    place : In(Place())
        Where the router is.
    entry : In(5)
        Entry ``header.label`` of the label table.
    ports : Out(5)
        Set of output ports; 0 if the packet cannot go anywhere.
    good : Out(1)
        The header is well formed and every port of its route is connected.
    """

    def __init__(self, noc: NocParams):
        self.noc = noc
        super().__init__({
            "valid": In(1),
            "header": In(route_layout()),
            "place": In(Place()),
            "entry": In(len(Port)),
            "ports": Out(len(Port)),
            "good": Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        header, place = self.header, self.place
        x, y = header.dst_x, header.dst_y
        west, east, inside_x, inside_y, exists = (Signal() for _ in range(5))
        column = Signal(7)
        with m.If(self.valid & (header.label == 0)):
            m.d.comb += [
                west.eq(x == 0),
                east.eq(x == place.mesh_width + 1),
                inside_x.eq(~west & (x <= place.mesh_width)),
                inside_y.eq((y != 0) & (y <= place.mesh_height)),
                exists.eq(Mux(inside_y, inside_x | west | east,
                              inside_x & ((y == 0) | (y == place.mesh_height + 1)))),
                column.eq(Mux(west, 1, Mux(east, place.mesh_width, x))),
            ]

        wanted = Signal(len(Port))
        with m.If(self.valid & (header.length <= PAYLOAD_FLITS_MAX)):
            with m.If(header.label != 0):
                # A label past the table would read some other entry.
                with m.If(header.label < self.noc.labels):
                    m.d.comb += wanted.eq(self.entry)
            with m.Elif(~exists):
                m.d.comb += wanted.eq(0)
            with m.Elif(column > place.x):
                m.d.comb += wanted.eq(1 << Port.EAST)
            with m.Elif(column < place.x):
                m.d.comb += wanted.eq(1 << Port.WEST)
            with m.Elif(y > place.y):
                m.d.comb += wanted.eq(1 << Port.SOUTH)
            with m.Elif(y < place.y):
                m.d.comb += wanted.eq(1 << Port.NORTH)
            with m.Elif(west):
                m.d.comb += wanted.eq(1 << Port.WEST)
            with m.Elif(east):
                m.d.comb += wanted.eq(1 << Port.EAST)
            with m.Else():
                m.d.comb += wanted.eq(1 << Port.LOCAL)

        m.d.comb += self.ports.eq(wanted & place.connected)
        m.d.comb += self.good.eq((wanted != 0) & ((wanted & ~place.connected) == 0))

        return m
