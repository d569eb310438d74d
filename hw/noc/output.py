"""Output of a router: shares a link among the inputs, counts credits, owns virtual channels."""

from amaranth import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.lib.arbiter import RoundRobin
from hw.noc.channel import OutputState, Request
from hw.noc.link import Link
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
            "states": Out(OutputState(noc)).array(noc.vcs),
            "link": Out(Link(noc)),
        })

    def elaborate(self, platform):
        m = Module()

        m.submodules.turn = turn = RoundRobin(len(Port))
        m.d.comb += turn.requests.eq(Cat(request.ports != 0 for request in self.requests))
        m.d.comb += turn.accept.eq(1)

        m.d.sync += self.link.valid.eq(0)
        for n, request in enumerate(self.requests):
            with m.If(turn.grant[n]):
                m.d.comb += request.grant.eq(1)
                with m.If(~request.claim):
                    m.d.sync += [
                        self.link.valid.eq(1),
                        self.link.flit.data.eq(request.data),
                        self.link.flit.vc.eq(request.vc),
                        self.link.flit.head.eq(request.head),
                        self.link.flit.tail.eq(request.tail),
                    ]

        for vc, state in enumerate(self.states):
            spent = Cat(turn.grant[n] & ~request.claim & (request.vc == vc)
                        for n, request in enumerate(self.requests)).any()
            back = self.link.credit[vc]
            with m.If(spent & ~back):
                m.d.sync += state.credits.eq(state.credits - 1)
            with m.If(back & ~spent):
                m.d.sync += state.credits.eq(state.credits + 1)
            for n, request in enumerate(self.requests):
                with m.If(turn.grant[n] & (request.vc == vc)):
                    m.d.sync += state.owned.eq(request.claim | ~request.tail)

        return m
