"""Coarse step of the re-layout: the order in which vectors of heads are read for the chips."""

from amaranth import Const, Module, Mux, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ouroboros.hw.params.pim import PimParams
from ouroboros.hw.pim.double import DoubleBuffer

__all__ = ["CoarseOrder"]


class CoarseOrder(wiring.Component):
    """Vectors of ``slots`` heads, one after the other, to beats in which every chip has its own.

    In beat i chip c gets dimension ``head_chips * i + c % head_chips`` of head
    ``c // head_chips``. One set of vectors fills while another is read, a beat a clock.

    Parameters
    ----------
    pim : PimParams
        The rank.

    Members
    -------
    back : In(1)
        The other way: from chips to whole vectors. Static while beats are inside.
    i, o : stream of ArrayLayout(8, chips)
        Beats of bytes.
    """

    def __init__(self, pim: PimParams):
        self.pim = pim
        beat = data.ArrayLayout(8, pim.chips)
        super().__init__({"back": In(1), "i": In(stream.Signature(beat)),
                          "o": Out(stream.Signature(beat))})

    def elaborate(self, platform):
        m = Module()

        slots, word = self.pim.slots, 8 * self.pim.head_chips
        beats = self.pim.head_dim // self.pim.head_chips
        rows = beats // slots
        m.submodules.double = double = DoubleBuffer(beats)
        m.d.comb += [
            self.i.ready.eq(double.can_put), double.put.eq(self.i.valid & self.i.ready),
            self.o.valid.eq(double.can_take), double.take.eq(self.o.valid & self.o.ready)]

        def at(index: Value, half: Value) -> tuple[Value, Value, Value, Value]:
            """Row and slot of a beat of a vector; row and word of a beat of the chips."""
            low, depth = ceil_log2(slots), ceil_log2(rows)
            return (half * rows + index[:depth], index[depth:] if low else Const(0),
                    half * rows + index[low:], index[:low] if low else Const(0))

        put_row, put_slot, put_chip_row, put_word = at(double.put_index, double.put_half)
        take_row, take_slot, take_chip_row, take_word = at(double.take_index, double.take_half)
        beat_in, beat_out = self.i.payload.as_value(), self.o.payload.as_value()
        for slot in range(slots):
            m.submodules[f"slot_{slot}"] = memory = Memory(
                shape=word * slots, depth=2 * rows, init=[])
            write, read = memory.write_port(granularity=word), memory.read_port(domain="comb")
            with m.If(self.back):
                m.d.comb += [
                    write.addr.eq(put_chip_row),
                    write.data.eq(beat_in.word_select(slot, word).replicate(slots)),
                    write.en.eq(double.put << put_word), read.addr.eq(take_row)]
                with m.If(take_slot == slot):
                    m.d.comb += beat_out.eq(read.data)
            with m.Else():
                m.d.comb += [
                    write.addr.eq(put_row), write.data.eq(beat_in),
                    write.en.eq(Mux(double.put & (put_slot == slot), (1 << slots) - 1, 0)),
                    read.addr.eq(take_chip_row),
                    beat_out.word_select(slot, word).eq(read.data.word_select(take_word, word))]

        return m
