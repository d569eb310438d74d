"""Buffer of one virtual channel of a router's input, and the packet at its front."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.lib.arbiter import lowest
from hw.params.noc import NocParams
from hw.params.packet import Port

__all__ = ["Channel", "OutputState", "Request", "entry_layout"]


def entry_layout() -> data.StructLayout:
    """What the buffer keeps about a flit besides its data.

    ``ports`` and ``need`` count only on a head: the route, and how many credits must be left after
    the head's own (the payload flits of a multicast packet, 0 for unicast).
    """
    return data.StructLayout({"tail": 1, "ports": len(Port), "need": 4})


class OutputState(wiring.Signature):
    """What an output shows to the inputs about one virtual channel; ``Out`` at the output."""

    def __init__(self, noc: NocParams):
        super().__init__({"owned": Out(1),
                          "credits": Out(range(noc.vc_depth + 1), init=noc.vc_depth)})


class Request(wiring.Signature):
    """Wish of an input for this cycle; ``Out`` at the input.

    ``ports`` has the one port wanted, or is 0. With ``claim`` the port's virtual channel is wanted
    for the packet, but no flit moves. ``grant`` answers in the same cycle.
    """

    def __init__(self, noc: NocParams):
        super().__init__({
            "p": Out(data.StructLayout({"ports": len(Port), "claim": 1, "head": 1, "tail": 1,
                                        "vc": ceil_log2(noc.channels)})),
            "data": Out(noc.flit_bits),
            "grant": In(1),
        })


class Channel(wiring.Component):
    """Holds the flits of one virtual channel and asks for output ports for the front packet.

    A packet goes to its ports one after the other, to whichever can take it: a copy starts only
    when the port's channel is free and has the credits that the packet needs, and rewinds the
    buffer at its end; the last copy frees the flits as it sends them. A packet that finds the
    channel free but credits lacking claims it, so that packets that need one credit cannot starve
    those that need many; meanwhile it may go to other ports. A packet without ports is discarded.

    Parameters
    ----------
    noc : NocParams
        The network.

    Members
    -------
    i : In(valid, data, entry)
        Well-formed packets only: at most 9 flits, tail on the last; never more than fit.
    states : In(OutputState(noc)).array(5)
        This virtual channel at each output.
    request : Out(Request(noc))
        What the front packet wants; ``vc`` is left at 0.
    freed : Out(1)
        One flit's room became free.
    """

    def __init__(self, noc: NocParams):
        self.noc = noc
        super().__init__({
            "i": In(wiring.Signature({"valid": Out(1), "data": Out(noc.flit_bits),
                                      "entry": Out(entry_layout())})),
            "states": In(OutputState(noc)).array(len(Port)),
            "request": Out(Request(noc)),
            "freed": Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        ports = len(Port)
        depth = self.noc.vc_depth
        # The top bit turns at every wrap: equal pointers mean empty, even for a depth of 10.
        pointer = data.StructLayout({"index": range(depth), "wrap": 1})
        end = Signal(pointer)
        # One signal, so that a simulator skips all of it while nothing moves.
        state = Signal(data.StructLayout({
            "read": pointer, "base": pointer,  # next flit, first flit of the packet
            "active": 1,                       # in the middle of a copy
            "port": ports,                     # of that copy
            "final": 1,                        # it is the packet's last
            "done": ports,                     # ports that have their copy
            "reserved": ports,                 # claimed, copy not started
        }))

        m.submodules.flits = flits = memory.Memory(shape=self.noc.flit_bits, depth=depth, init=[])
        m.submodules.entries = entries = memory.Memory(shape=entry_layout(), depth=depth, init=[])
        put_flit, put_entry = flits.write_port(), entries.write_port()
        get_flit, get_entry = flits.read_port(domain="comb"), entries.read_port(domain="comb")
        m.d.comb += [
            put_flit.en.eq(self.i.valid), put_flit.addr.eq(end.index),
            put_flit.data.eq(self.i.data),
            put_entry.en.eq(self.i.valid), put_entry.addr.eq(end.index),
            put_entry.data.eq(self.i.entry),
            get_flit.addr.eq(state.read.index), get_entry.addr.eq(state.read.index),
        ]
        front = get_entry.data

        def after(target, source):
            """Make ``target`` the place after ``source``."""
            last = source.index == depth - 1
            return [target.index.eq(Mux(last, 0, source.index + 1)),
                    target.wrap.eq(source.wrap ^ last)]

        with m.If(self.i.valid):
            m.d.sync += after(end, end)

        # What can be done for the front packet. Named signals under conditions cost a simulator
        # nothing while the buffer is empty.
        some = Signal()
        enough, owned, wanted = Signal(ports), Signal(ports), Signal(ports)
        sendable, claimable, choice = Signal(ports), Signal(ports), Signal(ports)
        ends_packet, discard = Signal(), Signal()
        following = Signal(pointer)
        request = self.request.p
        m.d.comb += some.eq(state.read.as_value() != end.as_value())
        with m.If(some):
            m.d.comb += after(following, state.read)
            with m.If(state.active):
                m.d.comb += enough.eq(Cat(out.credits != 0 for out in self.states))
                m.d.comb += sendable.eq(state.port & enough)
                m.d.comb += ends_packet.eq(state.final)
            with m.Else():
                m.d.comb += enough.eq(Cat(out.credits > front.need for out in self.states))
                m.d.comb += owned.eq(Cat(out.owned for out in self.states))
                m.d.comb += wanted.eq(front.ports & ~state.done)
                m.d.comb += sendable.eq(wanted & enough & (state.reserved | ~owned))
                m.d.comb += claimable.eq(wanted & ~enough & ~owned)
                m.d.comb += ends_packet.eq((wanted & ~choice) == 0)
                m.d.comb += discard.eq(front.ports == 0)
            with m.If(sendable != 0):
                m.d.comb += choice.eq(lowest(sendable))
            with m.Else():
                m.d.comb += choice.eq(lowest(claimable))
                m.d.comb += request.claim.eq(1)
            m.d.comb += request.ports.eq(choice)
            m.d.comb += request.head.eq(~state.active)
            m.d.comb += request.tail.eq(front.tail)
        m.d.comb += self.request.data.eq(get_flit.data)

        with m.If(self.request.grant):
            with m.If(request.claim):
                m.d.sync += state.reserved.eq(state.reserved | choice)
            with m.Else():
                m.d.comb += self.freed.eq(ends_packet)
                m.d.sync += state.read.eq(following)
                m.d.sync += state.active.eq(~front.tail)
                m.d.sync += state.port.eq(choice)
                m.d.sync += state.final.eq(ends_packet)
                with m.If(ends_packet):
                    m.d.sync += state.base.eq(following)
                    m.d.sync += state.done.eq(0)
                    m.d.sync += state.reserved.eq(0)
                with m.Elif(front.tail):
                    m.d.sync += state.read.eq(state.base)
                    m.d.sync += state.done.eq(state.done | choice)
                    m.d.sync += state.reserved.eq(state.reserved & ~choice)
        with m.Elif(discard):
            m.d.comb += self.freed.eq(1)
            m.d.sync += state.read.eq(following)
            m.d.sync += state.base.eq(following)

        return m
