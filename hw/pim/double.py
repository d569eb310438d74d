"""Two halves of a buffer: one fills while the other empties."""

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["DoubleBuffer"]


class DoubleBuffer(wiring.Component):
    """Counts what goes in and out of the halves; without bubbles if both ends never wait.

    Parameters
    ----------
    beats : int
        Of a half.

    Members
    -------
    put, take : In(1)
        A beat goes in, out; only while ``can_put``, ``can_take``.
    can_put, can_take : Out(1)
        Whether one may.
    put_half, put_index, take_half, take_index : Out(1), Out(range(beats))
        Where the next beat goes, and where the next one is.
    """

    def __init__(self, beats: int):
        self.beats = beats
        super().__init__({
            "put": In(1), "take": In(1), "can_put": Out(1), "can_take": Out(1),
            "put_half": Out(1), "put_index": Out(range(beats)),
            "take_half": Out(1), "take_index": Out(range(beats)),
        })

    def elaborate(self, platform):
        m = Module()

        full = Signal(2)
        for end, strobe in (("put", self.put), ("take", self.take)):
            half = Signal(name=f"{end}_half_now")
            index = Signal(range(self.beats), name=f"{end}_index_now")
            m.d.comb += [getattr(self, f"{end}_half").eq(half),
                         getattr(self, f"{end}_index").eq(index)]
            last = index == self.beats - 1
            with m.If(strobe):
                m.d.sync += index.eq(Mux(last, 0, index + 1))
                with m.If(last):
                    m.d.sync += [half.eq(~half), full.bit_select(half, 1).eq(int(end == "put"))]
        m.d.comb += [self.can_put.eq(~full.bit_select(self.put_half, 1)),
                     self.can_take.eq(full.bit_select(self.take_half, 1))]

        return m
