"""The crossing between two dies: the link's protocol over a longer and perhaps narrower wire."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from hw.lib.arbiter import RoundRobin
from hw.lib.queue import Queue
from hw.noc.link import Link, flit_layout
from hw.params.noc import NocParams

__all__ = ["DieLink"]


class DieLink(wiring.Component):
    """One direction of a link that crosses a border between dies.

    A flit is ``die_latency_cycles`` on the wire and occupies it for ``die_cycles_per_flit``. The
    far end has a buffer of ``die_depth`` flits for each virtual channel, for which the near end
    holds the credits, so that one channel alone fills the wire. Routers see an ordinary link at
    both ends. Channels take turns flit by flit and never wait for each other. At zero load a
    crossing takes ``DieLink.extra_cycles`` longer than a link without it.

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

    @staticmethod
    def extra_cycles(noc: NocParams) -> int:
        """Cycles that a crossing adds to a link: two buffers and the register at the far end."""
        return noc.die_latency_cycles + 3

    def elaborate(self, platform):
        m = Module()

        channels, latency = self.noc.channels, self.noc.die_latency_cycles
        m.submodules.near = near = _Merge(self.noc, depth=self.noc.vc_depth,
                                          credits=self.noc.die_depth,
                                          cycles_per_flit=self.noc.die_cycles_per_flit)
        m.submodules.far = far = _Merge(self.noc, depth=self.noc.die_depth,
                                        credits=self.noc.vc_depth, cycles_per_flit=1)

        # The wire: flits lie in a ring, each in the place that was free when it left.
        m.submodules.wire = wire = memory.Memory(
            shape=flit_layout(self.noc), depth=latency, init=[])
        put, get = wire.write_port(), wire.read_port(domain="comb")
        place = Signal(range(latency))
        under_way = Signal(latency)
        back = Signal(data.ArrayLayout(channels, latency))
        m.d.sync += place.eq(Mux(place == latency - 1, 0, place + 1))
        m.d.sync += under_way.eq(Cat(near.sent, under_way))
        m.d.sync += back.eq(Cat(far.freed, back.as_value()))
        m.d.comb += [
            put.en.eq(near.sent), put.addr.eq(place), put.data.eq(near.flit),
            get.addr.eq(place),
            far.valid.eq(under_way[-1]), far.put.eq(get.data),
            near.back.eq(back[latency - 1]),
            near.valid.eq(self.i.valid), near.put.eq(self.i.flit),
        ]
        m.d.sync += self.i.credit.eq(near.freed)

        m.d.comb += far.back.eq(self.o.credit)
        m.d.sync += self.o.valid.eq(far.sent)
        with m.If(far.sent):
            m.d.sync += self.o.flit.eq(far.flit)

        return m


class _Merge(wiring.Component):
    """Buffers for each channel, and who sends next; one end of the wire.

    Members
    -------
    valid, put : In
        A flit that comes; there is room for it.
    sent, flit : Out
        A flit that goes.
    freed : Out(channels)
        The channel whose room became free.
    back : In(channels)
        Credits that come back.
    """

    def __init__(self, noc: NocParams, *, depth: int, credits: int, cycles_per_flit: int):
        self.noc, self.depth = noc, depth
        self.credits, self.cycles_per_flit = credits, cycles_per_flit
        super().__init__({
            "valid": In(1), "put": In(flit_layout(noc)), "sent": Out(1),
            "flit": Out(flit_layout(noc)), "freed": Out(noc.channels), "back": In(noc.channels)})

    def elaborate(self, platform):
        m = Module()

        m.submodules.turn = turn = RoundRobin(self.noc.channels)
        busy = Signal(range(self.cycles_per_flit))
        m.d.comb += turn.accept.eq(busy == 0)
        m.d.comb += self.sent.eq((turn.grant != 0) & (busy == 0))
        m.d.comb += self.freed.eq(Mux(self.sent, turn.grant, 0))
        with m.If(self.sent):
            m.d.sync += busy.eq(self.cycles_per_flit - 1)
        with m.Elif(busy != 0):
            m.d.sync += busy.eq(busy - 1)

        for vc in range(self.noc.channels):
            m.submodules[f"queue{vc}"] = queue = Queue(flit_layout(self.noc), self.depth)
            credits = Signal(range(self.credits + 1), init=self.credits, name=f"credits{vc}")
            m.d.comb += queue.i.valid.eq(self.valid & (self.put.vc == vc))
            m.d.comb += queue.i.payload.eq(self.put)
            m.d.comb += turn.requests[vc].eq(queue.o.valid & (credits != 0))
            m.d.comb += queue.o.ready.eq(self.freed[vc])
            with m.If(turn.grant[vc]):
                m.d.comb += self.flit.eq(queue.o.payload)
            with m.If(self.freed[vc] & ~self.back[vc]):
                m.d.sync += credits.eq(credits - 1)
            with m.If(self.back[vc] & ~self.freed[vc]):
                m.d.sync += credits.eq(credits + 1)

        return m
