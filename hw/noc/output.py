"""Output of a router: shares a link among the inputs, counts credits, owns virtual channels."""

from amaranth import Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.lib.arbiter import RoundRobin
from hw.noc.channel import OutputState, Request
from hw.noc.link import Link, flit_layout
from hw.params.noc import NocParams
from hw.params.packet import Port

__all__ = ["Output"]


class Output(wiring.Component):
    """Sending end of a link.

    Each cycle one of the inputs that ask gets the link, in turn. A virtual channel belongs to one
    packet from its head, or claim, to its tail. Whether a request may be made at all (channel free
    or own, credits) is for the inputs to check by ``states``.

    Parameters
    ----------
    noc : NocParams
        The network.

    Members
    -------
    requests : In(Request(noc)).array(5)
        Requests of the inputs; ``ports`` only matters as zero or not.
    states : Out(OutputState(noc)).array(vcs)
        Owner bit and credits of each virtual channel.
    link : Out(Link(noc))
        The link; ``valid`` and ``flit`` are registers.
    """

    def __init__(self, noc: NocParams):
        self.noc = noc
        super().__init__({
            "requests": In(Request(noc)).array(len(Port)),
            "states": Out(OutputState(noc)).array(noc.channels),
            "link": Out(Link(noc)),
        })

    def elaborate(self, platform):
        m = Module()

        credits = Signal(data.ArrayLayout(range(self.noc.vc_depth + 1), self.noc.channels),
                         init=[self.noc.vc_depth] * self.noc.channels)
        owned = Signal(self.noc.channels)
        flit = Signal(flit_layout(self.noc), reset_less=True)
        m.d.comb += self.link.flit.eq(flit)
        for vc, state in enumerate(self.states):
            m.d.comb += state.credits.eq(credits[vc])
            m.d.comb += state.owned.eq(owned[vc])

        m.submodules.turn = turn = RoundRobin(len(Port))
        m.d.comb += turn.requests.eq(Cat(request.p.ports != 0 for request in self.requests))
        m.d.comb += turn.accept.eq(1)

        won = Signal.like(self.requests[0].p)
        sent = Signal()
        spent = Signal(self.noc.channels)
        for n, request in enumerate(self.requests):
            m.d.comb += request.grant.eq(turn.grant[n])
            with m.If(turn.grant[n]):
                m.d.comb += won.eq(request.p)
                m.d.sync += flit.data.eq(request.data)
        with m.If(turn.grant != 0):
            m.d.comb += sent.eq(~won.claim)
            m.d.sync += flit.vc.eq(won.vc)
            m.d.sync += flit.head.eq(won.head)
            m.d.sync += flit.tail.eq(won.tail)
            for vc in range(self.noc.channels):
                with m.If(won.vc == vc):
                    m.d.comb += spent[vc].eq(sent)
                    m.d.sync += owned[vc].eq(won.claim | ~won.tail)
        m.d.sync += self.link.valid.eq(sent)

        with m.If((spent | self.link.credit) != 0):
            for vc in range(self.noc.channels):
                with m.If(spent[vc] & ~self.link.credit[vc]):
                    m.d.sync += credits[vc].eq(credits[vc] - 1)
                with m.If(self.link.credit[vc] & ~spent[vc]):
                    m.d.sync += credits[vc].eq(credits[vc] + 1)

        return m
