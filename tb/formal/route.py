"""Route of any packet, of every class, for every place in every mesh and any tables."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.hdl import Assert, Assume
from amaranth.lib import wiring
from amaranth.lib.wiring import In
from amaranth.utils import ceil_log2

from ouroboros.hw.noc.route import Place, Route, route_layout
from ouroboros.hw.params.noc import PAYLOAD_FLITS_MAX, NocParams
from ouroboros.hw.params.packet import Port, Turn

__all__ = ["RouteProof", "expected"]


class RouteProof(wiring.Component):
    """A packet goes by the ports and channels of its class, header and tables, or nowhere.

    Any router of any mesh of up to 126 x 126 cores, any header, channel, table entries and dead
    ports. There is no logic with memory, so one cycle is all cases. Asserted:

    - A packet of class 0 or control with a waypoint goes one XY hop nearer to it, on channels of
      its own class, and is nowhere if the waypoint is no core. At the waypoint, and only there, it
      gets channels of class 1, and goes one XY hop nearer to its destination. Without a waypoint,
      or on class 1, it goes to its destination on its own class. For a destination beside the mesh
      the target is the core before it, from which the packet leaves over the edge.
    - A packet of class 2 goes where the table of dies says, on the transit channel; if that says
      ARRIVED, or it is on the arrival channel, where the table of cores says, on the arrival
      channel. The addresses are those of its header.
    - A multicast packet goes by all ports of its label's entry that live, on its own channel.
    - Ordered packets keep their channel within a class; others get all channels of theirs.
    - ``good`` says that there is a route and that all of it lives; what is wrong goes nowhere.

    Parameters
    ----------
    noc : NocParams
        The network.
    """

    def __init__(self, noc: NocParams):
        self.noc = noc
        super().__init__({
            "place": In(Place()), "header": In(route_layout()), "vc": In(ceil_log2(noc.channels)),
            "entry": In(len(Port)), "die_turn": In(3), "core_turn": In(3)})

    def elaborate(self, platform):
        m = Module()

        noc, place, header, vc = self.noc, self.place, self.header, self.vc
        m.submodules.route = route = Route(noc)
        for name in ("x", "y", "mesh_width", "mesh_height", "connected"):
            m.d.comb += getattr(route.place, name).eq(getattr(place, name))
        m.d.comb += [
            route.valid.eq(1), route.header.eq(header), route.vc.eq(vc),
            route.table.ports.eq(self.entry), route.table.die_turn.eq(self.die_turn),
            route.table.core_turn.eq(self.core_turn),
            Assume((place.x >= 1) & (place.x <= place.mesh_width)),
            Assume((place.y >= 1) & (place.y <= place.mesh_height)),
            Assume((place.mesh_width <= 126) & (place.mesh_height <= 126)),
            Assume(vc < noc.channels),
            Assert(route.table.label == header.label),
            Assert(Cat(route.table.core, route.table.die) == Cat(header.way_x, header.way_y))]

        wanted, allowed, fits = expected(
            m, noc, place, header, vc, self.entry, self.die_turn, self.core_turn)
        there = Signal(len(Port))
        m.d.comb += there.eq(Mux(fits, wanted & place.connected, 0))
        m.d.comb += Assert(route.ports == there)
        m.d.comb += Assert(route.good == (
            fits & (wanted != 0) & ((wanted & ~place.connected) == 0)))
        with m.If(there != 0):
            m.d.comb += Assert(route.allowed == allowed)
            # Once more, independent of what is expected: where the class changes.
            first = (vc < noc.vcs) | (vc == noc.control_vc)
            second = (vc >= noc.vcs) & (vc < noc.transit_vc)
            at = (header.way_x == place.x) & (header.way_y == place.y)
            turns = first & (header.label == 0) & at
            transit = noc.transit_vc
            classes = [sum(1 << n for n in noc.class_channels(c)) for c in range(3)]
            m.d.comb += Assert(((route.allowed & classes[1]) != 0) == (second | turns))
            m.d.comb += Assert(((route.allowed & ~classes[1]) != 0) == ~(second | turns))
            if classes[2]:
                m.d.comb += Assert(((route.allowed & classes[2]) != 0) == ~(first | second))
                m.d.comb += Assert(~route.allowed[transit] | (vc == transit))
                m.d.comb += Assert(~route.allowed[transit + 1] | (vc == transit + 1) | (
                    (vc == transit) & (self.die_turn == Turn.ARRIVED)))

        return m


def expected(m, noc, place, header, vc, entry, die_turn, core_turn):
    """Ports that a packet should go by, channels it may use, and whether its header is right.

    ``entry`` and the turns are what the tables say about the header. Ports that are dead are not
    left out.
    """
    transit, classes = noc.transit_vc, [
        sum(1 << n for n in noc.class_channels(c)) for c in range(3)]
    first, second, via, at, arrived, inside = (Signal() for _ in range(6))
    wanted, allowed, fits = Signal(len(Port)), Signal(noc.channels), Signal()
    turn, own = Signal(3), (1 << vc)[:noc.channels]
    m.d.comb += [
        first.eq((vc < noc.vcs) | (vc == noc.control_vc)),
        second.eq((vc >= noc.vcs) & (vc < transit)),
        via.eq(first & ((header.way_x != 0) | (header.way_y != 0))),
        at.eq((header.way_x == place.x) & (header.way_y == place.y)),
        arrived.eq((vc == transit + 1) | (die_turn == Turn.ARRIVED)),
        turn.eq(Mux(arrived, core_turn, die_turn)),
        inside.eq((header.way_x >= 1) & (header.way_x <= place.mesh_width)
                  & (header.way_y >= 1) & (header.way_y <= place.mesh_height)),
        fits.eq(header.length <= PAYLOAD_FLITS_MAX)]
    with m.If(header.label != 0):
        m.d.comb += [wanted.eq(entry), allowed.eq(own), fits.eq(
            first & ~via & (header.label < noc.labels) & (header.length < noc.multicast_flits))]
    with m.Elif(~first & ~second):
        m.d.comb += [wanted.eq(Cat(turn == Turn[port.name] for port in Port)),
                     allowed.eq(Mux(arrived, 2 << transit, 1 << transit))]
    with m.Elif(via & at):
        m.d.comb += wanted.eq(_xy_hop(header.dst_x, header.dst_y, place) if classes[1] else 0)
        m.d.comb += allowed.eq(Mux(header.ordered, 1 << noc.vcs, classes[1]))
    with m.Else():
        m.d.comb += wanted.eq(Mux(
            via, Mux(inside, _xy_hop(header.way_x, header.way_y, place), 0),
            _xy_hop(header.dst_x, header.dst_y, place)))
        m.d.comb += allowed.eq(Mux(
            header.ordered | (vc == noc.control_vc), own, Mux(second, classes[1], classes[0])))
    return wanted, allowed, fits


def _xy_hop(to_x, to_y, place):
    """Set of the port of the next XY hop to a core, or over the edge to what is beside the mesh."""
    x, y, width, height = place.x, place.y, place.mesh_width, place.mesh_height
    core_x, core_y = (to_x >= 1) & (to_x <= width), (to_y >= 1) & (to_y <= height)
    edge_x, edge_y = (to_x == 0) | (to_x == width + 1), (to_y == 0) | (to_y == height + 1)
    there = (core_x & core_y) | (core_x & edge_y) | (edge_x & core_y)
    target_x = Mux(to_x < 1, 1, Mux(to_x > width, width, to_x))
    here = (target_x == x) & (to_y == y)
    hop = {
        Port.EAST: (target_x > x) | (here & (to_x > width)),
        Port.WEST: (target_x < x) | (here & (to_x < 1)),
        Port.SOUTH: (target_x == x) & (to_y > y),
        Port.NORTH: (target_x == x) & (to_y < y),
        Port.LOCAL: here & core_x}
    return Cat(there & hop[port] for port in Port)
