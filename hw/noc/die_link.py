"""The crossing between two dies: the link's protocol over a longer and perhaps narrower wire."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ouroboros.hw.noc.buffers import Buffers
from ouroboros.hw.noc.credits import Credits
from ouroboros.hw.noc.link import Link, flit_layout
from ouroboros.hw.noc.sending_end import SendingEnd
from ouroboros.hw.params.noc import NocParams

__all__ = ["DieLink"]


class DieLink(wiring.Component):
    """One direction of a link that crosses a border between dies.

    A flit is ``die_latency_cycles`` on the wire and occupies it for ``die_cycles_per_flit``. The
    far end has a buffer of ``die_depth`` flits for each virtual channel, for which the near end
    holds the credits, so that one channel alone fills the wire. Routers see an ordinary link at
    both ends. Channels take turns flit by flit and never wait for each other. At zero load a
    crossing takes ``crossing_cycles`` longer than a link without it.

    Parameters
    ----------
    noc : NocParams
        The network.

    Members
    -------
    i : In(Link(noc))
        From the router of the near die.
    o : Out(Link(noc))
        To the router of the far die.
    """

    def __init__(self, noc: NocParams):
        self.noc = noc
        super().__init__({"i": In(Link(noc)), "o": Out(Link(noc))})

    def elaborate(self, platform):
        m = Module()

        noc, latency = self.noc, self.noc.die_latency_cycles
        m.submodules.near = near = Buffers(noc, noc.vc_depth)
        m.submodules.near_credits = near_credits = Credits(noc.channels, noc.die_depth)
        m.submodules.far = far = Buffers(noc, noc.die_depth)
        m.submodules.end = end = SendingEnd(noc)
        connect(m, end.link, flipped(self.o))
        m.d.comb += [near.credited.eq(near_credits.credited), near_credits.spent.eq(near.freed),
                     far.credited.eq(end.credited), end.sent.eq(far.sent), end.flit.eq(far.flit)]

        busy = Signal(range(noc.die_cycles_per_flit))
        m.d.comb += [near.go.eq(busy == 0), far.go.eq(1)]
        with m.If(near.sent):
            m.d.sync += busy.eq(noc.die_cycles_per_flit - 1)
        with m.Elif(busy != 0):
            m.d.sync += busy.eq(busy - 1)

        # The wire: flits lie in a ring, each in the place that was free when it left.
        m.submodules.wire = wire = memory.Memory(
            shape=flit_layout(noc), depth=latency, init=[])
        put, get = wire.write_port(), wire.read_port(domain="comb")
        place = Signal(range(latency))
        under_way = Signal(latency)
        back = Signal(data.ArrayLayout(noc.channels, latency))
        m.d.sync += place.eq(Mux(place == latency - 1, 0, place + 1))
        m.d.sync += under_way.eq(Cat(near.sent, under_way))
        m.d.sync += back.eq(Cat(far.freed, back.as_value()))
        m.d.comb += [
            put.en.eq(near.sent), put.addr.eq(place), put.data.eq(near.flit),
            get.addr.eq(place),
            far.valid.eq(under_way[-1]), far.put.eq(get.data),
            near_credits.back.eq(back[latency - 1]),
            near.valid.eq(self.i.valid), near.put.eq(self.i.flit),
        ]
        m.d.sync += self.i.credit.eq(near.freed)

        return m
