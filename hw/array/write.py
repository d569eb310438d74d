"""Row writer of the array unit: weights from the host, K columns and V rows of appends."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2, exact_log2

from ouroboros.hw.lib.bus import BufferRead, ConfigBus
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import Unit
from ouroboros.hw.params.widths import UNIT_BITS, WORD_ADDRESS_BITS

__all__ = ["RowWriter", "append_job_layout"]


def append_job_layout(machine: Machine) -> data.StructLayout:
    """K and V of one token: where they are in the buffer, and where they go.

    K byte d goes to row ``k_row + d``, column ``token``; V to row ``v_row`` from column
    ``v_chunk * lanes`` on. ``head_dim`` bytes each, ``chunks`` times ``lanes``.
    """
    rows, chunks = machine.cim.rows, machine.cim.outputs // machine.core.lanes
    macro = max(1, ceil_log2(machine.core.macros))
    return data.StructLayout({
        "k_addr":  WORD_ADDRESS_BITS,
        "v_addr":  WORD_ADDRESS_BITS,
        "k_macro": macro,
        "v_macro": macro,
        "k_row":   range(rows),
        "v_row":   range(rows),
        "token":   range(machine.cim.outputs),
        "v_chunk": range(chunks + 1),
        "chunks":  range(chunks + 1),
    })


class RowWriter(wiring.Component):
    """Drives the write port of all macros.

    A weight row from the configuration bus is written in the cycle after; no append must be at
    work then. An append of d bytes accepted in cycle t writes K in n = ceil(d /
    ``k_write_rows_per_cycle``) cycles from cycle t + 4 on, then V's bytes at once: ``done`` is high
    with this last write, in cycle ``t + n + ceil(d / word bytes) + 3``. Rows of K past d, up to
    whole ``k_write_rows_per_cycle``, get bytes that no operand ever meets.

    Members
    -------
    config : In(ConfigBus)
        ``Unit.WEIGHT + m``.
    job : In(stream(append_job_layout(machine)))
        Appends.
    read : Out(BufferRead)
        Buffer.
    en, row, column, mask, data : Out
        Write port of the macros; ``en`` has a bit for each.
    byte_writes, row_write : Out, Out(1)
        K bytes that are being written; a V row is.
    done : Out(1)
        High for a cycle at the end of an append.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        outputs, together = machine.cim.outputs, machine.cim.k_write_rows_per_cycle
        super().__init__({
            "config":     In(ConfigBus(machine)),
            "job":        In(stream.Signature(append_job_layout(machine))),
            "read":       Out(BufferRead(machine)),
            "en":         Out(machine.core.macros),
            "row":        Out(range(machine.cim.rows)),
            "column":     Out(1),
            "mask":       Out(outputs),
            "data":       Out(data.ArrayLayout(8, outputs)),
            "byte_writes": Out(range(together + 1)),
            "row_write":  Out(1),
            "done":       Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        cim, lanes = self.machine.cim, self.machine.core.lanes
        outputs, together = cim.outputs, cim.k_write_rows_per_cycle
        word_chunks, word_bytes = 4, 4 * lanes
        job = Signal(append_job_layout(self.machine))
        word, read = Signal(8 * word_bytes), self.read
        part = Signal(range(word_bytes // together))
        bytes_left = Signal(range(outputs + 1))

        m.d.sync += [self.en.eq(0), self.column.eq(0), self.byte_writes.eq(0),
                     self.row_write.eq(0)]
        m.d.comb += self.done.eq(self.row_write)

        # Bytes in the order of outputs; of a column, the same ``together`` bytes over and over. The
        # macros' wires differ from row to row (``CimParams.write_byte``), likewise for a column.
        line, turn = Signal.like(self.data.as_value()), Signal(range(together))
        m.d.comb += self.data.as_value().eq(_exchanged(m, line, turn))

        config = self.config
        macro = Signal(UNIT_BITS)
        m.d.comb += macro.eq(config.unit - Unit.WEIGHT)
        with m.If(config.valid & (config.unit >= Unit.WEIGHT)):
            m.d.sync += [self.en.eq(1 << macro), self.row.eq(config.address),
                         turn.eq(config.address), self.mask.eq(-1),
                         line.eq(config.data[:8 * outputs])]

        with m.FSM():
            with m.State("Accept"):
                m.d.comb += self.job.ready.eq(1)
                m.d.sync += job.eq(self.job.p)
                with m.If(self.job.valid):
                    m.next = "ReadK"
            with m.State("ReadK"):
                m.d.comb += [read.en.eq(1), read.addr.eq(job.k_addr)]
                m.d.sync += [job.k_addr.eq(job.k_addr + 1),
                             bytes_left.eq(job.chunks << exact_log2(lanes))]
                m.next = "TakeK"
            with m.State("TakeK"):
                # The word after is fetched while the bytes of this one are written.
                m.d.comb += [read.en.eq(1), read.addr.eq(job.k_addr)]
                m.d.sync += [word.eq(read.data), part.eq(0), turn.eq(job.token),
                             job.k_addr.eq(job.k_addr + 1)]
                m.next = "WriteK"
            with m.State("WriteK"):
                last = bytes_left <= together
                m.d.sync += [
                    self.en.eq(1 << job.k_macro), self.row.eq(job.k_row), self.column.eq(1),
                    self.mask.eq(1 << job.token),
                    self.byte_writes.eq(Mux(last, bytes_left, together)),
                    line.eq(word[:8 * together].replicate(outputs // together)),
                    word.eq(word >> 8 * together), part.eq(part + 1),
                    job.k_row.eq(job.k_row + together), bytes_left.eq(bytes_left - together),
                ]
                with m.If(part == word_bytes // together - 1):
                    m.d.comb += [read.en.eq(1), read.addr.eq(job.k_addr)]
                    m.d.sync += [word.eq(read.data), job.k_addr.eq(job.k_addr + 1)]
                with m.If(last):
                    m.d.comb += [read.en.eq(1), read.addr.eq(job.v_addr)]
                    m.d.sync += job.v_addr.eq(job.v_addr + 1)
                    m.next = "PlaceV"
            with m.State("PlaceV"):
                # Word after word comes to its place in the row register.
                m.d.comb += [read.en.eq(1), read.addr.eq(job.v_addr)]
                end = Signal.like(job.v_chunk)
                more = Signal()
                m.d.comb += [more.eq(job.chunks > word_chunks),
                             end.eq(job.v_chunk + Mux(more, word_chunks, job.chunks))]
                turned = _turned(read.data, job.v_chunk, 8 * lanes)
                for chunk in range(outputs // lanes):
                    place = line[8 * lanes * chunk:8 * lanes * (chunk + 1)]
                    with m.If((chunk >= job.v_chunk) & (chunk < end)):
                        m.d.sync += [place.eq(turned.word_select(chunk % word_chunks, 8 * lanes)),
                                     self.mask.word_select(chunk, lanes).eq(-1)]
                    # What the last K bytes left there is still being written in the first cycle.
                    with m.Elif(self.column):
                        m.d.sync += self.mask.word_select(chunk, lanes).eq(0)
                m.d.sync += [job.v_addr.eq(job.v_addr + 1), job.v_chunk.eq(end),
                             job.chunks.eq(job.chunks - word_chunks)]
                with m.If(~more):
                    m.d.sync += [self.en.eq(1 << job.v_macro), self.row.eq(job.v_row),
                                 self.row_write.eq(1)]
                    m.next = "Accept"

        return m


def _exchanged(m, line, turn):
    """Byte n of ``line`` at place n ^ ``turn``."""
    for bit, turned in enumerate(turn):
        exchanged = Signal.like(line, name=f"exchanged_{bit}")
        m.d.comb += exchanged.eq(Mux(turned, Cat(
            line.word_select(n ^ 1 << bit, 8) for n in range(len(line) // 8)), line))
        line = exchanged
    return line


def _turned(word, chunk, chunk_bits):
    """``word`` rotated up so that its first chunk stands at ``chunk`` modulo chunks of a word."""
    chunks = len(word) // chunk_bits
    parts = [word[n * chunk_bits:(n + 1) * chunk_bits] for n in range(chunks)]
    turned = Cat(parts)
    for n in range(1, chunks):
        turned = Mux(chunk[:exact_log2(chunks)] == n, Cat(parts[-n:], parts[:-n]), turned)
    return turned
