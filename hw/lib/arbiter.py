"""Fair choice among requests."""

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["RoundRobin", "lowest"]


def lowest(value):
    """Only the lowest set bit of ``value``; 0 of 0."""
    return (value & -value)[:len(value)]


class RoundRobin(wiring.Component):
    """Grants one of several requests, in cyclic order after the last accepted grant.

    ``grant`` follows ``requests`` in the same cycle. A request that is held is granted after at
    most ``width - 1`` accepted grants of others.

    Parameters
    ----------
    width : int
        Number of requests, at least 1.

    Members
    -------
    requests : In(width)
        Who asks.
    accept : In(1)
        The grant is used, so that its owner becomes the last in turn.
    grant : Out(width)
        One bit of ``requests``, or 0.
    """

    def __init__(self, width: int):
        self.width = width
        super().__init__({"requests": In(width), "accept": In(1), "grant": Out(width)})

    def elaborate(self, platform):
        m = Module()

        # Requests whose turn comes before the cyclic order starts again at bit 0.
        ahead = Signal(self.width, init=-1)
        preferred = Signal(self.width)
        with m.If(self.requests.any()):
            m.d.comb += preferred.eq(self.requests & ahead)
            m.d.comb += self.grant.eq(lowest(Mux(preferred.any(), preferred, self.requests)))
            with m.If(self.accept):
                m.d.sync += ahead.eq(~(self.grant | (self.grant - 1)))

        return m
