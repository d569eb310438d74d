"""Adapters between a link and plain streams of flits: where the host meets the mesh."""

from amaranth import Cat, Module, ResetSignal, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ouroboros.hw.noc.buffers import Buffers
from ouroboros.hw.noc.link import Link, flit_layout
from ouroboros.hw.noc.sending_end import SendingEnd
from ouroboros.hw.params.noc import NocParams

__all__ = ["RESET_LAG_CYCLES", "HostPort", "LinkReceiver", "LinkSender"]

RESET_LAG_CYCLES = 3
"""By which reset ends later in a tile: a register at its entry, then those of its own clocks."""


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

        m.submodules.end = end = SendingEnd(self.noc)
        connect(m, end.link, flipped(self.link))
        m.d.comb += [
            self.i.ready.eq(end.credited.bit_select(self.i.p.vc, 1)),
            end.sent.eq(self.i.valid & self.i.ready),
            end.flit.eq(self.i.p),
        ]

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

        m.submodules.buffers = buffers = Buffers(self.noc, self.noc.vc_depth)
        m.d.comb += [
            buffers.valid.eq(self.link.valid),
            buffers.put.eq(self.link.flit),
            buffers.credited.eq(-1),
            buffers.go.eq(~self.o.valid | self.o.ready),
        ]
        m.d.sync += self.link.credit.eq(buffers.freed)
        with m.If(buffers.go):
            m.d.sync += self.o.valid.eq(buffers.sent)
        with m.If(buffers.sent):
            m.d.sync += self.o.p.eq(buffers.flit)

        return m


class HostPort(wiring.Component):
    """Two streams of flits on a port of the mesh, for a host at the edge (or in place of a core).

    In reset, and for ``RESET_LAG_CYCLES`` after it, it takes no flit: routers and cores leave reset
    later.

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
        waiting = Signal(RESET_LAG_CYCLES + 1, reset_less=True)
        m.d.sync += waiting.eq(Cat(waiting[1:], ResetSignal()))
        held = ResetSignal() | waiting.any()
        m.d.comb += [
            sender.i.p.eq(self.i.p), sender.i.valid.eq(self.i.valid & ~held),
            self.i.ready.eq(sender.i.ready & ~held)]
        connect(m, sender.link, flipped(self.link_out))
        connect(m, flipped(self.link_in), receiver.link)
        connect(m, receiver.o, flipped(self.o))

        return m
