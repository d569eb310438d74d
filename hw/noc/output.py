"""Output of a router: shares a link among the inputs, counts credits, owns virtual channels."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ouroboros.hw.lib.arbiter import RoundRobin, lowest
from ouroboros.hw.noc.channel import OutputState, Request
from ouroboros.hw.noc.credits import Credits
from ouroboros.hw.noc.link import Link, flit_layout
from ouroboros.hw.params.noc import NocParams
from ouroboros.hw.params.packet import Port

__all__ = ["Output"]


class Output(wiring.Component):
    """Sending end of a link.

    Each cycle one of the inputs that ask gets the link, in turn. A virtual channel belongs to one
    packet from its head, or claim, to its tail. A head that may go on by several channels gets one
    whose buffer beyond is empty, if there is one; a claim the lowest that is free. Whether a
    request may be made at all is for the inputs to check by ``state``.

    Parameters
    ----------
    noc : NocParams
        The network.

    Members
    -------
    requests : In(Request(noc)).array(5)
        Requests of the inputs; ``ports`` only matters as zero or not.
    state : Out(OutputState(noc))
        The virtual channels.
    link : Out(Link(noc))
        The link; ``valid`` and ``flit`` are registers.
    """

    def __init__(self, noc: NocParams):
        self.noc = noc
        super().__init__({
            "requests": In(Request(noc)).array(len(Port)),
            "state": Out(OutputState(noc)),
            "link": Out(Link(noc)),
        })

    def elaborate(self, platform):
        m = Module()

        channels = self.noc.channels
        m.submodules.credits = credits = Credits(channels, self.noc.vc_depth)
        credited = credits.credited
        owned = Signal(channels)
        flit = Signal(flit_layout(self.noc), reset_less=True)
        m.d.comb += self.link.flit.eq(flit)
        m.d.comb += self.state.credited.eq(credited)
        m.d.comb += self.state.free.eq(~owned)
        m.d.comb += self.state.available.eq(credited & ~owned)
        for vc in range(channels):
            m.d.comb += self.state.credits[vc].eq(credits.counts[vc])

        m.submodules.turn = turn = RoundRobin(len(Port))
        m.d.comb += turn.requests.eq(Cat(request.p.ports != 0 for request in self.requests))
        m.d.comb += turn.accept.eq(1)

        won = Signal.like(self.requests[0].p)
        sent = Signal()
        free, ready, empty, chosen, spent = (Signal(channels, name=name) for name in (
            "free", "ready", "empty", "chosen", "spent"))
        with m.If(turn.grant != 0):
            for n, request in enumerate(self.requests):
                with m.If(turn.grant[n]):
                    m.d.comb += won.eq(request.p)
                    m.d.comb += request.taken.eq(chosen)
                    m.d.sync += flit.data.eq(request.data)
            with m.If(won.head & (won.allowed & (won.allowed - 1) != 0)):
                m.d.comb += free.eq(won.allowed & ~owned)
                m.d.comb += ready.eq(free & credited)
                m.d.comb += empty.eq(ready & credits.full)
                m.d.comb += chosen.eq(lowest(
                    Mux(won.claim, free, Mux(empty != 0, empty, ready))))
            with m.Else():
                m.d.comb += chosen.eq(won.allowed)
            m.d.comb += sent.eq(~won.claim)
            m.d.comb += spent.eq(Mux(won.claim, 0, chosen))
            m.d.sync += flit.vc.eq(_number(chosen))
            m.d.sync += flit.head.eq(won.head)
            m.d.sync += flit.tail.eq(won.tail)
            m.d.sync += owned.eq(Mux(won.claim | ~won.tail, owned | chosen, owned & ~chosen))
        m.d.sync += self.link.valid.eq(sent)

        m.d.comb += [credits.spent.eq(spent), credits.back.eq(self.link.credit)]

        return m


def _number(one_hot):
    """Position of the one bit that is set."""
    return Cat(Cat(one_hot[n] for n in range(len(one_hot)) if n >> bit & 1).any()
               for bit in range(ceil_log2(len(one_hot))))
