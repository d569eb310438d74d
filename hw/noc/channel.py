"""Buffer of one virtual channel of a router's input, and the packet at its front."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.lib.arbiter import lowest
from hw.params.noc import NocParams
from hw.params.packet import Port

__all__ = ["Channel", "OutputState", "Request", "entry_layout"]


def entry_layout(noc: NocParams) -> data.StructLayout:
    """One buffered flit.

    ``ports`` and ``need`` count only on a head: the route, and how many credits must be left after
    the head's own (the payload flits of a multicast packet, 0 for unicast).
    """
    return data.StructLayout({"data": noc.flit_bits, "tail": 1, "ports": len(Port), "need": 4})


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
            "ports": Out(len(Port)), "claim": Out(1), "vc": Out(ceil_log2(noc.vcs)),
            "head": Out(1), "tail": Out(1), "data": Out(noc.flit_bits), "grant": In(1),
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
    i : In(valid, entry)
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
            "i": In(wiring.Signature({"valid": Out(1), "entry": Out(entry_layout(noc))})),
            "states": In(OutputState(noc)).array(len(Port)),
            "request": Out(Request(noc)),
            "freed": Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        depth = self.noc.vc_depth
        # The top bit turns at every wrap: equal pointers mean empty, even for a depth of 10.
        pointer = data.StructLayout({"index": range(depth), "wrap": 1})
        end, read, base = (Signal(pointer, name=name) for name in ("end", "read", "base"))
        active = Signal()             # in the middle of a copy
        port = Signal(len(Port))      # of that copy
        final = Signal()              # it is the packet's last
        done = Signal(len(Port))      # ports that have their copy
        reserved = Signal(len(Port))  # claimed, copy not started

        m.submodules.flits = flits = memory.Memory(
            shape=entry_layout(self.noc), depth=depth, init=[])
        write_port = flits.write_port()
        read_port = flits.read_port(domain="comb")
        m.d.comb += [
            write_port.en.eq(self.i.valid),
            write_port.addr.eq(end.index),
            write_port.data.eq(self.i.entry),
            read_port.addr.eq(read.index),
        ]
        front = read_port.data

        def step(target, source):
            """Move ``target`` to the place after ``source``."""
            last = source.index == depth - 1
            return [target.index.eq(Mux(last, 0, source.index + 1)),
                    target.wrap.eq(source.wrap ^ last)]

        with m.If(self.i.valid):
            m.d.sync += step(end, end)

        # What can be done for the front packet.
        sendable, claimable = Signal(len(Port)), Signal(len(Port))
        discard = Signal()
        with m.If(read.as_value() != end.as_value()):
            with m.If(active):
                live = Cat(state.credits != 0 for state in self.states)
                m.d.comb += sendable.eq(port & live)
            with m.Else():
                wanted = front.ports & ~done
                enough = Cat(state.credits > front.need for state in self.states)
                owned = Cat(state.owned for state in self.states)
                m.d.comb += sendable.eq(wanted & enough & (reserved | ~owned))
                m.d.comb += claimable.eq(wanted & ~enough & ~owned)
                m.d.comb += discard.eq(front.ports == 0)

        claim = sendable == 0
        choice = Signal(len(Port))
        ends_packet = Signal()
        with m.If((sendable | claimable) != 0):
            m.d.comb += choice.eq(lowest(Mux(claim, claimable, sendable)))
            m.d.comb += ends_packet.eq(
                Mux(active, final, (front.ports & ~done & ~choice) == 0))
        m.d.comb += [
            self.request.ports.eq(choice),
            self.request.claim.eq(claim),
            self.request.head.eq(~active),
            self.request.tail.eq(front.tail),
            self.request.data.eq(front.data),
        ]

        with m.If(self.request.grant & claim):
            m.d.sync += reserved.eq(reserved | choice)
        with m.Elif(self.request.grant):
            m.d.sync += step(read, read)
            m.d.sync += active.eq(~front.tail)
            m.d.sync += port.eq(choice)
            m.d.sync += final.eq(ends_packet)
            with m.If(ends_packet):
                m.d.comb += self.freed.eq(1)
                m.d.sync += step(base, read)
                m.d.sync += done.eq(0)
                m.d.sync += reserved.eq(0)
            with m.Elif(front.tail):
                m.d.sync += read.eq(base)
                m.d.sync += done.eq(done | choice)
                m.d.sync += reserved.eq(reserved & ~choice)
        with m.If(discard):
            m.d.comb += self.freed.eq(1)
            m.d.sync += step(read, read)
            m.d.sync += step(base, read)

        return m
