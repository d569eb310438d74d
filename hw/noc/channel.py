"""One virtual channel of a router's input: where its flits lie, and the packet at its front."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.params.noc import NocParams
from ouroboros.hw.params.packet import Port
from ouroboros.hw.params.timing.network import PATIENCE_CYCLES
from ouroboros.hw.params.widths import LENGTH_BITS

__all__ = ["Channel", "OutputState", "Request", "entry_layout"]


def entry_layout(noc: NocParams) -> data.StructLayout:
    """What a channel keeps about a flit besides its data; all but ``tail`` count only on a head.

    ``ports`` is the route, ``allowed`` the channels that the packet may go on by. A ``multicast``
    packet is copied to each of the ports and has ``need`` payload flits.
    """
    return data.StructLayout({"tail": 1, "ports": len(Port), "allowed": noc.channels,
                              "multicast": 1, "need": LENGTH_BITS})


class OutputState(wiring.Signature):
    """What an output shows to the inputs about its virtual channels; ``Out`` at the output.

    ``credited`` channels have a credit, ``free`` ones belong to no packet, ``available`` ones both.
    ``credits`` are all of them.
    """

    def __init__(self, noc: NocParams):
        super().__init__({
            "credited": Out(noc.channels),
            "free": Out(noc.channels),
            "available": Out(noc.channels),
            "credits": Out(range(noc.vc_depth + 1), init=noc.vc_depth).array(noc.channels)})


class Request(wiring.Signature):
    """Wish of an input for this cycle; ``Out`` at the input.

    ``ports`` are the ports wanted, or 0: one for unicast, any for multicast, which has one channel
    only. ``allowed`` are the channels from which the outputs choose. With ``claim`` the channel is
    wanted for the packet, but no flit moves. ``taken`` answers in the same cycle: the channel that
    was chosen, or 0.
    """

    def __init__(self, noc: NocParams):
        super().__init__({
            "p": Out(data.StructLayout({"ports": len(Port), "allowed": noc.channels, "claim": 1,
                                        "head": 1, "tail": 1})),
            "data": Out(noc.flit_bits),
            "taken": In(noc.channels),
        })


class Channel(wiring.Component):
    """Keeps order of the flits of one virtual channel and asks for outputs for the front packet.

    A unicast packet is sent flit by flit, each when there is a credit; its head also needs a
    channel that belongs to nobody. A multicast packet is copied to all its ports that can take it:
    those where the channel of the same number as this one is free and has the credits for the whole
    packet. For ports whose channel is free but lacks credits it waits, and claims the channel, but
    no longer than ``PATIENCE_CYCLES`` in all while there are others that it could go to. The ports
    that grant its head get the copy together: each flit stays until all of them have it, which
    takes one cycle if their links are free, and waits for no credit. At the tail the buffer is
    rewound for ports that are left; the copy after which none is frees the flits as it sends them.
    A unicast head claims too, the lowest free channel that it may use, if none of these has a
    credit, and keeps to it. So whoever waits may start as soon as a channel is free and the
    arbiters' turn comes, whatever the moment in which credits come back. A packet without ports is
    discarded.

    Class 1 and 2 have no multicast, nor their channels anything for it.

    Parameters
    ----------
    noc : NocParams
        The network.
    number : int
        Which channel this is.

    Members
    -------
    put : In(valid, entry)
        Well-formed packets only, tail on the last flit; never more than fit. A multicast packet
        has at most ``multicast_flits``.
    rear, front : Out
        Places of the flit that is put and of the one at the front.
    states : In(OutputState(noc)).array(5)
        Channels of each output.
    request : Out(Request(noc))
        What the front packet wants; without ``data``.
    got : In(5)
        Ports that answer ``taken``.
    freed : Out(1)
        One flit's room became free.
    some : Out(1)
        There are flits.
    """

    def __init__(self, noc: NocParams, number: int):
        self.noc, self.number = noc, number
        self.copies = number in noc.class_channels(0) or number == noc.control_vc
        super().__init__({
            "put": In(wiring.Signature({"valid": Out(1), "entry": Out(entry_layout(noc))})),
            "rear": Out(range(noc.vc_depth)),
            "front": Out(range(noc.vc_depth)),
            "states": In(OutputState(noc)).array(len(Port)),
            "request": Out(Request(noc)),
            "got": In(len(Port)),
            "freed": Out(1),
            "some": Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        depth, ports = self.noc.vc_depth, len(Port)
        # The top bit turns at every wrap: equal pointers mean empty, even for a depth of 10.
        pointer = data.StructLayout({"index": range(depth), "wrap": 1})
        end = Signal(pointer)
        # One signal, so that a simulator skips all of it while nothing moves.
        state = Signal(data.StructLayout({
            "read": pointer,                   # next flit
            "active": 1,                       # between head and tail
            "ports": ports,                    # that get the flits
            "channel": self.noc.channels,      # claimed, or in use, there
            "reserved": ports,                 # claimed, maybe used since
        } | ({
            "base": pointer,                   # first flit of the packet
            "final": 1,                        # no port is left after this copy
            "sent": ports,                     # have the flit already
            "done": ports,                     # have their copy
            "waited": range(PATIENCE_CYCLES + 1),
        } if self.copies else {})))

        m.submodules.entries = entries = memory.Memory(
            shape=entry_layout(self.noc), depth=depth, init=[])
        put, get = entries.write_port(), entries.read_port(domain="comb")
        m.d.comb += [
            put.en.eq(self.put.valid), put.addr.eq(end.index), put.data.eq(self.put.entry),
            get.addr.eq(state.read.index),
            self.rear.eq(end.index), self.front.eq(state.read.index),
        ]
        entry = get.data

        with m.If(self.put.valid):
            m.d.sync += self._after(end, end)

        following = Signal(pointer)
        m.d.comb += self.some.eq(state.read.as_value() != end.as_value())
        with m.If(self.some):
            m.d.comb += self._after(following, state.read)
        wanted = self._ask(m, state, entry)
        self._move(m, state, entry, wanted, following)

        return m

    def _after(self, target, source):
        """Makes ``target`` the place after ``source``."""
        last = source.index == self.noc.vc_depth - 1
        return [target.index.eq(Mux(last, 0, source.index + 1)),
                target.wrap.eq(source.wrap ^ last)]

    def _ask(self, m, state, entry):
        """What the front packet asks for; the ports that still lack this flit, or a copy."""
        # Named signals under conditions cost a simulator nothing while the buffer is empty.
        ports = len(Port)
        wanted, enough, sendable, claimable = (Signal(ports, name=name) for name in (
            "wanted", "enough", "sendable", "claimable"))
        request, own = self.request.p, 1 << self.number
        with m.If(self.some):
            m.d.comb += request.tail.eq(entry.tail)
            with m.If(state.active):
                m.d.comb += wanted.eq(state.ports & ~state.sent if self.copies else state.ports)
                m.d.comb += request.ports.eq(wanted & Cat(
                    (out.credited & state.channel).any() for out in self.states))
                m.d.comb += request.allowed.eq(state.channel)
            with m.Elif(~entry.multicast if self.copies else 1):
                m.d.comb += wanted.eq(entry.ports)
                m.d.comb += sendable.eq(entry.ports & Cat(
                    (out.available & entry.allowed).any() for out in self.states))
                m.d.comb += request.ports.eq(sendable)
                m.d.comb += request.allowed.eq(entry.allowed)
                with m.If(state.reserved != 0):
                    m.d.comb += request.ports.eq(state.reserved & Cat(
                        (out.credited & state.channel).any() for out in self.states))
                    m.d.comb += request.allowed.eq(state.channel)
                with m.Elif(sendable == 0):
                    m.d.comb += claimable.eq(entry.ports & Cat(
                        (out.free & entry.allowed).any() for out in self.states))
                    m.d.comb += request.ports.eq(claimable)
                    m.d.comb += request.claim.eq(claimable != 0)
                m.d.comb += request.head.eq(1)
            if self.copies:
                with m.Else():
                    m.d.comb += wanted.eq(entry.ports & ~state.done)
                    m.d.comb += enough.eq(Cat(
                        out.credits[self.number] > entry.need for out in self.states))
                    free = Cat(out.free[self.number] for out in self.states)
                    able = wanted & (state.reserved | free)
                    m.d.comb += sendable.eq(able & enough)
                    m.d.comb += claimable.eq(wanted & ~enough & free)
                    m.d.comb += request.claim.eq(1)
                    with m.If(((able & ~enough) == 0) | (state.waited == PATIENCE_CYCLES)):
                        m.d.comb += request.claim.eq(sendable == 0)
                    with m.Elif(sendable != 0):
                        m.d.sync += state.waited.eq(state.waited + 1)
                    m.d.comb += request.ports.eq(Mux(request.claim, claimable, sendable))
                    m.d.comb += request.allowed.eq(own)
                    m.d.comb += request.head.eq(1)
        return wanted

    def _move(self, m, state, entry, wanted, following):
        """What becomes of the front packet when it gets what it asked for."""
        request, taken, discard = self.request.p, self.request.taken, Signal()
        m.d.comb += discard.eq(self.some & ~state.active & (entry.ports == 0))
        with m.If(taken != 0):
            with m.If(request.claim):
                m.d.sync += state.reserved.eq(state.reserved | self.got)
                m.d.sync += state.channel.eq(taken)
            with m.Else():
                self._send(m, state, entry, wanted, following)
        with m.Elif(discard):
            m.d.comb += self.freed.eq(1)
            m.d.sync += state.read.eq(following)
            if self.copies:
                m.d.sync += state.base.eq(following)

    def _send(self, m, state, entry, wanted, following):
        """A flit goes to the ports that granted it."""
        m.d.sync += state.channel.eq(self.request.taken)
        if not self.copies:
            m.d.comb += self.freed.eq(1)
            m.d.sync += [state.read.eq(following), state.active.eq(~entry.tail),
                         state.ports.eq(wanted), state.reserved.eq(0)]
            return
        # Those that get this copy; none left to get another; all have the flit.
        ports, rest, final, whole = (Signal(bits, name=name) for bits, name in (
            (len(Port), "ports"), (len(Port), "rest"), (1, "final"), (1, "whole")))
        m.d.comb += [rest.eq(wanted & ~self.got),
                     ports.eq(Mux(state.active, state.ports, self.got)),
                     final.eq(Mux(state.active, state.final, rest == 0)),
                     whole.eq(~state.active | (rest == 0))]
        with m.If(whole):
            m.d.comb += self.freed.eq(final)
            m.d.sync += [state.read.eq(following), state.active.eq(~entry.tail),
                         state.ports.eq(ports), state.final.eq(final), state.sent.eq(0)]
            with m.If(final):
                m.d.sync += [state.base.eq(following), state.done.eq(0), state.reserved.eq(0),
                             state.waited.eq(0)]
            with m.Elif(entry.tail):
                m.d.sync += [state.read.eq(state.base), state.done.eq(state.done | ports)]
        with m.Else():
            m.d.sync += state.sent.eq(state.sent | self.got)
