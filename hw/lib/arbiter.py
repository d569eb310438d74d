"""Fair choice among requests."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["LeastRecent", "RoundRobin", "lowest"]


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


class LeastRecent(wiring.Component):
    """Grants one of several requests: that whose last accepted grant is longest ago.

    ``grant`` follows ``requests`` in the same cycle. After ``width - 1`` accepted grants of others
    at most, each of another, a request is first whenever it is made, held or not.

    Parameters
    ----------
    width : int
        Number of requests, at least 2.

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

        # One bit for each pair: the lower one goes first.
        pairs = [(low, high) for high in range(self.width) for low in range(high)]
        order = Signal(len(pairs), init=-1)
        with m.If(self.requests.any()):
            first = [[] for _ in range(self.width)]
            for (low, high), lower in zip(pairs, order, strict=True):
                first[low].append(lower | ~self.requests[high])
                first[high].append(~lower | ~self.requests[low])
            m.d.comb += self.grant.eq(Cat(
                request & Cat(ahead).all() for request, ahead in zip(
                    self.requests, first, strict=True)))
            with m.If(self.accept):
                for (low, high), lower in zip(pairs, order, strict=True):
                    with m.If(self.grant[low]):
                        m.d.sync += lower.eq(0)
                    with m.If(self.grant[high]):
                        m.d.sync += lower.eq(1)

        return m
