"""One virtual channel of an input, with what must hold of unicast and multicast packets."""

from amaranth import Array, Module, Mux, Signal
from amaranth.hdl import Assert, Assume
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from ouroboros.hw.noc.channel import Channel, entry_layout
from ouroboros.hw.params.noc import NocParams
from ouroboros.hw.params.packet import Port
from ouroboros.tb.formal.packets import FOLLOWED, NEXT, fixed
from ouroboros.tb.formal.shadow import Flit, Holds, Line, legal, remember

__all__ = ["ChannelProof"]

PORTS = len(Port)


class ChannelProof(wiring.Component):
    """Every port of a packet gets one whole copy, in order and unmixed; then its room is free.

    Whoever puts, puts whole packets, as ``Input`` does, and never more than fit. A unicast packet
    has one port and any length; a multicast packet any set of ports and at most
    ``multicast_flits``; a packet without ports is one flit. Outputs show any state, and answer at
    any time or never, as ``HoldProof`` shows.

    One flit and one port, whichever the solver likes, are followed. Asserted:

    - The flit moves to the port once if that is in its packet's set, and otherwise never; its place
      is freed once, as many places after it came as flits were before it, and not before it has
      moved to the port. Its head and tail are as they were.
    - After a flit that is not a tail, the next one that moves to the port is the next one of its
      packet, on the same channel; until then nothing moves but the flit itself, to other ports. So
      copies are whole, in order and unmixed.
    - What is asked of the port is what ``HoldProof`` expects.
    - A multicast copy starts on the channel's own number, with credits for the whole packet, and
      always has a credit until its tail has gone. A port that can take one is asked after
      ``PATIENCE_CYCLES`` at most.
    - Whoever waits asks: a head whose port has a free channel that it may use, or one that it has
      claimed and that has the credits, and that has no other port left, asks for it in this very
      cycle, as ``WaitProof`` expects. A unicast packet claims one channel of those that it may use,
      and keeps to it.
    - When the last flit of a packet is freed, no claim of it is left.

    Parameters
    ----------
    noc : NocParams
        The network.
    number : int
        The channel.
    """

    def __init__(self, noc: NocParams, number: int):
        self.noc, self.number = noc, number
        channels = noc.channels
        super().__init__({
            "puts": In(1), "entry": In(entry_layout(noc)), "follow": In(1),
            "port": In(range(PORTS)), "grants": In(PORTS), "picks": In(channels),
            "free": In(channels).array(PORTS),
            "credits": In(range(noc.vc_depth + 1)).array(channels).array(PORTS),
            "returns": In(1)})

    def elaborate(self, platform):
        m = Module()

        m.submodules.channel = channel = Channel(self.noc, self.number)
        port = fixed(m, self.port)
        m.d.comb += Assume(port < PORTS)
        there = Signal(PORTS, name="there")
        m.d.comb += there.eq(1 << port)

        request, taken = channel.request.p, channel.request.taken
        moves, claims, here, sent = (Signal(name=name) for name in (
            "moves", "claims", "here", "sent"))
        m.d.comb += [here.eq((request.ports & there) != 0),
                     moves.eq((taken != 0) & ~request.claim),
                     claims.eq((taken != 0) & request.claim),
                     sent.eq(moves & ((channel.got & there) != 0))]

        holds = self._outputs(m, channel, there, here, claims, sent)
        line, flit = self._packets(m, channel, there, moves, sent)
        remember(m, self.noc, self.number, channel, there, line, flit, holds)

        return m

    def _outputs(self, m, channel, there, here, claims, sent):
        """Outputs and their answers, and what they expect of the requests."""
        noc, own = self.noc, 1 << self.number
        request, taken = channel.request.p, channel.request.taken
        # Channels of the port that belong to the front packet: claimed, or its copy is under way.
        claimed, begun = Signal(noc.channels), Signal(noc.channels)
        have, shown = (Signal(range(noc.vc_depth + 1), name=name) for name in ("have", "shown"))
        free, credited = Signal(noc.channels), Signal(noc.channels)
        for p, state in enumerate(channel.states):
            with m.If(there[p]):
                m.d.comb += free.eq(self.free[p] & ~claimed & ~begun)
                m.d.comb += state.free.eq(free)
            with m.Else():
                m.d.comb += state.free.eq(self.free[p])
            for c in range(noc.channels):
                m.d.comb += Assume(self.credits[p][c] <= noc.vc_depth)
                m.d.comb += state.credits[c].eq(self.credits[p][c])
                if c == self.number:
                    with m.If(there[p] & (((claimed | begun) & own) != 0)):
                        m.d.comb += state.credits[c].eq(have)
                    with m.If(there[p]):
                        m.d.comb += shown.eq(state.credits[c])
                        m.d.sync += have.eq(state.credits[c] - (sent & taken[c]) + (
                            self.returns & (state.credits[c] != noc.vc_depth)))
                m.d.comb += state.credited[c].eq(state.credits[c] != 0)
            m.d.comb += state.available.eq(state.free & state.credited)
            with m.If(there[p]):
                m.d.comb += credited.eq(state.credited)

        allowed, pick = request.allowed, self.picks
        got, alone = channel.got, Signal()
        m.d.comb += [got.eq(request.ports & self.grants), alone.eq((allowed & (allowed - 1)) == 0),
                     taken.eq(Mux(got != 0, pick, 0))]
        m.d.comb += Assume((got == 0) | (
            (pick != 0) & ((pick & (pick - 1)) == 0) & ((pick & ~allowed) == 0)))
        for p, state in enumerate(channel.states):
            m.d.comb += Assume(~got[p] | Mux(
                request.claim, (pick & state.free) != 0,
                alone | ((pick & state.available) != 0)))

        m.d.comb += Assert(((request.ports & (request.ports - 1)) == 0) | (allowed == own))
        with m.If(here):
            m.d.comb += Assert(allowed != 0)
            with m.If(request.claim):
                m.d.comb += Assert(request.head & ((allowed & free) != 0))
                m.d.comb += Assert(alone | ((allowed & free & credited) == 0))
            with m.Elif(request.head):
                m.d.comb += Assert((alone & ((allowed & claimed & credited) != 0))
                                   | ((allowed & free & credited) != 0))
            with m.Else():
                m.d.comb += Assert(alone & ((allowed & begun & credited) != 0))
        with m.If(claims & ((got & there) != 0)):
            m.d.sync += claimed.eq(claimed | taken)
        with m.Elif(sent):
            m.d.sync += claimed.eq(claimed & ~taken)
            m.d.sync += begun.eq(Mux(request.tail, 0, taken))
        return Holds(claimed=claimed, begun=begun, free=free, credited=credited, have=have,
                     shown=shown)

    def _packets(self, m, channel, there, moves, sent):
        """What is put, and what becomes of the flit that is followed."""
        noc, depth = self.noc, self.noc.vc_depth
        entry, request = self.entry, channel.request.p
        used = Signal(range(depth + 1), name="put_used")
        puts, head = Signal(name="put_puts"), Signal(init=1, name="put_head")
        m.d.comb += [puts.eq(self.puts & (used != depth)), channel.put.valid.eq(puts),
                     channel.put.entry.eq(entry)]
        m.d.comb += Assert(~channel.freed | (used != 0))
        m.d.sync += used.eq(used + puts - channel.freed)
        multicast, rest, kept = (Signal(bits, name=f"put_{name}") for name, bits in (
            ("multicast", 1), ("rest", 4), ("kept", PORTS)))
        ports = Signal(PORTS)
        m.d.comb += ports.eq(Mux(head, entry.ports, kept))
        with m.If(puts):
            m.d.sync += [head.eq(entry.tail), kept.eq(ports)]
            with m.If(head):
                m.d.comb += [
                    Assume((entry.ports == 0) | legal(noc, entry.allowed)),
                    Assume(entry.multicast | ((entry.ports & (entry.ports - 1)) == 0)),
                    Assume((entry.ports != 0) | (entry.tail & ~entry.multicast)),
                    Assume(~entry.multicast | (
                        (entry.need < noc.multicast_flits) & (entry.tail == (entry.need == 0))))]
                m.d.sync += [multicast.eq(entry.multicast), rest.eq(entry.need)]
            with m.Else():
                m.d.comb += Assume(~multicast | (entry.tail == (rest == 1)))
                m.d.sync += rest.eq(rest - 1)

        # Marks lie where an input's flits lie.
        mark, front = Signal(2), Signal(2)
        marks = Array(Signal(2, name=f"mark{n}") for n in range(depth))
        with m.If(puts):
            m.d.sync += marks[channel.rear].eq(mark)
        m.d.comb += front.eq(marks[channel.front])

        marked, follows, waits, mine, is_head, is_tail, done = (
            Signal(name=f"flit_{name}") for name in (
                "marked", "follows", "waits", "mine", "is_head", "is_tail", "done"))
        ahead = Signal(range(depth + 1), name="flit_ahead")
        with m.If(puts & follows):
            m.d.comb += mark.eq(NEXT)
            m.d.sync += follows.eq(0)
        with m.Elif(puts & self.follow & ~marked):
            m.d.comb += mark.eq(FOLLOWED)
            m.d.sync += [marked.eq(1), follows.eq(~entry.tail), mine.eq((ports & there) != 0),
                         is_head.eq(head), is_tail.eq(entry.tail)]
        with m.If(mark == FOLLOWED):
            m.d.sync += [waits.eq(1), ahead.eq(used - channel.freed)]
        with m.Elif(waits & channel.freed):
            m.d.sync += [waits.eq(ahead != 0), ahead.eq(ahead - 1)]
        leaves = Signal()
        m.d.comb += leaves.eq(waits & channel.freed & (ahead == 0))

        goes = Signal()
        m.d.comb += goes.eq(sent & (front == FOLLOWED))
        with m.If(goes):
            m.d.comb += Assert(waits & mine & ~done)
            m.d.comb += Assert((request.head == is_head) & (request.tail == is_tail))
            m.d.sync += done.eq(1)
        with m.If(leaves):
            m.d.comb += Assert(front == FOLLOWED)
            m.d.comb += Assert((done | goes) == mine)

        due, where = Signal(name="flit_due"), Signal(noc.channels, name="flit_where")
        with m.If(due & moves & ((front != FOLLOWED) | sent)):
            m.d.comb += Assert((front == NEXT) & ~request.head)
            m.d.comb += Assert(channel.request.taken == where)
        with m.If(due & sent):
            m.d.sync += due.eq(0)
        with m.If(sent & (front == NEXT)):
            m.d.comb += Assert(due)
        with m.If(goes):
            m.d.sync += [due.eq(~request.tail), where.eq(channel.request.taken)]

        return (Line(entry=entry, puts=puts, used=used, head=head, multicast=multicast, rest=rest,
                     kept=kept, marks=marks),
                Flit(marked=marked, follows=follows, waits=waits, ahead=ahead, mine=mine,
                     is_head=is_head, is_tail=is_tail, done=done, due=due, where=where))
