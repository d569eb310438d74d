"""Front of the SFU: takes instructions, reads operands, unpacks them into beats."""

from amaranth import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ouroboros.hw.lib.bus import (
    ADDRESS_BITS,
    BufferRead,
    ConfigBus,
    drain_signature,
    issue_signature,
)
from ouroboros.hw.lib.struct import struct
from ouroboros.hw.params.isa import SFU, BMode, Fn, MMode, Track, Type
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import Unit
from ouroboros.hw.sfu.beat import beat_signature, last_part, scalar_signature, unpack

__all__ = ["SfuFetch"]


class SfuFetch(wiring.Component):
    """Operand fetch of the SFU.

    One instruction at a time is taken from ``issue`` and becomes the beats of its vector, or one
    transfer on ``scalar``. A beat leaves two cycles after it was fetched; one is fetched per cycle,
    unless it waits for ``drain``. Word C is read one cycle before the first beat.

    Parameters
    ----------
    machine : Machine
        Sizes.

    Members
    -------
    issue, drain, read_a, read_b, config, release, elements
        As of ``Sfu``.
    beat : Out(beat_signature(machine))
        Operands of the vector functions.
    scalar : Out(scalar_signature(machine))
        Operands of RSQRT and RECIP.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        super().__init__({
            "issue":    In(issue_signature(machine)),
            "drain":    In(drain_signature(machine)),
            "read_a":   Out(BufferRead(machine)),
            "read_b":   Out(BufferRead(machine)),
            "config":   In(ConfigBus(machine)),
            "release":  Out(1),
            "elements": Out(range(machine.core.lanes + 1)),
            "beat":     Out(beat_signature(machine)),
            "scalar":   Out(scalar_signature(machine)),
        })

    def elaborate(self, platform):
        m = Module()
        lanes = self.machine.core.lanes

        issued = data.View(struct(SFU), self.issue.p.instruction)
        ins = Signal(struct(SFU))
        slot = Signal.like(self.issue.p.slot)
        length = Mux(issued.tokens, self.issue.p.tokens[:14], issued.length)
        left = Signal(14)
        empty = Signal()
        first = Signal()
        last = Signal()
        index = Signal(20)
        a_addr, b_addr, b_start, c_addr, d_addr, param = (
            Signal(ADDRESS_BITS, name=name)
            for name in ("a_addr", "b_addr", "b_start", "c_addr", "d_addr", "param"))
        a_part, a_last, b_part, b_last = (
            Signal(2, name=name) for name in ("a_part", "a_last", "b_part", "b_last"))
        b_beat = Signal(6)
        b_on, b_type = Signal(), Signal(2)
        c_read, c_write, is_scalar = Signal(), Signal(), Signal()
        reading_c, running, fetch = Signal(), Signal(), Signal()

        # What follows from the instruction alone is found once, when it is taken.
        with m.If(self.issue.valid & self.issue.ready):
            m.d.sync += [
                ins.eq(issued), slot.eq(self.issue.p.slot), left.eq(length),
                empty.eq(length == 0), first.eq(1), b_beat.eq(0), a_part.eq(0), b_part.eq(0),
                a_addr.eq(self.issue.p.base + issued.a_addr),
                b_addr.eq(self.issue.p.base + issued.b_addr),
                b_start.eq(self.issue.p.base + issued.b_addr),
                c_addr.eq(self.issue.p.base + issued.c_addr),
                d_addr.eq(self.issue.p.base + issued.d_addr),
                param.eq(issued.param),
                index.eq(Cat(issued.b_addr, issued.b_wrap)),
                is_scalar.eq((issued.fn == Fn.RSQRT) | (issued.fn == Fn.RECIP)),
                c_write.eq((issued.fn == Fn.EXP) | (issued.track != Track.NONE)),
                b_on.eq(0), b_type.eq(Type.I32),
            ]
            with m.Switch(issued.fn):
                with m.Case(Fn.MAC):
                    m.d.sync += b_on.eq(issued.b_mode != BMode.NONE)
                    with m.If(issued.b_mode == BMode.RESIDUAL16):
                        m.d.sync += b_type.eq(Type.I16)
                with m.Case(Fn.MAX, Fn.PICK):
                    m.d.sync += b_on.eq(1)
                with m.Case(Fn.ROPE):
                    m.d.sync += [b_on.eq(1), b_type.eq(Type.I16)]
                with m.Case(Fn.SILU):
                    m.d.sync += [b_on.eq(1), b_type.eq(Type.I8)]

        last_part(m, ins.a_type, a_last)
        last_part(m, b_type, b_last)
        m.d.comb += [
            last.eq(left <= lanes),
            fetch.eq(running & (empty | ~ins.a_array | self.drain.valid)),
            self.drain.ready.eq(running & ins.a_array & ~empty),
            self.read_a.addr.eq(a_addr),
            self.read_a.en.eq(fetch & ~ins.a_array & ~empty & (a_part == 0)),
            self.read_b.addr.eq(Mux(reading_c, c_addr, b_addr)),
            self.read_b.en.eq(reading_c | (fetch & b_on & ~empty & (b_part == 0))),
            c_read.eq((issued.m_mode == MMode.SCALAR) | (issued.fn == Fn.EXP)
                      | (issued.fn == Fn.RSQRT) | (issued.fn == Fn.RECIP)),
        ]

        m.d.sync += self.elements.eq(0)
        with m.If(fetch):
            m.d.sync += [first.eq(0), left.eq(left - lanes), index.eq(index + lanes),
                         a_part.eq(a_part + 1), b_part.eq(b_part + 1), b_beat.eq(b_beat + 1),
                         self.elements.eq(Mux(last, left, lanes))]
            with m.If(a_part == a_last):
                m.d.sync += [a_part.eq(0), a_addr.eq(a_addr + 1)]
            with m.If(b_part == b_last):
                m.d.sync += [b_part.eq(0), b_addr.eq(b_addr + 1)]
            with m.If(b_beat + 1 == ins.b_wrap):
                m.d.sync += [b_part.eq(0), b_addr.eq(b_start), b_beat.eq(0)]
            with m.If(ins.m_mode == MMode.PARAM):
                m.d.sync += param.eq(param + 1)

        m.d.sync += self.release.eq(0)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.issue.ready.eq(1)
                with m.If(self.issue.valid):
                    with m.If(c_read):
                        m.next = "READ_C"
                    with m.Else():
                        m.next = "RUN"
            with m.State("READ_C"):
                m.d.comb += reading_c.eq(1)
                with m.If(is_scalar):
                    m.d.sync += self.release.eq(ins.release)
                    m.next = "IDLE"
                with m.Else():
                    m.next = "RUN"
            with m.State("RUN"):
                m.d.comb += running.eq(1)
                with m.If(fetch & last):
                    m.d.sync += self.release.eq(ins.release)
                    with m.If(c_write):
                        m.next = "HOLD"
                    with m.Else():
                        m.next = "IDLE"
            with m.State("HOLD"):  # leaves the write port a free cycle for word C
                m.next = "IDLE"

        param_read = self._param_memory(m, param)
        m.d.comb += param_read.en.eq(
            reading_c | (fetch & ((ins.m_mode == MMode.PARAM) | (ins.m_mode == MMode.FIXED))))
        params = data.View(data.ArrayLayout(16, lanes), param_read.data)

        # Word C is there one cycle after READ_C, for the scalar unit at once, for beats in `top`.
        c_word = data.View(data.ArrayLayout(32, lanes), self.read_b.data)
        c_here = Signal()
        top, c_shift = Signal(signed(32)), Signal(6)
        m.d.sync += [c_here.eq(reading_c), self.scalar.valid.eq(reading_c & is_scalar)]
        with m.If(c_here):
            m.d.sync += [top.eq(c_word[0]), c_shift.eq(c_word[1])]
        with m.If(self.scalar.valid):
            m.d.comb += [
                self.scalar.p.slot.eq(slot), self.scalar.p.d_addr.eq(d_addr),
                self.scalar.p.recip.eq(ins.fn == Fn.RECIP), self.scalar.p.ss.eq(c_word[0]),
                self.scalar.p.den.eq(c_word[1]), self.scalar.p.constant.eq(Cat(params[0],
                                                                             params[1])),
                self.scalar.p.mg.eq(params[2]), self.scalar.p.sg.eq(params[3]),
            ]

        # Second stage: the words read belong to the beat described by these registers.
        beat = self.beat.p
        tag = Signal(beat.tag.shape())
        here = Signal()
        from_drain, m_mode = Signal(), Signal(2)
        a_kind, a_beat, b_kind, b_beat_here = (
            Signal(2, name=name) for name in ("a_kind", "a_beat", "b_kind", "b_beat_here"))
        drained = Signal(data.ArrayLayout(signed(32), lanes))
        m.d.sync += here.eq(fetch)
        with m.If(fetch):
            m.d.sync += [
                tag.slot.eq(slot), tag.fn.eq(ins.fn), tag.d_type.eq(ins.d_type),
                tag.wide.eq(ins.wide), tag.shift.eq(ins.shift), tag.track.eq(ins.track),
                tag.c_write.eq(c_write), tag.first.eq(first), tag.last.eq(last),
                tag.empty.eq(empty), tag.index.eq(index), tag.d_addr.eq(d_addr),
                tag.c_addr.eq(c_addr),
                tag.add.eq((ins.fn == Fn.MAC) & (ins.b_mode == BMode.ADD32)),
                tag.residual.eq((ins.fn == Fn.MAC) & (ins.b_mode == BMode.RESIDUAL16)),
                tag.live.eq(Mux(last, (1 << left[:lanes.bit_length()]) - 1, -1)),
                tag.valid.eq(Mux(ins.a_array, self.drain.p.valid, -1)),
                from_drain.eq(ins.a_array), m_mode.eq(ins.m_mode),
                a_kind.eq(ins.a_type), a_beat.eq(a_part), b_kind.eq(b_type),
                b_beat_here.eq(b_part),
            ]
            with m.If(ins.a_array):
                m.d.sync += drained.eq(self.drain.p.data)

        x = Signal(data.ArrayLayout(signed(32), lanes))
        b = Signal(data.ArrayLayout(signed(32), lanes))
        m.d.sync += self.beat.valid.eq(here)
        with m.If(here):
            with m.If(from_drain):
                m.d.comb += x.eq(drained)
            with m.Else():
                unpack(m, self.read_a.data, a_kind, a_beat, x)
            unpack(m, self.read_b.data, b_kind, b_beat_here, b)
            m.d.sync += [beat.tag.eq(tag), beat.tag.top.eq(top), beat.x.eq(x), beat.b.eq(b)]
            with m.Switch(m_mode):
                with m.Case(MMode.PARAM):
                    m.d.sync += beat.m.eq(params)
                with m.Case(MMode.FIXED):
                    m.d.sync += beat.m.eq(params[0].replicate(lanes))
                with m.Case(MMode.SCALAR):
                    m.d.sync += [beat.m.eq(top[:16].replicate(lanes)), beat.tag.shift.eq(c_shift)]
                with m.Case(MMode.UNITY):
                    m.d.sync += [beat.m[n].eq(1) for n in range(lanes)]
        self._silu_memory(m, x, here & (tag.fn == Fn.SILU))

        return m

    def _param_memory(self, m: Module, param: Signal):
        """Build the parameter memory; gives its read port, ``en`` left to be driven."""
        core = self.machine.core
        m.submodules.params = memory = Memory(
            shape=unsigned(16 * core.lanes), depth=core.param_words, init=[])
        write, read = memory.write_port(), memory.read_port()
        m.d.comb += [
            write.en.eq(self.config.valid & (self.config.unit == Unit.PARAM)),
            write.addr.eq(self.config.address), write.data.eq(self.config.data),
            read.addr.eq(param[:ceil_log2(core.param_words)]),
        ]
        return read

    def _silu_memory(self, m: Module, x: data.View, en) -> None:
        """Look up the SiLU table for every lane, in step with the registers of ``beat``."""
        m.submodules.silu = memory = Memory(shape=signed(16), depth=256, init=[])
        write = memory.write_port()
        m.d.comb += [
            write.en.eq(self.config.valid & (self.config.unit == Unit.SILU)),
            write.addr.eq(self.config.address), write.data.eq(self.config.data),
        ]
        for n in range(self.machine.core.lanes):
            read = memory.read_port()
            m.d.comb += [read.addr.eq(x[n][:8]), read.en.eq(en),
                         self.beat.p.silu[n].eq(read.data)]
