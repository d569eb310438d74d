"""What a channel of an input must remember, and what then always holds.

A proof for ever needs an invariant. Everything a channel must remember is kept here a second time,
from what it shows; the prover finds out by itself which registers are the same.
"""

from dataclasses import dataclass
from typing import Any

from amaranth import Array, Cat, Mux, Signal
from amaranth.hdl import Assert

from ouroboros.hw.noc.channel import entry_layout
from ouroboros.hw.params.packet import Port
from ouroboros.tb.formal.asks import asks, cut_through
from ouroboros.tb.formal.packets import FOLLOWED, NEXT

__all__ = ["Flit", "Holds", "Line", "legal", "remember"]

PORTS = len(Port)


@dataclass(frozen=True, kw_only=True)
class Holds:
    """Of the port that is followed: channels claimed and begun by the front packet, credits.

    ``have`` are the credits of the channel's own number while it is held. ``free`` and ``credited``
    channels and ``shown`` credits of its own are what the channel sees in this cycle.
    """

    claimed: Signal
    begun: Signal
    free: Signal
    credited: Signal
    have: Signal
    shown: Signal


@dataclass(frozen=True, kw_only=True)
class Line:
    """What is put: ``entry`` if ``puts``, a ``head`` or not; ``used`` flits are in the buffer.

    Of the packet that is being put: ``multicast``, ``rest`` of its flits, its ports (``kept``).
    """

    entry: Any
    puts: Signal
    used: Signal
    head: Signal
    multicast: Signal
    rest: Signal
    kept: Signal
    marks: Array


@dataclass(frozen=True, kw_only=True)
class Flit:
    """The flit that is followed.

    ``waits`` in the buffer, ``ahead`` flits before it; ``mine``: the port that is followed is in
    its set; ``done``: it moved there; ``due``: the one after it has not yet, to channel ``where``;
    ``follows``: that one is not put yet.
    """

    marked: Signal
    follows: Signal
    waits: Signal
    ahead: Signal
    mine: Signal
    is_head: Signal
    is_tail: Signal
    done: Signal
    due: Signal
    where: Signal


def legal(noc, allowed):
    """Whether ``allowed`` is one channel, or all of class 0 or 1."""
    one = (allowed != 0) & ((allowed & (allowed - 1)) == 0)
    for n in range(2):
        if members := sum(1 << vc for vc in noc.class_channels(n)):
            one |= allowed == members
    return one


def remember(m, noc, number, channel, there, put: Line, flit: Flit, holds: Holds):
    """Keep the state of channel ``number`` and assert the invariant of it.

    ``there`` is the set of the one port that is followed.
    """
    shadow = _Shadow(m, noc, channel, put)
    _line(m, noc, shadow, put)
    _front(m, noc, number, shadow, put, there, holds)
    _followed(m, noc, shadow, put, there, flit)
    asks(m, number, channel, shadow, there, holds)
    cut_through(m, noc, number, channel, shadow, put, there, holds)


class _Place:
    """A slot of a buffer; the bit beside its index turns at every wrap."""

    def __init__(self, m, depth, name):
        self.m, self.depth, self.name = m, depth, name
        self.index = Signal(range(depth), name=f"{name}_index")
        self.wrap = Signal(name=f"{name}_wrap")

    def set(self, place):
        return [self.index.eq(place[0]), self.wrap.eq(place[1])]

    def next(self):
        last = self.index == self.depth - 1
        return Mux(last, 0, self.index + 1)[:len(self.index)], self.wrap ^ last

    def plus(self, n):
        """Index n slots further on."""
        place = Signal(range(self.depth), name=f"{self.name}_{n}")
        there = self.index + n
        self.m.d.comb += place.eq(Mux(there >= self.depth, there - self.depth, there))
        return place

    def to(self, other):
        """Slots from here to another one, at most ``depth``."""
        turned = Mux(self.wrap != other.wrap, self.depth, 0)
        return (turned + other.index - self.index)[:len(self.index) + 1]


class _Shadow:
    """State of a channel, kept from what it shows; flits from the front on.

    ``active``: between head and tail of a copy, to ``port``, a set, by channel ``via``, which is
    also the channel of the latest claim; ``final``: the last copy, whose flits are freed as they
    go; ``middle``: both. ``took``: ports that have the flit at ``read`` already, which is
    ``at_tail``. ``copied`` and ``reserved`` ports of the front packet have their copy, or were
    claimed. ``off`` flits of a copy that is not the last have gone. Of the n-th flit in the buffer:
    ``inside`` (it exists), ``entry``, ``head`` and ``mark``; of its packet: ``known`` (its head is
    in the buffer too), ``ports``,
    ``many`` (multicast), ``need``, and ``nth`` (which flit of it).
    """

    def __init__(self, m, noc, channel, put):
        depth = noc.vc_depth
        request, taken = channel.request.p, channel.request.taken
        end, read, base = (_Place(m, depth, f"shadow_{name}") for name in ("end", "read", "base"))
        heads = Array(Signal(name=f"shadow_head{n}") for n in range(depth))
        entries = Array(Signal(entry_layout(noc), name=f"shadow_entry{n}") for n in range(depth))
        self.active, self.final = active, final = Signal(), Signal()
        self.port, self.via = port, via = Signal(PORTS), Signal(noc.channels)
        self.copied, self.reserved = copied, reserved = Signal(PORTS), Signal(PORTS)
        self.took, self.at_tail = took, at_tail = Signal(PORTS), Signal()
        whole, goes = Signal(), Signal(PORTS)
        m.d.comb += [goes.eq(Mux(active, port, channel.got)), at_tail.eq(entries[read.index].tail),
                     whole.eq(~active | ((port & ~took & ~channel.got) == 0))]
        with m.If(put.puts):
            m.d.sync += [heads[end.index].eq(put.head), entries[end.index].eq(put.entry)]
            m.d.sync += end.set(end.next())
        with m.If((taken != 0) & request.claim):
            m.d.sync += [reserved.eq(reserved | channel.got), via.eq(taken)]
        with m.Elif((taken != 0) & ~whole):
            m.d.sync += [took.eq(took | channel.got), via.eq(taken)]
        with m.Elif(taken != 0):
            m.d.sync += [active.eq(~request.tail), port.eq(goes), via.eq(taken), took.eq(0),
                         final.eq(channel.freed), *read.set(read.next())]
            with m.If(channel.freed):
                m.d.sync += [*base.set(read.next()), copied.eq(0), reserved.eq(0)]
            with m.Elif(request.tail):
                m.d.sync += [*read.set((base.index, base.wrap)), copied.eq(copied | goes)]
        with m.Elif(channel.freed):
            m.d.sync += [*read.set(read.next()), *base.set(read.next())]

        self.used, self.off = used, off = Signal(range(2 * depth)), Signal(range(2 * depth))
        self.middle = Signal()
        m.d.comb += [
            used.eq(base.to(end)), off.eq(base.to(read)), self.middle.eq(active & final),
            Assert((end.index == channel.rear) & (read.index == channel.front)),
            Assert((end.index < depth) & (read.index < depth) & (base.index < depth)),
            Assert((used == put.used) & (used <= depth) & (off <= used)),
            Assert((off != 0) == (active & ~final))]

        slots = [base.plus(n) for n in range(depth)]
        self.entry = [entries[slot] for slot in slots]
        self.head = [heads[slot] for slot in slots]
        self.mark = [put.marks[slot] for slot in slots]
        self.inside, self.known, self.ports, self.many, self.need, self.nth = (
            [Signal(bits, name=f"{name}{n}") for n in range(depth)] for name, bits in (
                ("inside", 1), ("known", 1), ("ports", PORTS), ("many", 1), ("need", 4),
                ("nth", range(depth + 1))))
        for n, entry in enumerate(self.entry):
            first = self.inside[n] & self.head[n]
            m.d.comb += self.inside[n].eq(n < used)
            for name, before in (("ports", entry.ports), ("many", entry.multicast),
                                 ("need", entry.need)):
                values, own = getattr(self, name), before
                m.d.comb += values[n].eq(Mux(first, own, values[n - 1]) if n else own)
            m.d.comb += self.known[n].eq((self.known[n - 1] if n else ~self.middle) | first)
            m.d.comb += self.nth[n].eq(Mux(first, 0, self.nth[n - 1] + 1) if n else 0)


def _line(m, noc, shadow, put):
    """Packets stand in line whole, each with a head and a tail, as they were put."""
    used, middle = shadow.used, shadow.middle
    m.d.comb += Assert(Mux(used == 0, put.head, shadow.head[0]) == ~middle)
    m.d.comb += Assert((used != 0) | put.head | (put.kept == shadow.port))
    for n, entry in enumerate(shadow.entry):
        inside, nth, many, need = (
            getattr(shadow, name)[n] for name in ("inside", "nth", "many", "need"))
        if n < noc.vc_depth - 1:
            m.d.comb += Assert(~shadow.inside[n + 1] | (shadow.head[n + 1] == entry.tail))
        m.d.comb += Assert((n + 1 != used) | (put.head == entry.tail))
        with m.If(inside & shadow.head[n]):
            m.d.comb += Assert(Mux(
                entry.ports == 0, entry.tail & ~entry.multicast, legal(noc, entry.allowed)))
            m.d.comb += Assert(Mux(entry.multicast, entry.need < noc.multicast_flits,
                                   (entry.ports & (entry.ports - 1)) == 0))
        m.d.comb += Assert((n >= shadow.off) | ~entry.tail)
        m.d.comb += Assert(~(inside & shadow.known[n] & many) | (
            (nth <= need) & (entry.tail == (nth == need))))
        with m.If((n + 1 == used) & ~put.head):
            m.d.comb += Assert(put.kept == Mux(shadow.known[n], shadow.ports[n], shadow.port))
            m.d.comb += Assert(~shadow.known[n] | ((put.multicast == many) & (
                ~many | (put.rest + nth == need))))


def _front(m, noc, number, shadow, put, there, holds):
    """What is done of the front packet."""
    used, active, final, port, via, took = (
        getattr(shadow, name) for name in ("used", "active", "final", "port", "via", "took"))
    copied, reserved, front = shadow.copied, shadow.reserved, shadow.entry[0]
    multicast = Signal(name="front_multicast")
    m.d.comb += multicast.eq((used != 0) & ~shadow.middle & front.multicast)
    m.d.comb += Assert((shadow.off == 0) | front.multicast)
    m.d.comb += Assert((copied == 0) | (
        multicast & ((copied & ~front.ports) == 0) & (copied != front.ports)
        & (front.need < used)))
    m.d.comb += Assert((reserved == 0) | (
        (used != 0) & ~shadow.middle & ((reserved & ~front.ports) == 0)
        & (via != 0) & ((via & (via - 1)) == 0)
        & Mux(front.multicast, via == 1 << number, (via & ~front.allowed) == 0)))
    with m.If(active):
        m.d.comb += Assert((port != 0) & (((port & (port - 1)) == 0) | (via == 1 << number)))
        m.d.comb += Assert((via != 0) & ((via & (via - 1)) == 0))
        with m.If(~final):
            m.d.comb += Assert(((port & (copied | ~front.ports)) == 0)
                               & ((front.ports & ~port & ~copied) != 0) & (via == 1 << number))
    m.d.comb += Assert((took == 0) | (
        active & ((took & ~port) == 0) & (took != port) & (shadow.off < used)))
    m.d.comb += Assert(holds.begun == Mux(
        active & ((port & there & ~Mux(shadow.at_tail, took, 0)) != 0), via, 0))
    m.d.comb += Assert(holds.claimed == Mux(
        (reserved & there & ~copied & ~Mux(active, port, 0)) != 0, via, 0))


def _followed(m, noc, shadow, put, there, flit):
    """Where the flit that is followed is, and the one after it."""
    used, active, final, off = (
        getattr(shadow, name) for name in ("used", "active", "final", "off"))
    here, took = Signal(), Signal()
    m.d.comb += [here.eq((shadow.port & there) != 0), took.eq((shadow.took & there) != 0)]
    m.d.comb += Assert(flit.marked | ~(flit.waits | flit.follows | flit.due | flit.done))
    m.d.comb += Assert(~flit.waits | (flit.ahead < used))
    for n, entry in enumerate(shadow.entry):
        inside, mark = shadow.inside[n], shadow.mark[n]
        it, next_ = Signal(name=f"it{n}"), Signal(name=f"next{n}")
        m.d.comb += [it.eq(flit.waits & (flit.ahead == n)),
                     next_.eq(flit.waits & (flit.ahead + 1 == n) & ~flit.is_tail)]
        m.d.comb += Assert((inside & (mark == FOLLOWED)) == it)
        m.d.comb += Assert(~(inside & next_) | (mark == NEXT))
        m.d.comb += Assert(~(inside & (mark == NEXT)) | next_ | (
            ~flit.waits & (n == 0) & ~flit.is_tail & flit.marked & ~flit.follows & shadow.middle
            & (flit.due == (here & ~took))))
        others = Cat(shadow.head[i] & shadow.inside[i] for i in range(1, n + 1)).any() if n else 0
        with m.If(it):
            m.d.comb += Assert(inside & (shadow.head[n] == flit.is_head)
                               & (entry.tail == flit.is_tail))
            with m.If(shadow.known[n]):
                m.d.comb += Assert(flit.mine == ((shadow.ports[n] & there) != 0))
                m.d.comb += Assert(flit.done == (~others & ~shadow.middle & (
                    ((shadow.copied & there) != 0)
                    | (active & here & ((off > n) | ((off == n) & took))))))
            with m.Else():
                m.d.comb += Assert(flit.mine == (flit.done | here))
                m.d.comb += Assert((flit.done & here) == ((n == 0) & took))
            m.d.comb += Assert(flit.due == (active & here & ~flit.is_tail & Mux(
                off == n, took & ~others, ~final & (off == n + 1) & ~took)))
    m.d.comb += Assert(~flit.follows | (~flit.is_tail & ~put.head & Mux(
        flit.waits, flit.ahead + 1 == used, (used == 0) & (flit.due == here))))
    m.d.comb += Assert(~flit.waits | flit.follows | flit.is_tail | (flit.ahead + 1 < used))
    with m.If(flit.due):
        m.d.comb += Assert(active & here & (shadow.via == flit.where))
        m.d.comb += Assert(flit.waits | Mux(used == 0, flit.follows, shadow.mark[0] == NEXT))
