"""Input of a router: checks and routes what arrives, buffers it, asks for outputs."""

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.lib.arbiter import RoundRobin
from hw.noc.channel import Channel, OutputState, Request
from hw.noc.link import Link
from hw.noc.route import Place, Route, route_layout
from hw.params.noc import NocParams
from hw.params.packet import Port

__all__ = ["Input"]


class Input(wiring.Component):
    """Receiving end of a link with one ``Channel`` per virtual channel.

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
    label : Out(7)
        Label of the flit on the link, for the label table.
    entry : In(5)
        The table's entry ``label``, in the same cycle.
    states : In(OutputState(noc)).array(5, vcs)
        Virtual channels of each output.
    request : Out(Request(noc))
        At most one per cycle; virtual channels take turns.
    dropped : Out(1)
        High for a cycle for each packet, or run of stray flits, that does not reach all its ports.
    """

    def __init__(self, noc: NocParams):
        self.noc = noc
        super().__init__({
            "link": In(Link(noc)),
            "place": In(Place()),
            "label": Out(7),
            "entry": In(len(Port)),
            "states": In(OutputState(noc)).array(len(Port), noc.channels),
            "request": Out(Request(noc)),
            "dropped": Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        flit = self.link.flit
        header = route_layout()(flit.data[:64])
        m.submodules.route = route = Route(self.noc)
        connect(m, flipped(self.place), route.place)
        m.d.comb += route.valid.eq(self.link.valid & flit.head)
        m.d.comb += route.header.eq(header)
        m.d.comb += route.entry.eq(self.entry)
        m.d.comb += self.label.eq(header.label)

        m.submodules.turn = turn = RoundRobin(self.noc.channels)
        m.d.comb += turn.accept.eq(self.request.grant)

        for vc in range(self.noc.channels):
            m.submodules[f"channel{vc}"] = channel = Channel(self.noc)
            rest = Signal(4, name=f"rest{vc}")   # payload flits still to come
            lost = Signal(name=f"lost{vc}")      # the drop of these flits is counted already
            entry = channel.i.entry
            m.d.comb += channel.i.data.eq(flit.data)
            with m.If(self.link.valid & (flit.vc == vc)):
                m.d.comb += channel.i.valid.eq(1)
                with m.If(rest != 0):
                    m.d.comb += entry.tail.eq(flit.tail | (rest == 1))
                    m.d.sync += rest.eq(Mux(flit.tail, 0, rest - 1))
                with m.Elif(flit.head & (route.ports != 0)):
                    m.d.comb += entry.tail.eq(flit.tail | (header.length == 0))
                    m.d.comb += entry.ports.eq(route.ports)
                    m.d.comb += entry.need.eq(Mux(header.label != 0, header.length, 0))
                    m.d.comb += self.dropped.eq(~route.good)
                    m.d.sync += rest.eq(Mux(flit.tail, 0, header.length))
                    m.d.sync += lost.eq(0)
                with m.Else():
                    m.d.comb += entry.tail.eq(1)
                    m.d.comb += self.dropped.eq(flit.head | ~lost)
                    m.d.sync += lost.eq(~flit.tail)

            for port in range(len(Port)):
                connect(m, flipped(self.states[port][vc]), channel.states[port])
            m.d.comb += turn.requests[vc].eq(channel.request.p.ports != 0)
            m.d.comb += channel.request.grant.eq(turn.grant[vc] & self.request.grant)
            m.d.sync += self.link.credit[vc].eq(channel.freed)
            with m.If(turn.grant[vc]):
                m.d.comb += self.request.p.eq(channel.request.p)
                m.d.comb += self.request.p.vc.eq(vc)
                m.d.comb += self.request.data.eq(channel.request.data)

        return m
