"""Operand loader of the array unit: buffer words to operand banks."""

from amaranth import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.cim.sequencer import operand_words
from ouroboros.hw.lib.bus import BufferRead
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.widths import VECTOR_BITS, WORD_ADDRESS_BITS

__all__ = ["OperandLoader", "load_job_layout"]


def load_job_layout(machine: Machine) -> data.StructLayout:
    """``length`` bytes from buffer word ``addr`` to operand words ``index ..`` of ``macros``.

    Bytes past ``length``, and with ``masked`` those whose bit of ``keep`` is 0, become invalid.
    ``clear`` makes the whole bank of every macro invalid before.
    """
    return data.StructLayout({
        "addr":   WORD_ADDRESS_BITS,
        "index":  range(operand_words(machine)),
        "length": VECTOR_BITS,
        "macros": machine.core.macros,
        "bank":   1,
        "clear":  1,
        "masked": 1,
        "keep":   machine.cim.outputs,
    })


class OperandLoader(wiring.Component):
    """Copies operands, one word per cycle, job after job without a pause.

    A job of w words accepted in cycle t has ``done`` in cycle ``t + w + 2``: commands accepted
    later see it. A job of no bytes takes one word, all invalid.

    Members
    -------
    job : In(stream(load_job_layout(machine)))
        What to load.
    read : Out(BufferRead)
        Buffer.
    en, clear, bank, index, data, mask : Out
        Operand port of the macros; ``en`` has a bit for each.
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
            "done":  Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        word_bytes = self.machine.core.word_bits // 8
        busy, job = Signal(), Signal(load_job_layout(self.machine))
        last = Signal()
        # The word being read, to go to the operand port in the next cycle.
        fetched = Signal(data.StructLayout({
            "valid": 1, "last": 1, "clear": 1, "bank": 1, "index": job.index.shape(),
            "macros": len(self.en), "mask": word_bytes}))

        m.d.comb += [
            last.eq(job.length <= word_bytes),
            self.job.ready.eq(~busy | last),
            self.read.en.eq(busy), self.read.addr.eq(job.addr),
        ]

        m.d.sync += fetched.valid.eq(busy)
        with m.If(busy):
            m.d.sync += [
                fetched.last.eq(last), fetched.clear.eq(job.clear), fetched.bank.eq(job.bank),
                fetched.index.eq(job.index), fetched.macros.eq(job.macros),
                fetched.mask.eq(Cat((n < job.length) & (~job.masked | keep)
                                    for n, keep in enumerate(_first(job.keep, word_bytes)))),
                job.addr.eq(job.addr + 1), job.index.eq(job.index + 1), job.clear.eq(0),
                job.length.eq(job.length - word_bytes), job.keep.eq(job.keep >> word_bytes),
            ]
            with m.If(last):
                m.d.sync += busy.eq(0)
        with m.If(self.job.valid & self.job.ready):
            m.d.sync += [busy.eq(1), job.eq(self.job.p)]

        m.d.sync += [self.en.eq(0), self.clear.eq(0), self.done.eq(0)]
        with m.If(fetched.valid):
            m.d.sync += [
                self.en.eq(fetched.macros), self.clear.eq(fetched.clear),
                self.bank.eq(fetched.bank), self.index.eq(fetched.index),
                self.data.eq(self.read.data), self.mask.eq(fetched.mask),
                self.done.eq(fetched.last),
            ]

        return m


def _first(bits, count):
    """The low ``count`` bits, with ones past the end."""
    return [bits[n] if n < len(bits) else 1 for n in range(count)]
