"""Input of a router: checks and routes what arrives, buffers it, asks for outputs."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ouroboros.hw.lib.arbiter import LeastRecent
from ouroboros.hw.noc.channel import Channel, OutputState, Request, entry_layout
from ouroboros.hw.noc.link import Link
from ouroboros.hw.noc.route import Place, Route, TableRead, route_layout
from ouroboros.hw.params.noc import NocParams
from ouroboros.hw.params.packet import ROUTE_BITS, Port
from ouroboros.hw.params.widths import LENGTH_BITS

__all__ = ["Input"]


class Input(wiring.Component):
    """Receiving end of a link: one memory for its flits, one ``Channel`` per virtual channel.

    Everything in the buffers is well formed: a packet starts with a head and ends at its tail or
    at its header's length, whichever comes first; flits that belong to no packet, or to one that
    has nowhere to go, are stored as packets without ports, which only give their credit back.

    Parameters
    ----------
    noc : NocParams
        The network.

    Members
    -------
    link : In(Link(noc))
        The link.
    place : In(Place())
        Where the router is.
    table : Out(TableRead())
        Looks up the flit on the link, in the same cycle.
    states : In(OutputState(noc)).array(5)
        Virtual channels of each output.
    request : Out(Request(noc))
        At most one per cycle: of the virtual channels that can go on, that which did so longest
        ago.
    got : In(5)
        Ports that answer it.
    dropped : Out(1)
        High for a cycle for each packet, or run of stray flits, that does not reach all its ports.
    active : Out(1)
        A register may change at the end of this cycle.
    """

    def __init__(self, noc: NocParams):
        self.noc = noc
        super().__init__({
            "link": In(Link(noc)),
            "place": In(Place()),
            "table": Out(TableRead()),
            "states": In(OutputState(noc)).array(len(Port)),
            "request": Out(Request(noc)),
            "got": In(len(Port)),
            "dropped": Out(1),
            "active": Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        channels, depth = self.noc.channels, self.noc.vc_depth
        flit = self.link.flit
        header = route_layout()(flit.data[:ROUTE_BITS])
        m.submodules.route = route = Route(self.noc)
        connect(m, flipped(self.place), route.place)
        connect(m, route.table, flipped(self.table))
        m.d.comb += route.valid.eq(self.link.valid & flit.head)
        m.d.comb += route.header.eq(header)
        m.d.comb += route.vc.eq(flit.vc)

        m.submodules.flits = flits = memory.Memory(
            shape=self.noc.flit_bits, depth=channels * depth, init=[])
        put, get = flits.write_port(), flits.read_port(domain="comb")
        m.d.comb += put.en.eq(self.link.valid)
        m.d.comb += put.data.eq(flit.data)
        m.d.comb += self.request.data.eq(get.data)

        m.submodules.turn = turn = LeastRecent(channels)
        m.d.comb += turn.accept.eq(self.request.taken != 0)

        # What is known about the packet that comes on each channel, changed by its next flit.
        known = data.StructLayout({
            "rest": LENGTH_BITS,    # payload flits still to come
            "lost": 1,              # the drop of these flits is counted already
        })
        packets = Signal(data.ArrayLayout(known, channels))
        now, then = Signal(known), Signal(known)
        entry = Signal(entry_layout(self.noc))
        with m.If(self.link.valid):
            m.d.comb += now.eq(packets[flit.vc])
            m.d.comb += then.eq(now)
            m.d.sync += packets[flit.vc].eq(then)
            with m.If(now.rest != 0):
                m.d.comb += entry.tail.eq(flit.tail | (now.rest == 1))
                m.d.comb += then.rest.eq(Mux(flit.tail, 0, now.rest - 1))
            with m.Elif(flit.head & (route.ports != 0)):
                m.d.comb += entry.tail.eq(flit.tail | (header.length == 0))
                m.d.comb += entry.ports.eq(route.ports)
                m.d.comb += entry.allowed.eq(route.allowed)
                m.d.comb += entry.multicast.eq(header.label != 0)
                m.d.comb += entry.need.eq(header.length)
                m.d.comb += self.dropped.eq(~route.good)
                m.d.comb += then.rest.eq(Mux(flit.tail, 0, header.length))
                m.d.comb += then.lost.eq(0)
            with m.Else():
                m.d.comb += entry.tail.eq(1)
                m.d.comb += self.dropped.eq(flit.head | ~now.lost)
                m.d.comb += then.lost.eq(~flit.tail)

        waiting = Signal(channels)
        m.d.comb += self.active.eq(
            self.link.valid | (waiting != 0) | (self.link.credit != 0))

        arrives = Signal(channels)
        with m.If(self.link.valid):
            m.d.comb += arrives.eq(1 << flit.vc)

        for vc in range(channels):
            m.submodules[f"channel{vc}"] = channel = Channel(self.noc, vc)
            m.d.comb += channel.put.entry.eq(entry)
            m.d.comb += channel.put.valid.eq(arrives[vc])
            with m.If(arrives[vc]):
                m.d.comb += put.addr.eq(vc * depth + channel.rear)
            for state, own in zip(self.states, channel.states, strict=True):
                connect(m, flipped(state), own)
            m.d.comb += waiting[vc].eq(channel.some)
            m.d.comb += turn.requests[vc].eq(channel.request.p.ports != 0)
            m.d.sync += self.link.credit[vc].eq(channel.freed)
            with m.If(turn.grant[vc]):
                m.d.comb += self.request.p.eq(channel.request.p)
                m.d.comb += channel.request.taken.eq(self.request.taken)
                m.d.comb += channel.got.eq(self.got)
                m.d.comb += get.addr.eq(vc * depth + channel.front)

        return m
