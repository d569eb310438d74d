"""Beats of the host to bursts, and bursts to beats."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.params.pim import BURST_BYTES
from ouroboros.hw.pim.bank import WORD

__all__ = ["BeatsToBursts", "BurstsToBeats"]


class BeatsToBursts(wiring.Component):
    """Eight beats of a byte a chip are a burst of 8 bytes a chip, the first beat lowest.

    Parameters
    ----------
    chips : int
        Chips on the data bus.

    Members
    -------
    i : In(stream of ArrayLayout(8, chips))
        Beats, one a clock.
    o : Out(stream of ArrayLayout(64, chips))
        Bursts.
    """

    def __init__(self, chips: int):
        self.chips = chips
        super().__init__({"i": In(stream.Signature(data.ArrayLayout(8, chips))),
                          "o": Out(stream.Signature(data.ArrayLayout(WORD, chips)))})

    def elaborate(self, platform):
        m = Module()

        count = Signal(range(BURST_BYTES + 1))
        full = count == BURST_BYTES
        burst = Signal(data.ArrayLayout(WORD, self.chips))
        m.d.comb += [self.o.valid.eq(full), self.o.payload.eq(burst),
                     self.i.ready.eq(~full | self.o.ready)]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += count.eq(Mux(full, 1, count + 1))
            for chip in range(self.chips):
                m.d.sync += burst[chip].word_select(count[:3], 8).eq(self.i.payload[chip])
        with m.Elif(full & self.o.ready):
            m.d.sync += count.eq(0)

        return m


class BurstsToBeats(wiring.Component):
    """The other way.

    Parameters
    ----------
    chips : int
        Chips on the data bus.

    Members
    -------
    i : In(stream of ArrayLayout(64, chips))
        Bursts.
    o : Out(stream of ArrayLayout(8, chips))
        Beats.
    """

    def __init__(self, chips: int):
        self.chips = chips
        super().__init__({"i": In(stream.Signature(data.ArrayLayout(WORD, chips))),
                          "o": Out(stream.Signature(data.ArrayLayout(8, chips)))})

    def elaborate(self, platform):
        m = Module()

        count = Signal(range(BURST_BYTES))
        last = count == BURST_BYTES - 1
        m.d.comb += [self.o.valid.eq(self.i.valid), self.i.ready.eq(self.o.ready & last)]
        m.d.comb += [self.o.payload[chip].eq(self.i.payload[chip].word_select(count, 8))
                     for chip in range(self.chips)]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += count.eq(Mux(last, 0, count + 1))

        return m
