"""Route of a unicast packet, for every place in every mesh."""

from amaranth import Module, Mux, Signal
from amaranth.hdl import Assert, Assume
from amaranth.lib import wiring
from amaranth.lib.wiring import In
from amaranth.utils import ceil_log2

from hw.noc.route import Place, Route, route_layout
from hw.params.noc import PAYLOAD_FLITS_MAX, NocParams
from hw.params.packet import Port

__all__ = ["RouteProof"]


class RouteProof(wiring.Component):
    """A unicast packet goes one hop nearer to where it is going, first in x, or out.

    Any router of any mesh of up to 126 x 126 cores, any header without label and waypoint, any dead
    ports. The target is the destination; for one beside the mesh, the core before it, from which
    the packet leaves over the edge. There is no logic with memory, so one cycle is all cases.

    Parameters
    ----------
    noc : NocParams
        The network, without channels of class 1 and 2.
    """

    def __init__(self, noc: NocParams):
        self.noc = noc
        super().__init__({"place": In(Place()), "header": In(route_layout()),
                          "vc": In(ceil_log2(noc.channels))})

    def elaborate(self, platform):
        m = Module()

        m.submodules.route = route = Route(self.noc)
        place, header = self.place, self.header
        x, y, width, height = place.x, place.y, place.mesh_width, place.mesh_height
        for name in ("x", "y", "mesh_width", "mesh_height", "connected"):
            m.d.comb += getattr(route.place, name).eq(getattr(place, name))
        m.d.comb += [
            route.valid.eq(1), route.header.eq(header), route.vc.eq(self.vc),
            Assume((x >= 1) & (x <= width) & (y >= 1) & (y <= height)),
            Assume((width <= 126) & (height <= 126) & (self.vc < self.noc.channels)),
            Assume((header.label == 0) & (header.way_x == 0) & (header.way_y == 0))]

        core_x = (header.dst_x >= 1) & (header.dst_x <= width)
        core_y = (header.dst_y >= 1) & (header.dst_y <= height)
        edge_x = (header.dst_x == 0) | (header.dst_x == width + 1)
        edge_y = (header.dst_y == 0) | (header.dst_y == height + 1)
        there = (core_x & core_y) | (core_x & edge_y) | (edge_x & core_y)
        target_x = Mux(header.dst_x < 1, 1, Mux(header.dst_x > width, width, header.dst_x))
        here = (target_x == x) & (header.dst_y == y)
        hop = {
            Port.EAST: (target_x > x) | (here & (header.dst_x > width)),
            Port.WEST: (target_x < x) | (here & (header.dst_x < 1)),
            Port.SOUTH: (target_x == x) & (header.dst_y > y),
            Port.NORTH: (target_x == x) & (header.dst_y < y),
            Port.LOCAL: here & core_x}
        fits = header.length <= PAYLOAD_FLITS_MAX
        alive = Signal()
        for port, way in hop.items():
            goes = Signal(name=f"goes_{port.name.lower()}")
            m.d.comb += goes.eq(there & fits & way)
            m.d.comb += Assert(route.ports[port] == (goes & place.connected[port]))
            with m.If(goes & place.connected[port]):
                m.d.comb += alive.eq(1)
        m.d.comb += Assert(route.good == alive)
        shared = ~header.ordered & (self.vc != self.noc.control_vc)
        with m.If(alive):
            m.d.comb += Assert(route.allowed == Mux(
                shared, (1 << self.noc.vcs) - 1, (1 << self.vc)[:self.noc.channels]))

        return m
