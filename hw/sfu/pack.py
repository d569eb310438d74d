"""Back of the SFU: packs outputs into words, writes them, reports completion."""

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.lib.bus import BufferWrite, done_signature
from ouroboros.hw.params.isa import Type
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.widths import WORD_ADDRESS_BITS
from ouroboros.hw.sfu.beat import c_word_signature, last_part, result_signature

__all__ = ["SfuPack"]


class SfuPack(wiring.Component):
    """Writer of the SFU.

    A word is written in the cycle after the beat that fills it or ends the vector; the rest of it
    is 0. ``done`` is valid in the cycle of an instruction's last write. At most one of the inputs
    may be valid in a cycle.

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
                    with m.Case(kind), m.Switch(part_now):
                        with m.Case(0):
                            m.d.sync += word.eq(beat)
                        for n in range(1, parts):
                            with m.Case(n):
                                m.d.sync += word.word_select(n, bits * lanes).eq(beat)
                with m.Default():
                    m.d.sync += word.eq(y)

        for source in (self.c_word, self.scalar):
            with m.If(source.valid):
                m.d.sync += [
                    self.write.en.eq(1), self.write.addr.eq(source.p.addr),
                    word.eq(Cat(source.p.low, source.p.high)),
                    self.done.valid.eq(1), self.done.p.slot.eq(source.p.slot),
                ]

        return m
