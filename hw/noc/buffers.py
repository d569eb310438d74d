"""Receiving end of a link that takes every flit as it comes: a buffer for each channel."""

from amaranth import Module, Mux
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.lib.arbiter import RoundRobin
from ouroboros.hw.lib.queue import Queue
from ouroboros.hw.noc.link import flit_layout
from ouroboros.hw.params.noc import NocParams

__all__ = ["Buffers"]


class Buffers(wiring.Component):
    """A buffer for each virtual channel; flits leave one per cycle, channels take turns.

    A channel never waits for another. A flit that comes in cycle t can leave in t + 1.

    Parameters
    ----------
    noc : NocParams
        The network.
    depth : int
        Flits of each buffer.

    Members
    -------
    valid, put : In
        A flit that comes; whoever sends it knows that there is room.
    credited : In(channels)
        Channels that may send.
    go : In(1)
        A flit may leave in this cycle.
    sent, flit : Out
        A flit that leaves.
    freed : Out(channels)
        Its channel, or 0: room for one more.
    """

    def __init__(self, noc: NocParams, depth: int):
        self.noc, self.depth = noc, depth
        super().__init__({
            "valid": In(1), "put": In(flit_layout(noc)), "credited": In(noc.channels), "go": In(1),
            "sent": Out(1), "flit": Out(flit_layout(noc)), "freed": Out(noc.channels)})

    def elaborate(self, platform):
        m = Module()

        m.submodules.turn = turn = RoundRobin(self.noc.channels)
        m.d.comb += turn.accept.eq(self.go)
        m.d.comb += self.freed.eq(Mux(self.go, turn.grant, 0))
        m.d.comb += self.sent.eq(self.freed != 0)

        for vc in range(self.noc.channels):
            m.submodules[f"queue{vc}"] = queue = Queue(flit_layout(self.noc), self.depth)
            m.d.comb += queue.i.valid.eq(self.valid & (self.put.vc == vc))
            m.d.comb += queue.i.payload.eq(self.put)
            m.d.comb += turn.requests[vc].eq(queue.o.valid & self.credited[vc])
            m.d.comb += queue.o.ready.eq(self.freed[vc])
            with m.If(turn.grant[vc]):
                m.d.comb += self.flit.eq(queue.o.payload)

        return m
