"""Adapters between a link and plain streams of flits: where the host meets the mesh."""

from amaranth import Array, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.lib.arbiter import RoundRobin
from hw.lib.queue import Queue
from hw.noc.link import Link, flit_layout
from hw.params.noc import NocParams

__all__ = ["HostPort", "LinkReceiver", "LinkSender"]


class LinkSender(wiring.Component):
    """Sends a stream of flits over a link; a flit on ``i`` in cycle t is on the link in t + 1.

    ``i`` is ready when there is a credit for the virtual channel of the flit on it, so a flit whose
    channel is blocked holds those behind it, whatever their channel. Therefore the flits of a
    packet must follow each other on ``i``: packets that interleave there can stop the network, each
    waiting for the other's channel in the middle of a packet that holds its own.

    Parameters
    ----------
    noc : NocParams
        The network.

    Members
    -------
    i : In(stream(flit_layout(noc)))
        Flits.
    link : Out(Link(noc))
        The link.
    """

    def __init__(self, noc: NocParams):
        self.noc = noc
        super().__init__({"i": In(stream.Signature(flit_layout(noc))), "link": Out(Link(noc))})

    def elaborate(self, platform):
        m = Module()

        depth = self.noc.vc_depth
        credits = Array(Signal(range(depth + 1), init=depth, name=f"credits{vc}")
                        for vc in range(self.noc.channels))
        m.d.comb += self.i.ready.eq(credits[self.i.p.vc] != 0)

        sent = self.i.valid & self.i.ready
        m.d.sync += self.link.valid.eq(sent)
        with m.If(sent):
            m.d.sync += self.link.flit.eq(self.i.p)

        for vc in range(self.noc.channels):
            spent = sent & (self.i.p.vc == vc)
            with m.If(spent & ~self.link.credit[vc]):
                m.d.sync += credits[vc].eq(credits[vc] - 1)
            with m.If(self.link.credit[vc] & ~spent):
                m.d.sync += credits[vc].eq(credits[vc] + 1)

        return m


class LinkReceiver(wiring.Component):
    """Receives from a link into a stream of flits.

    Each virtual channel has a buffer of ``vc_depth`` flits; channels take turns, flit by flit, so
    packets of different channels interleave on ``o``. A flit on the link in cycle t is on ``o`` in
    t + 2 at the earliest.

    Parameters
    ----------
    noc : NocParams
        The network.

    Members
    -------
    link : In(Link(noc))
        The link.
    o : Out(stream(flit_layout(noc)))
        Flits; may stall for any time.
    """

    def __init__(self, noc: NocParams):
        self.noc = noc
        super().__init__({"link": In(Link(noc)), "o": Out(stream.Signature(flit_layout(noc)))})

    def elaborate(self, platform):
        m = Module()

        free = ~self.o.valid | self.o.ready
        m.submodules.turn = turn = RoundRobin(self.noc.channels)
        m.d.comb += turn.accept.eq(free)
        with m.If(free):
            m.d.sync += self.o.valid.eq(turn.grant.any())

        for vc in range(self.noc.channels):
            m.submodules[f"queue{vc}"] = queue = Queue(flit_layout(self.noc), self.noc.vc_depth)
            # Never full: the sender has a credit for each flit.
            m.d.comb += queue.i.valid.eq(self.link.valid & (self.link.flit.vc == vc))
            m.d.comb += queue.i.payload.eq(self.link.flit)
            m.d.comb += turn.requests[vc].eq(queue.o.valid)
            m.d.comb += queue.o.ready.eq(turn.grant[vc] & free)
            m.d.sync += self.link.credit[vc].eq(queue.o.valid & queue.o.ready)
            with m.If(queue.o.valid & queue.o.ready):
                m.d.sync += self.o.p.eq(queue.o.p)

        return m


class HostPort(wiring.Component):
    """Two streams of flits on a port of the mesh, for a host at the edge (or in place of a core).

    Parameters
    ----------
    noc : NocParams
        The network.

    Members
    -------
    i : In(stream(flit_layout(noc)))
        Flits into the mesh, packet by packet (``LinkSender`` says why).
    o : Out(stream(flit_layout(noc)))
        Flits from the mesh (``LinkReceiver``).
    link_out : Out(Link(noc))
        To the mesh.
    link_in : In(Link(noc))
        From the mesh.
    """

    def __init__(self, noc: NocParams):
        self.noc = noc
        super().__init__({
            "i": In(stream.Signature(flit_layout(noc))),
            "o": Out(stream.Signature(flit_layout(noc))),
            "link_out": Out(Link(noc)),
            "link_in": In(Link(noc)),
        })

    def elaborate(self, platform):
        m = Module()

        m.submodules.sender = sender = LinkSender(self.noc)
        m.submodules.receiver = receiver = LinkReceiver(self.noc)
        connect(m, flipped(self.i), sender.i)
        connect(m, sender.link, flipped(self.link_out))
        connect(m, flipped(self.link_in), receiver.link)
        connect(m, receiver.o, flipped(self.o))

        return m
