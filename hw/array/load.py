"""Operand loader of the array unit: buffer words to operand banks."""

from amaranth import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from ouroboros.hw.cim.sequencer import operand_words
from ouroboros.hw.lib.bus import BufferRead
from ouroboros.hw.lib.struct import struct
from ouroboros.hw.params.isa import LOAD
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.widths import VECTOR_BITS, WORD_ADDRESS_BITS

__all__ = ["OperandLoader", "load_job_layout"]


def load_job_layout(machine: Machine) -> data.StructLayout:
    """``length`` bytes from buffer word ``addr`` to operand words ``index ..`` of ``macros``.

    With ``tiles`` of 2 or more that is the last of so many row tiles, the others having ``tile``
    whole words each: one for each shift of ``macros``, from word ``addr`` on. Else it is alone.
    Bytes past ``length``, and with ``masked`` those whose bit of ``keep`` is 0, become invalid.
    ``clear`` makes the whole bank of every macro invalid before.
    """
    return data.StructLayout({
        "addr":   WORD_ADDRESS_BITS,
        "index":  range(operand_words(machine)),
        "length": VECTOR_BITS,
        "macros": machine.core.macros,
        "tiles":  struct(LOAD)["tiles"].shape,
        "tile":   struct(LOAD)["tile"].shape,
        "bank":   1,
        "clear":  1,
        "masked": 1,
        "keep":   machine.cim.outputs,
    })


class OperandLoader(wiring.Component):
    """Copies operands, one word per cycle, job after job without a pause.

    Row tiles are loaded side by side, the first word of each, then the second, so that macros can
    begin with what is there: word n of a tile is a **row** of words, complete with the last tile's.

    A job of w words accepted in cycle t has ``done`` in cycle ``t + w + 2``: commands accepted
    later see it. A row complete after its first w words counts in ``rows`` from that cycle on,
    likewise. A job of no bytes takes one word, all invalid; row tiles take ``tiles * tile`` words.

    Members
    -------
    job : In(stream(load_job_layout(machine)))
        What to load.
    read : Out(BufferRead)
        Buffer.
    en, clear, bank, index, data, mask : Out
        Operand port of the macros; ``en`` has a bit for each.
    rows : Out
        Rows of the latest job, if it began at operand word 0, else 0.
    done : Out(1)
        High for a cycle at the end of a job.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        super().__init__({
            "job":   In(stream.Signature(load_job_layout(machine))),
            "read":  Out(BufferRead(machine)),
            "en":    Out(machine.core.macros),
            "clear": Out(1),
            "bank":  Out(1),
            "index": Out(range(operand_words(machine))),
            "data":  Out(machine.core.word_bits),
            "mask":  Out(machine.core.word_bits // 8),
            "rows":  Out(range(operand_words(machine) + 1)),
            "done":  Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        word_bytes = self.machine.core.word_bits // 8
        busy, job = Signal(), Signal(load_job_layout(self.machine))
        tiled, row_last, last = Signal(), Signal(), Signal()
        # Of the row's first word: what ``job`` has of the present one.
        first = Signal(data.StructLayout({name: job[name].shape() for name in (
            "addr", "macros")}))
        # Bytes of the last tile from this row on; it may lack words.
        left = Signal(signed(max(len(job.length), len(job.tile) + exact_log2(word_bytes)) + 2))
        tile, rows_left = Signal.like(job.tiles), Signal.like(job.tile)
        # ``odd`` tells a job from the one before, whose last word may still be under way.
        counted, odd = Signal(), Signal()
        # The word being read, to go to the operand port in the next cycle.
        fetched = Signal(data.StructLayout({
            "valid": 1, "last": 1, "row": 1, "odd": 1, "clear": 1, "bank": 1,
            "index": job.index.shape(), "macros": len(self.en), "mask": word_bytes}))

        m.d.comb += [
            tiled.eq(job.tiles > 1),
            row_last.eq(~tiled | (tile == job.tiles - 1)),
            last.eq(Mux(tiled, row_last & (rows_left == 1), left <= word_bytes)),
            self.job.ready.eq(~busy | last),
            self.read.en.eq(busy), self.read.addr.eq(job.addr),
        ]

        m.d.sync += fetched.valid.eq(busy)
        with m.If(busy):
            m.d.sync += [
                fetched.last.eq(last), fetched.row.eq(row_last & counted), fetched.odd.eq(odd),
                fetched.clear.eq(job.clear), fetched.bank.eq(job.bank),
                fetched.index.eq(job.index), fetched.macros.eq(job.macros),
                fetched.mask.eq(Cat(((n < left) | ~row_last) & (~job.masked | keep)
                                    for n, keep in enumerate(_first(job.keep, word_bytes)))),
                job.clear.eq(0), job.keep.eq(job.keep >> word_bytes),
            ]
            with m.If(row_last):
                m.d.sync += [
                    tile.eq(0), rows_left.eq(rows_left - 1), job.index.eq(job.index + 1),
                    job.addr.eq(first.addr + 1), first.addr.eq(first.addr + 1),
                    left.eq(left - word_bytes), job.macros.eq(first.macros)]
            with m.Else():
                m.d.sync += [
                    tile.eq(tile + 1), job.addr.eq(job.addr + job.tile),
                    job.macros.eq(job.macros << 1)]
            with m.If(last):
                m.d.sync += busy.eq(0)
        m.d.sync += [self.en.eq(0), self.clear.eq(0), self.done.eq(0)]
        with m.If(fetched.valid):
            m.d.sync += [
                self.en.eq(fetched.macros), self.clear.eq(fetched.clear),
                self.bank.eq(fetched.bank), self.index.eq(fetched.index),
                self.data.eq(self.read.data), self.mask.eq(fetched.mask),
                self.done.eq(fetched.last),
                self.rows.eq(self.rows + (fetched.row & (fetched.odd == odd))),
            ]

        with m.If(self.job.valid & self.job.ready):
            new = self.job.p
            m.d.sync += [
                busy.eq(1), job.eq(new), first.addr.eq(new.addr), first.macros.eq(new.macros),
                left.eq(new.length), tile.eq(0), rows_left.eq(new.tile),
                counted.eq(new.index == 0), odd.eq(~odd), self.rows.eq(0)]

        return m


def _first(bits, count):
    """The low ``count`` bits, with ones past the end."""
    return [bits[n] if n < len(bits) else 1 for n in range(count)]
