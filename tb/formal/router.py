"""A router's blocks, and the router of them, with what must hold of packets that cross it."""

from amaranth import Cat, Module, Mux, ResetSignal, Signal
from amaranth.hdl import Assert, Assume
from amaranth.lib import wiring
from amaranth.lib.wiring import In
from amaranth.utils import ceil_log2

from ouroboros.hw.noc.input import Input
from ouroboros.hw.noc.output import Output
from ouroboros.hw.noc.router import Router
from ouroboros.hw.params.noc import NocParams
from ouroboros.hw.params.packet import Port
from ouroboros.tb.formal.packets import (
    FOLLOWED,
    MARK,
    MESH,
    NEXT,
    PLACE,
    fixed,
    follow,
    stand,
    wishes,
)

__all__ = ["HoldProof", "InputProof", "RouterProof"]

PORTS = len(Port)


def _check(m, noc, flit, moves, port):
    """Assert what must hold of the flit that is followed and the one after it.

    ``moves(p)`` and ``port(p)`` are the valid bit and the flit (mark, head, tail, vc) at port p.
    """
    due, channel = Signal(PORTS), Signal(range(noc.channels))
    for p in range(PORTS):
        valid, (mark, head, tail, vc) = moves(p), port(p)
        seen, follows = Signal(name=f"seen{p}"), Signal(name=f"follows{p}")
        m.d.comb += seen.eq(valid & (mark == FOLLOWED))
        m.d.comb += follows.eq(valid & (mark == NEXT))
        m.d.comb += Assert(seen == (flit.leaves & flit.ports[p]))
        m.d.comb += Assert(follows == (valid & due[p] & (vc == channel)))
        with m.If(seen):
            m.d.comb += Assert((head == flit.head) & (tail == flit.tail))
            m.d.comb += Assert(((1 << vc) & flit.allowed) != 0)
            m.d.sync += [due[p].eq(~tail), channel.eq(vc)]
        with m.Elif(follows):
            m.d.sync += due[p].eq(0)


class RouterProof(wiring.Component):
    """Flits leave by their route's port, once, in order, and packets of one channel do not mix.

    Whoever sends, on all five inputs, sends whole unicast packets (``tb.formal.packets``) whenever
    there is a credit; who receives returns each credit whenever it likes. Any set of ports may be
    dead. One flit, whichever the solver likes, is followed: it carries a mark in bits that no
    router reads, so what holds of it holds of all. Asserted:

    - The flit is on its route's port, nowhere else, in the very cycle in which its credit goes
      back, as many credits after it came as flits were before it: none lost, duplicated, misrouted,
      or overtaken on its channel. Without a route (no such destination, dead port) it is nowhere.
    - It is on a channel that its packet may use: of class 1 from its waypoint on, otherwise of its
      class; head and tail are as they were.
    - After a flit that is not a tail, the next one on the same port and channel is the next one of
      the same packet, which is nowhere else and at no other time.
    - On each port and channel heads come after tails and nowhere else, never without a credit.

    Bounded (docs/proofs.md): each further cycle takes the solver three to four times as long.

    Parameters
    ----------
    noc : NocParams
        The network, without channels of class 2: nobody writes the tables.
    """

    def __init__(self, noc: NocParams):
        self.noc = noc
        super().__init__(wishes(noc, PORTS) | {"returns": In(noc.channels).array(PORTS)})

    def elaborate(self, platform):
        m = Module()

        m.submodules.router = router = Router(self.noc)
        connected = fixed(m, self.connected)
        m.d.comb += Assume(~ResetSignal())
        m.d.comb += [router.x.eq(PLACE), router.y.eq(PLACE), router.mesh_width.eq(MESH),
                     router.mesh_height.eq(MESH), router.connected.eq(connected)]
        # Nobody writes the tables.
        m.d.comb += Assume((self.die_turn == 0) & (self.core_turn == 0))
        flit = follow(m, self.noc, router.inputs, self, connected)
        outputs = router.outputs
        _check(m, self.noc, flit, lambda p: outputs[p].valid, lambda p: (
            outputs[p].flit.data[MARK], outputs[p].flit.head, outputs[p].flit.tail,
            outputs[p].flit.vc))
        for n, link in enumerate(outputs):
            for c in range(self.noc.channels):
                _receive(m, self.noc, link, c, self.returns[n][c], f"{n}_{c}")

        return m


def _receive(m, noc, link, c, returns, name):
    """Far end of a channel: returns credits, and sees heads after tails only."""
    owed, open_, comes = (Signal(bits, name=f"{what}{name}") for what, bits in (
        ("owed", range(noc.vc_depth + 1)), ("open", 1), ("comes", 1)))
    m.d.comb += comes.eq(link.valid & (link.flit.vc == c))
    m.d.comb += link.credit[c].eq(returns & (owed != 0))
    m.d.sync += owed.eq(owed + comes - link.credit[c])
    with m.If(comes):
        m.d.comb += Assert(owed != noc.vc_depth)
        m.d.comb += Assert(link.flit.head == ~open_)
        m.d.sync += open_.eq(~link.flit.tail)
    return owed, open_


class InputProof(wiring.Component):
    """Input's side of the contract with the outputs, and all that ``RouterProof`` says of one.

    Outputs answer as ``HoldProof`` shows: at any time, or never; with a channel that the request
    allows, free, and with a credit unless it is a claim, or the one that the request names because
    it holds it. The input asks

    - for one port at most, with a head that claims: for channels one of which is free;
    - with a head: for channels one of which is free and has a credit, or one that it has claimed
      and that has a credit;
    - with another flit: for the one channel that its packet's head got, from head to tail.

    The flit that moves in cycle t (taken, not claimed) is what a link would show in t + 1; of it
    holds what ``RouterProof`` asserts. Bounded (docs/proofs.md).
    """

    def __init__(self, noc: NocParams):
        self.noc = noc
        super().__init__(wishes(noc, 1) | {
            "grants": In(1), "picks": In(noc.channels),
            "free": In(noc.channels).array(PORTS), "credited": In(noc.channels).array(PORTS)})

    def elaborate(self, platform):
        m = Module()

        channels = self.noc.channels
        m.submodules.input = entrance = Input(self.noc)
        connected = fixed(m, self.connected)
        m.d.comb += Assume(~ResetSignal())
        m.d.comb += stand(entrance.place, connected)
        m.d.comb += [entrance.table.die_turn.eq(self.die_turn),
                     entrance.table.core_turn.eq(self.core_turn)]
        flit = follow(m, self.noc, [entrance.link], self, connected)

        request, taken = entrance.request.p, entrance.request.taken
        claimed, begun = (Signal(PORTS * channels, name=name) for name in ("claimed", "begun"))
        free, credited, available, held, started = (Signal(channels, name=name) for name in (
            "free_", "credited_", "available_", "held", "started"))
        for p, state in enumerate(entrance.states):
            mine = slice(p * channels, (p + 1) * channels)
            m.d.comb += [state.free.eq(self.free[p] & ~claimed[mine] & ~begun[mine]),
                         state.credited.eq(self.credited[p]),
                         state.available.eq(state.free & state.credited)]
            with m.If(request.ports[p]):
                m.d.comb += [free.eq(state.free), credited.eq(state.credited),
                             available.eq(state.available), held.eq(claimed[mine]),
                             started.eq(begun[mine])]
                with m.If(taken != 0):
                    m.d.sync += [
                        claimed[mine].eq(Mux(request.claim, held | taken, held & ~taken)),
                        begun[mine].eq(Mux(request.claim, started, Mux(
                            request.tail, started & ~taken, started | taken)))]

        allowed = request.allowed
        asks, alone, ready = Signal(), Signal(), Signal()
        m.d.comb += [asks.eq(request.ports != 0), alone.eq((allowed & (allowed - 1)) == 0)]
        m.d.comb += Assert((request.ports & (request.ports - 1)) == 0)
        with m.If(asks):
            m.d.comb += Assert(allowed != 0)
            with m.If(request.claim):
                m.d.comb += Assert(request.head & ((allowed & free) != 0))
            with m.Elif(request.head):
                m.d.comb += ready.eq(alone & ((allowed & held & credited) != 0))
                m.d.comb += Assert(ready | ((allowed & available) != 0))
            with m.Else():
                m.d.comb += Assert(alone & ((allowed & started & credited) != 0))
        pick = self.picks
        m.d.comb += taken.eq(Mux(asks & self.grants, pick, 0))
        m.d.comb += Assume(~(asks & self.grants) | (
            (pick != 0) & ((pick & (pick - 1)) == 0) & ((pick & ~allowed) == 0)
            & (Mux(request.claim, (pick & free) != 0, alone | ((pick & available) != 0)))))

        ports, out = Signal(PORTS), Signal(4 + ceil_log2(channels))
        number = Signal(range(channels))
        for c in range(channels):
            with m.If(taken[c]):
                m.d.comb += number.eq(c)
        m.d.sync += ports.eq(Mux((taken != 0) & ~request.claim, request.ports, 0))
        m.d.sync += out.eq(Cat(entrance.request.data[MARK], request.head, request.tail, number))
        _check(m, self.noc, flit, lambda p: ports[p],
               lambda p: (out[:2], out[2], out[3], out[4:]))

        return m


class HoldProof(wiring.Component):
    """Output's side of the contract: a channel belongs to one packet from head, or claim, to tail.

    The five inputs ask for this port as ``InputProof`` shows, otherwise at any time; the far end
    returns credits at any time. Asserted, for ever: a channel is free unless one input, and one
    only, holds it; an answer is one channel that the request allows, which nobody holds, or he who
    asks; a claim gets one that nobody holds, whatever its credits; whenever somebody asks, one is
    answered; the flit of the answered request, and no other, is on the link in the next cycle, with
    that channel, and only with a credit; heads come after tails and nowhere else.
    """

    def __init__(self, noc: NocParams):
        self.noc = noc
        super().__init__({
            "asks": In(PORTS), "heads": In(PORTS), "tails": In(PORTS), "claims": In(PORTS),
            "allowed": In(noc.channels).array(PORTS), "data": In(2).array(PORTS),
            "returns": In(noc.channels)})

    def elaborate(self, platform):
        m = Module()

        channels = self.noc.channels
        m.submodules.output = output = Output(self.noc)
        state, link = output.state, output.link
        m.d.comb += Assume(~ResetSignal())
        claimed, begun = (Signal(PORTS * channels, name=name) for name in ("claimed", "begun"))
        moves, data = Signal(), Signal(4)
        number = Signal(range(channels))
        for n, request in enumerate(output.requests):
            wants, given = self.allowed[n], request.taken
            mine = slice(n * channels, (n + 1) * channels)
            held, started = claimed[mine], begun[mine]
            alone, may = Signal(name=f"alone{n}"), Signal(name=f"may{n}")
            m.d.comb += alone.eq((wants & (wants - 1)) == 0)
            with m.If(self.claims[n]):
                m.d.comb += may.eq(self.heads[n] & ((wants & state.free) != 0))
            with m.Elif(self.heads[n]):
                m.d.comb += may.eq(((wants & state.available) != 0)
                                   | (alone & ((wants & held & state.credited) != 0)))
            with m.Else():
                m.d.comb += may.eq(alone & ((wants & started & state.credited) != 0))
            m.d.comb += [
                request.p.ports.eq(self.asks[n] & may), request.p.allowed.eq(wants),
                request.p.claim.eq(self.claims[n]), request.p.head.eq(self.heads[n]),
                request.p.tail.eq(self.tails[n]), request.data[MARK].eq(self.data[n])]
            with m.If(given != 0):
                m.d.comb += Assert(request.p.ports != 0)
                m.d.comb += Assert(((given & (given - 1)) == 0) & ((given & ~wants) == 0))
                m.d.comb += Assert((given & ~(state.free | held | started)) == 0)
                m.d.comb += Assert(self.claims[n] | ((given & state.credited) != 0))
                m.d.comb += Assert(alone | self.claims[n] | ((given & state.available) != 0))
                with m.If(self.claims[n]):
                    m.d.comb += Assert((given & ~state.free) == 0)
                    m.d.sync += held.eq(held | given)
                with m.Else():
                    m.d.sync += held.eq(held & ~given)
                    m.d.sync += started.eq(Mux(self.tails[n], started & ~given, started | given))
                    m.d.comb += [moves.eq(1), data.eq(Cat(self.data[n], self.heads[n],
                                                          self.tails[n]))]
                    for c in range(channels):
                        with m.If(given[c]):
                            m.d.comb += number.eq(c)
        # Whenever somebody asks, one is answered.
        m.d.comb += Assert(sum(request.taken != 0 for request in output.requests)
                           == Cat(request.p.ports.any() for request in output.requests).any())

        moved, was, where = Signal(), Signal.like(data), Signal.like(number)
        m.d.sync += [moved.eq(moves), was.eq(data), where.eq(number)]
        m.d.comb += Assert(link.valid == moved)
        with m.If(moved):
            m.d.comb += Assert(Cat(link.flit.data[MARK], link.flit.head, link.flit.tail) == was)
            m.d.comb += Assert(link.flit.vc == where)
        for c in range(channels):
            holders = sum(claimed[n * channels + c] + begun[n * channels + c]
                          for n in range(PORTS))
            m.d.comb += Assert(holders == ~state.free[c])
            owed, open_ = _receive(m, self.noc, link, c, self.returns[c], str(c))
            goes = link.valid & (link.flit.vc == c)
            m.d.comb += Assert(state.credits[c] + owed + goes == self.noc.vc_depth)
            m.d.comb += Assert(state.credited[c] == (state.credits[c] != 0))
            going = sum(begun[n * channels + c] for n in range(PORTS)) != 0
            m.d.comb += Assert(going == Mux(goes, ~link.flit.tail, open_))

        return m
