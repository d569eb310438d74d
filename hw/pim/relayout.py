"""Fine step of the re-layout: whole elements into one chip, or back to the order of the host."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.pim.double import DoubleBuffer

__all__ = ["Relayout"]


class Relayout(wiring.Component):
    """Transposes groups of beats, a beat a clock, ``parts`` clocks late.

    A beat has a symbol for each of ``chips``. An element is ``parts`` symbols, one after the other
    in the host's order; a group is ``parts`` beats, so ``chips`` elements. Afterwards element j of
    a group lies in chip j, part t of it in beat t. With parts of 1 it only delays.

    Parameters
    ----------
    chips, width : int
        Symbols of a beat, and bits of each.
    parts : int
        Symbols of an element: 2 for FP16 on chips of 8 bits, or for INT8 on chips of 4.

    Members
    -------
    back : In(1)
        The other way: from chips to the host's order. Static while beats are inside.
    i, o : stream of ArrayLayout(width, chips)
        Beats.
    """

    def __init__(self, chips: int, width: int, parts: int):
        if parts < 1 or chips < 1 or width < 1:
            raise ValueError(f"chips, width and parts must be at least 1, not {chips}, {width}, "
                             f"{parts}")
        self.chips, self.width, self.parts = chips, width, parts
        beat = data.ArrayLayout(width, chips)
        super().__init__({"back": In(1), "i": In(stream.Signature(beat)),
                          "o": Out(stream.Signature(beat))})

    def elaborate(self, platform):
        m = Module()

        m.submodules.double = double = DoubleBuffer(self.parts)
        m.d.comb += [
            self.i.ready.eq(double.can_put), double.put.eq(self.i.valid & self.i.ready),
            self.o.valid.eq(double.can_take), double.take.eq(self.o.valid & self.o.ready)]
        halves = [[[Signal(self.width, name=f"at_{half}_{beat}_{chip}")
                    for chip in range(self.chips)] for beat in range(self.parts)]
                  for half in range(2)]
        for half in range(2):
            for beat in range(self.parts):
                with m.If(double.put & (double.put_half == half) & (double.put_index == beat)):
                    m.d.sync += [halves[half][beat][chip].eq(self.i.payload[chip])
                                 for chip in range(self.chips)]
            linear = [one for beat in halves[half] for one in beat]
            for beat in range(self.parts):
                with m.If((double.take_half == half) & (double.take_index == beat)):
                    for chip in range(self.chips):
                        place = beat * self.chips + chip
                        there = linear[chip * self.parts + beat]
                        again = halves[half][place % self.parts][place // self.parts]
                        m.d.comb += self.o.payload[chip].eq(Mux(self.back, again, there))

        return m
