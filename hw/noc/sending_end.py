"""Sending end of a link: its credits, and the register that is the link."""

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.noc.credits import Credits
from ouroboros.hw.noc.link import Link, flit_layout
from ouroboros.hw.params.noc import NocParams

__all__ = ["SendingEnd"]


class SendingEnd(wiring.Component):
    """Counts credits, and puts on the link what is sent; a flit of cycle t is there in t + 1.

    Parameters
    ----------
    noc : NocParams
        The network.

    Members
    -------
    sent : In(1)
        ``flit`` is sent; only if its channel is ``credited``.
    flit : In(flit_layout(noc))
        The flit.
    credited : Out(channels)
        Channels that have a credit.
    link : Out(Link(noc))
        The link.
    """

    def __init__(self, noc: NocParams):
        self.noc = noc
        super().__init__({"sent": In(1), "flit": In(flit_layout(noc)),
                          "credited": Out(noc.channels), "link": Out(Link(noc))})

    def elaborate(self, platform):
        m = Module()

        m.submodules.credits = credits = Credits(self.noc.channels, self.noc.vc_depth)
        m.d.comb += [
            self.credited.eq(credits.credited),
            credits.back.eq(self.link.credit),
            credits.spent.eq(self.sent << self.flit.vc),
        ]
        m.d.sync += self.link.valid.eq(self.sent)
        with m.If(self.sent):
            m.d.sync += self.link.flit.eq(self.flit)
        if self.noc.parity:
            m.d.comb += self.link.parity.eq(self.link.flit.as_value().xor())

        return m
