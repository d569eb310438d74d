"""Blocks with what must hold of them: queue, arbiter, output of a router."""

from amaranth import Module, Signal
from amaranth.hdl import Assert, Assume
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from ouroboros.hw.lib.arbiter import LeastRecent, RoundRobin
from ouroboros.hw.lib.queue import Queue
from ouroboros.hw.noc.output import Output
from ouroboros.hw.params.noc import NocParams
from ouroboros.hw.params.packet import Port
from ouroboros.tb.formal.packets import fixed

__all__ = ["ArbiterProof", "OutputProof", "QueueProof", "RecentProof"]


class QueueProof(wiring.Component):
    """A queue never over- or underflows, and gives what it took, in order.

    A counter follows what goes in and out: it never passes ``depth`` or 0, and ready and valid say
    whether it could. One item, whichever the solver likes, is followed from put to take.
    """

    def __init__(self, depth: int, bits: int = 2):
        self.depth, self.bits = depth, bits
        super().__init__({"put": In(1), "take": In(1), "item": In(bits), "follow": In(1)})

    def elaborate(self, platform):
        m = Module()

        m.submodules.queue = queue = Queue(self.bits, self.depth)
        m.d.comb += [queue.i.valid.eq(self.put), queue.i.payload.eq(self.item),
                     queue.o.ready.eq(self.take)]
        held = Signal(range(self.depth + 2))
        put, take = Signal(), Signal()
        m.d.comb += put.eq(queue.i.valid & queue.i.ready)
        m.d.comb += take.eq(queue.o.valid & queue.o.ready)
        m.d.sync += held.eq(held + put - take)
        m.d.comb += Assert(held <= self.depth)
        m.d.comb += Assert(queue.i.ready == (held != self.depth))
        m.d.comb += Assert(queue.o.valid == (held != 0))

        # Items before the followed one; it is the next to leave at 0.
        followed, before = Signal(), Signal(range(self.depth + 2))
        value = Signal(self.bits)
        with m.If(put & self.follow & ~followed):
            m.d.sync += [followed.eq(1), before.eq(held - take), value.eq(self.item)]
        with m.Elif(followed & take):
            m.d.sync += before.eq(before - 1)
            with m.If(before == 0):
                m.d.comb += Assert(queue.o.payload == value)
                m.d.sync += followed.eq(0)

        return m


class ArbiterProof(wiring.Component):
    """Grants are one of the requests, and a held one is granted after ``width`` - 1 others."""

    def __init__(self, width: int):
        self.width = width
        super().__init__({"requests": In(width), "accept": In(1), "who": In(range(width))})

    def elaborate(self, platform):
        m = Module()

        m.submodules.arbiter = arbiter = RoundRobin(self.width)
        m.d.comb += arbiter.requests.eq(self.requests)
        m.d.comb += arbiter.accept.eq(self.accept)
        grant = arbiter.grant
        m.d.comb += Assert((grant & (grant - 1)) == 0)
        m.d.comb += Assert((grant & ~self.requests) == 0)
        m.d.comb += Assert((grant != 0) == (self.requests != 0))

        # One requester, whichever the solver likes, holds its request until it is granted.
        chosen, started = Signal.like(self.who), Signal()
        others = Signal(range(self.width + 1))
        m.d.sync += started.eq(1)
        with m.If(~started):
            m.d.sync += chosen.eq(self.who)
            m.d.comb += Assume(self.who < self.width)
        waiting = Signal()
        asks, granted = Signal(), Signal()
        m.d.comb += asks.eq(started & self.requests.bit_select(chosen, 1))
        m.d.comb += granted.eq(self.accept & grant.bit_select(chosen, 1))
        m.d.comb += Assume(~waiting | asks)
        m.d.sync += waiting.eq(asks & ~granted)
        with m.If(~asks | granted):
            m.d.sync += others.eq(0)
        with m.Elif(self.accept):
            m.d.sync += others.eq(others + 1)
            m.d.comb += Assert(others < self.width - 1)

        return m


class RecentProof(wiring.Component):
    """Grants are one of the requests, and never pass over who was granted longer ago.

    Two requesters, whichever the solver likes: once the one has been granted, it is not granted
    again while the other asks, until the other was granted.
    """

    def __init__(self, width: int):
        self.width = width
        super().__init__({"requests": In(width), "accept": In(1), "one": In(range(width)),
                          "other": In(range(width))})

    def elaborate(self, platform):
        m = Module()

        m.submodules.arbiter = arbiter = LeastRecent(self.width)
        m.d.comb += [arbiter.requests.eq(self.requests), arbiter.accept.eq(self.accept)]
        grant = arbiter.grant
        m.d.comb += Assert((grant & (grant - 1)) == 0)
        m.d.comb += Assert((grant & ~self.requests) == 0)
        m.d.comb += Assert((grant != 0) == (self.requests != 0))

        one, other = fixed(m, self.one), fixed(m, self.other)
        m.d.comb += Assume((one < self.width) & (other < self.width) & (one != other))
        later = Signal()
        with m.If(grant.bit_select(one, 1)):
            m.d.comb += Assert(~(later & self.requests.bit_select(other, 1)))
        with m.If(self.accept & grant.bit_select(one, 1)):
            m.d.sync += later.eq(1)
        with m.Elif(self.accept & grant.bit_select(other, 1)):
            m.d.sync += later.eq(0)

        return m


class OutputProof(wiring.Component):
    """Credits of an output never over- or underflow, and no channel is given twice.

    The inputs ask as ``Channel`` does: a head for a free channel with a credit, or a claim for a
    free one; other flits for a channel that belongs to a packet and has a credit. The far end
    returns a credit for each flit, at any time later.
    """

    def __init__(self, noc: NocParams):
        self.noc = noc
        super().__init__({
            "asks": In(len(Port)), "heads": In(len(Port)), "tails": In(len(Port)),
            "claims": In(len(Port)), "allowed": In(noc.channels).array(len(Port)),
            "returns": In(noc.channels)})

    def elaborate(self, platform):
        m = Module()

        channels, depth = self.noc.channels, self.noc.vc_depth
        m.submodules.output = output = Output(self.noc)
        state = output.state
        for n in range(len(Port)):
            request, wants = output.requests[n], self.allowed[n]
            alone = (wants & (wants - 1)) == 0
            possible = Signal(name=f"possible{n}")
            with m.If(self.claims[n]):
                m.d.comb += possible.eq(self.heads[n] & ((wants & state.free) != 0))
            with m.Elif(self.heads[n]):
                m.d.comb += possible.eq((wants & state.available) != 0)
            with m.Else():
                m.d.comb += possible.eq(alone & ((wants & state.credited & ~state.free) != 0))
            m.d.comb += [
                request.p.ports.eq(self.asks[n] & possible),
                request.p.allowed.eq(wants), request.p.claim.eq(self.claims[n]),
                request.p.head.eq(self.heads[n]), request.p.tail.eq(self.tails[n])]

        # Flits sent whose credit is not back: on the link, at the far end, or on the way back.
        out = output.link
        for vc in range(channels):
            owed = Signal(range(depth + 2), name=f"owed{vc}")
            spent = Signal(name=f"spent{vc}")
            m.d.comb += spent.eq(
                sum(output.requests[n].taken[vc] & ~self.claims[n] for n in range(len(Port))) != 0)
            m.d.comb += out.credit[vc].eq(self.returns[vc] & (owed != 0))
            m.d.sync += owed.eq(owed + spent - out.credit[vc])
            m.d.comb += Assert(state.credits[vc] + owed == depth)
            m.d.comb += Assert(state.credited[vc] == (state.credits[vc] != 0))
            m.d.comb += Assert(~spent | (state.credits[vc] != 0))
        # One input at most is served, with one channel, which a head finds free.
        taken = [Signal(name=f"taken{n}") for n in range(len(Port))]
        for n in range(len(Port)):
            given = output.requests[n].taken
            m.d.comb += taken[n].eq(given != 0)
            m.d.comb += Assert((given & (given - 1)) == 0)
            m.d.comb += Assert((given & ~self.allowed[n]) == 0)
            m.d.comb += Assert(~(taken[n] & self.heads[n]) | ((given & ~state.free) == 0))
        m.d.comb += Assert(sum(taken) <= 1)

        return m
