"""Back of the SFU: packs outputs into words, writes them, reports completion."""

from amaranth import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.lib.bus import BufferWrite, done_signature
from ouroboros.hw.params.isa import Type
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.widths import WORD_ADDRESS_BITS
from ouroboros.hw.sfu.beat import c_word_signature, is_wide, last_part, result_signature

__all__ = ["SfuPack"]

LOW_BITS = 6
"""Of a value that is written as two digits."""


class SfuPack(wiring.Component):
    """Writer of the SFU.

    A word is written in the cycle after the beat that fills it or ends the vector; the rest of it
    is 0. Under ``digits`` the word of low digits follows in the next cycle, in which ``result`` may
    not be valid. ``done`` is valid in the cycle of an instruction's last write. At most one of the
    inputs may be valid in a cycle.

    Parameters
    ----------
    machine : Machine
        Sizes.

    Members
    -------
    result : In(result_signature(machine))
        Outputs of the lanes.
    c_word, scalar : In(c_word_signature(machine))
        Words that end an instruction.
    write : Out(BufferWrite(machine))
        D words and C words.
    done : Out(done_signature(machine))
        Completions.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        super().__init__({
            "result": In(result_signature(machine)),
            "c_word": In(c_word_signature(machine)),
            "scalar": In(c_word_signature(machine)),
            "write":  Out(BufferWrite(machine)),
            "done":   Out(done_signature(machine)),
        })

    def elaborate(self, platform):
        m = Module()
        lanes = self.machine.core.lanes
        tag, y = self.result.p.tag, self.result.p.y

        word = self.write.data
        part, part_now, part_last = Signal(2), Signal(2), Signal(2)
        addr, addr_now = Signal(WORD_ADDRESS_BITS), Signal(WORD_ADDRESS_BITS)
        full = Signal()
        m.d.comb += self.write.mask.eq(Const(-1, len(self.write.mask)))
        m.d.sync += [self.write.en.eq(0), self.done.valid.eq(0)]

        with m.If(self.result.valid):
            last_part(m, tag.d_type, part_last)
            m.d.comb += [part_now.eq(Mux(tag.first, 0, part)),
                         addr_now.eq(Mux(tag.first, tag.d_addr, addr)),
                         full.eq(tag.last | (part_now == part_last))]
            m.d.sync += [part.eq(Mux(full, 0, part_now + 1)), addr.eq(addr_now + full),
                         self.write.en.eq(full & ~tag.empty), self.write.addr.eq(addr_now),
                         self.done.valid.eq(tag.last & ~tag.c_write), self.done.p.slot.eq(tag.slot)]
            with m.Switch(tag.d_type):
                for kind, bits, parts in ((Type.I8, 8, 4), (Type.I16, 16, 2)):
                    beat = Cat(y[n][:bits] for n in range(lanes))
                    if is_wide(self.machine) and kind == Type.I8:
                        beat = Cat(Mux(tag.digits, y[n][LOW_BITS:LOW_BITS + bits], y[n][:bits])
                                   for n in range(lanes))
                    with m.Case(kind), m.Switch(part_now):
                        with m.Case(0):
                            m.d.sync += word.eq(beat)
                        for n in range(1, parts):
                            with m.Case(n):
                                m.d.sync += word.word_select(n, bits * lanes).eq(beat)
                with m.Default():
                    m.d.sync += word.eq(y)

        if is_wide(self.machine):
            self._low_digits(m, part_now, full)

        for source in (self.c_word, self.scalar):
            with m.If(source.valid):
                m.d.sync += [
                    self.write.en.eq(1), self.write.addr.eq(source.p.addr),
                    word.eq(Cat(source.p.low, source.p.high)),
                    self.done.valid.eq(1), self.done.p.slot.eq(source.p.slot),
                ]
                if is_wide(self.machine):
                    m.d.sync += word[64:128].eq(source.p.upper)

        return m

    def _low_digits(self, m: Module, part_now: Value, full: Value) -> None:
        """Collect low digits beside the high ones, and write their word a cycle later."""
        lanes, tag, y = self.machine.core.lanes, self.result.p.tag, self.result.p.y
        low = Signal(4 * lanes * LOW_BITS)
        held, ends = Signal(), Signal()
        addr = Signal(WORD_ADDRESS_BITS, name="low_addr")
        slot = Signal.like(tag.slot, name="low_slot")
        m.d.sync += held.eq(0)
        with m.If(self.result.valid & tag.digits):
            m.d.sync += [held.eq(full & ~tag.empty), ends.eq(tag.last & ~tag.c_write),
                         addr.eq(tag.low_addr), slot.eq(tag.slot)]
            beat = Cat(y[n][:LOW_BITS] for n in range(lanes))
            with m.Switch(part_now):
                with m.Case(0):
                    m.d.sync += low.eq(beat)
                for n in range(1, 4):
                    with m.Case(n):
                        m.d.sync += low.word_select(n, LOW_BITS * lanes).eq(beat)
            with m.If(~tag.empty):
                m.d.sync += self.done.valid.eq(0)
        with m.If(held):
            m.d.sync += [self.write.en.eq(1), self.write.addr.eq(addr), self.done.valid.eq(ends),
                         self.done.p.slot.eq(slot)]
            m.d.sync += self.write.data.eq(Cat(
                Cat(low.word_select(n, LOW_BITS), Const(0, 8 - LOW_BITS))
                for n in range(4 * lanes)))
