"""Second stage of operand fetch in the SFU: words of the buffer become beats."""

from amaranth import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.lib.bus import drain_layout
from ouroboros.hw.params.isa import Fn, MMode
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.sfu.beat import beat_signature, is_wide, scalar_signature, unpack
from ouroboros.hw.sfu.gate import GATE_SHIFT, INDEX_SHIFT_BITS
from ouroboros.hw.sfu.walk import step_layout

__all__ = ["Unpack"]


class Unpack(wiring.Component):
    """Unpacks the words that were read for a step into its beat, or scalar operands.

    The words of a step in cycle t are there in t + 1; the beat leaves in t + 2, scalar operands in
    t + 1. Word C, read before the first beat, is kept for all beats of the instruction.

    Parameters
    ----------
    machine : Machine
        Sizes.

    Members
    -------
    step : In(step_layout(machine))
        What is being read.
    drain : In(drain_layout(machine))
        The beat of the drain stream that a step with ``drain`` takes.
    a, b, params : In
        Words read: A; B or C; multipliers.
    x, look_up : Out
        A of the beat that leaves in the next cycle, for the SiLU table; whether it is wanted.
    look_up_gate, gate_shift : Out
        The same for the sigmoid of a wide SFU, and by how much its index is shifted.
    beat : Out(beat_signature(machine))
        Beats, but for ``silu`` and ``gate``.
    scalar : Out(scalar_signature(machine))
        Operands of the scalar functions.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        core = machine.core
        super().__init__({
            "step":    In(step_layout(machine)),
            "drain":   In(drain_layout(machine)),
            "a":       In(core.word_bits),
            "b":       In(core.word_bits),
            "params":  In(data.ArrayLayout(16, core.lanes)),
            "x":       Out(data.ArrayLayout(signed(32), core.lanes)),
            "look_up": Out(1),
            "beat":    Out(beat_signature(machine)),
            "scalar":  Out(scalar_signature(machine)),
        } | ({"look_up_gate": Out(1), "gate_shift": Out(INDEX_SHIFT_BITS)}
             if is_wide(machine) else {}))

    def elaborate(self, platform):
        m = Module()

        lanes, params = self.machine.core.lanes, self.params
        beat, scalar = self.beat.p, self.scalar.p
        # The step whose words are here, and what it took from the drain stream.
        step, drained = Signal.like(self.step), Signal.like(self.drain)
        m.d.sync += [step.fetch.eq(self.step.fetch), step.read_c.eq(self.step.read_c)]
        with m.If(self.step.fetch | self.step.read_c):
            m.d.sync += step.eq(self.step)
            with m.If(self.step.drain):
                m.d.sync += drained.eq(self.drain)

        # Word C goes to the scalar unit at once, for beats it is kept in `top` and `c_shift`.
        c_word = data.View(data.ArrayLayout(32, lanes), self.b)
        top, c_shift = Signal(signed(32)), Signal.like(beat.tag.shift)
        m.d.comb += self.scalar.valid.eq(step.read_c & step.scalar)
        with m.If(step.read_c):
            m.d.sync += [top.eq(c_word[0]), c_shift.eq(c_word[1])]
        with m.If(self.scalar.valid):
            m.d.comb += [
                scalar.slot.eq(step.tag.slot), scalar.d_addr.eq(step.tag.d_addr),
                scalar.recip.eq(step.tag.fn == Fn.RECIP), scalar.ss.eq(c_word[0]),
                scalar.den.eq(c_word[1]), scalar.constant.eq(Cat(params[0], params[1])),
                scalar.mg.eq(params[2]), scalar.sg.eq(params[3]),
            ]

        b = Signal.like(beat.b)
        m.d.comb += self.look_up.eq(step.fetch & (step.tag.fn == Fn.SILU))
        m.d.sync += self.beat.valid.eq(step.fetch)
        with m.If(step.fetch):
            with m.If(step.drain):
                m.d.comb += self.x.eq(drained.data)
            with m.Else():
                unpack(m, self.a, step.a_type, step.a_part, self.x)
            unpack(m, self.b, step.b_type, step.b_part, b)
            m.d.sync += [beat.tag.eq(step.tag), beat.x.eq(self.x), beat.b.eq(b),
                         beat.tag.valid.eq(Mux(step.drain, drained.valid, -1)),
                         beat.tag.top.eq(top)]
            with m.Switch(step.m_mode):
                with m.Case(MMode.PARAM):
                    m.d.sync += beat.m.eq(params)
                with m.Case(MMode.FIXED):
                    m.d.sync += beat.m.eq(params[0].replicate(lanes))
                with m.Case(MMode.SCALAR):
                    m.d.sync += [beat.m.eq(top[:16].replicate(lanes)), beat.tag.shift.eq(c_shift)]
                with m.Case(MMode.UNITY):
                    m.d.sync += [beat.m[n].eq(1) for n in range(lanes)]
        if is_wide(self.machine):
            self._wide(m, step, c_word, c_shift)

        return m

    def _wide(self, m: Module, step: data.View, c_word: data.View, c_shift: Signal) -> None:
        """What scheme R2 adds: digits of ss, EXPONENT, GATE, and shifts that word C lessens."""
        beat, scalar = self.beat.p, self.scalar.p
        gate = step.tag.fn == Fn.GATE
        m.d.comb += [self.look_up_gate.eq(step.fetch & gate), self.gate_shift.eq(step.tag.shift)]
        with m.If(self.scalar.valid):
            m.d.comb += [scalar.ss.eq(Cat(c_word[n] for n in range(4))),
                         scalar.exponent.eq(step.tag.fn == Fn.EXPONENT),
                         scalar.kept.eq(step.tag.shift)]
        with m.If(step.fetch & step.less):
            m.d.sync += beat.tag.shift.eq(step.tag.shift - c_shift)
        with m.If(step.fetch & gate):
            m.d.sync += beat.tag.shift.eq(GATE_SHIFT)
            m.d.sync += [beat.m[n].eq(abs(self.x[n][:16].as_signed()))
                         for n in range(self.machine.core.lanes)]
