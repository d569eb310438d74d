"""Arithmetic of the SFU: lanes that add, multiply, round and saturate."""

from amaranth import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ouroboros.hw.params.isa import Fn, Type
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.tables import EXP, EXP12
from ouroboros.hw.sfu.beat import (
    beat_signature,
    is_wide,
    residual_bits,
    result_signature,
    tag_layout,
)

__all__ = ["SfuLanes"]

PRE_BITS = 33
PRODUCT_BITS = PRE_BITS + 16


class SfuLanes(wiring.Component):
    """Vector arithmetic: ``y = post(rnd(pre(x, b) * m, shift))``.

    A result appears 3 cycles after its beat; any beat may follow any other at once.

    Parameters
    ----------
    machine : Machine
        Sizes.

    Members
    -------
    beat : In(beat_signature(machine))
        Operands.
    result : Out(result_signature(machine))
        Outputs: saturated to the D type, 0 past the end of the vector. Invalid elements give the
        least value of the type, or 0 under EXP. Not registered.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        super().__init__({
            "beat":   In(beat_signature(machine)),
            "result": Out(result_signature(machine)),
        })

    def elaborate(self, platform):
        m = Module()
        lanes = self.machine.core.lanes
        tag = tag_layout(self.machine)

        pre = Signal(data.ArrayLayout(signed(PRE_BITS), lanes))
        pre_m = Signal(data.ArrayLayout(16, lanes))
        product = Signal(data.ArrayLayout(signed(PRODUCT_BITS), lanes))
        rounded = Signal(data.ArrayLayout(signed(PRODUCT_BITS), lanes))
        pre_here, product_here, rounded_here = Signal(), Signal(), Signal()
        pre_tag, product_tag, rounded_tag = Signal(tag), Signal(tag), Signal(tag)
        pre_b, product_b, rounded_b = (
            Signal(data.ArrayLayout(signed(residual_bits(self.machine)), lanes), name=f"{name}_b")
            for name in ("pre", "product", "rounded"))

        beat = self.beat.p
        m.d.sync += pre_here.eq(self.beat.valid)
        with m.If(self.beat.valid):
            m.d.sync += [pre_tag.eq(beat.tag), pre_m.eq(beat.m)]
            self._pre(m, pre, pre_tag)
            with m.If(beat.tag.residual):
                m.d.sync += [pre_b[n].eq(beat.b[n]) for n in range(lanes)]

        m.d.sync += product_here.eq(pre_here)
        with m.If(pre_here):
            m.d.sync += product_tag.eq(pre_tag)
            m.d.sync += [product[n].eq(pre[n] * pre_m[n]) for n in range(lanes)]
            with m.If(pre_tag.residual):
                m.d.sync += product_b.eq(pre_b)

        # rnd(p, s) = (((2 * p) >> s) + 1) >> 1 for every s, 0 and large ones included.
        turn = Signal(data.ArrayLayout(signed(PRODUCT_BITS), lanes))
        m.d.sync += rounded_here.eq(product_here)
        with m.If(product_here):
            m.d.comb += [turn[n].eq((((product[n] << 1) >> product_tag.shift) + 1) >> 1)
                         for n in range(lanes)]
            m.d.sync += rounded_tag.eq(product_tag)
            for n in range(lanes):
                m.d.sync += rounded[n].eq(Mux(product_tag.valid[n], turn[n], -1 << 31))
            with m.If(product_tag.residual):
                m.d.sync += rounded_b.eq(product_b)

        looks_up = product_here & (product_tag.fn == Fn.EXP)
        if is_wide(self.machine):
            coarse = self._exp_memory(m, "exp", EXP, 7, turn, looks_up & ~product_tag.digits)
            fine = self._exp_memory(m, "exp12", EXP12, 12, turn, looks_up & product_tag.digits)
            powers = [Mux(rounded_tag.digits, *pair) for pair in zip(fine, coarse, strict=True)]
        else:
            powers = self._exp_memory(m, "exp", EXP, 7, turn, looks_up)
        m.d.comb += [self.result.valid.eq(rounded_here), self.result.p.tag.eq(rounded_tag)]
        with m.If(rounded_here):
            self._post(m, rounded, rounded_b, rounded_tag, powers)

        return m

    def _pre(self, m: Module, pre: data.View, tag: data.View) -> None:
        """Register the value that is multiplied."""
        lanes = self.machine.core.lanes
        beat = self.beat.p
        x, b = beat.x, beat.b
        short = [x[n][:16].as_signed() for n in range(lanes)]
        turn = [b[n][:16].as_signed() for n in range(lanes)]
        if is_wide(self.machine):
            products = (Fn.SILU, Fn.GATE)
            first = second = self._shared_products(m, short, turn)
        else:
            products = (Fn.SILU,)
            first = [short[n] * turn[n & ~1] for n in range(lanes)]
            second = [beat.silu[n] * b[n][:8].as_signed() for n in range(lanes)]
        with m.Switch(beat.tag.fn):
            with m.Case(Fn.MAX):
                m.d.sync += [pre[n].eq(Mux(x[n] > b[n], x[n], b[n])) for n in range(lanes)]
            with m.Case(Fn.PICK):
                other = Signal()
                m.d.comb += other.eq((b[0] > x[0]) | ((b[0] == x[0]) & (b[1] < x[1])))
                m.d.sync += [pre[n].eq(Mux(other, b[n], x[n])) for n in range(lanes)]
            with m.Case(Fn.ROPE):
                for n in range(0, lanes, 2):
                    m.d.sync += [
                        pre[n].eq(first[n] - short[n + 1] * turn[n + 1]),
                        pre[n + 1].eq(short[n] * turn[n + 1] + first[n + 1]),
                    ]
            with m.Case(*products):
                m.d.sync += [pre[n].eq(second[n]) for n in range(lanes)]
            with m.Case(Fn.EXP):
                m.d.sync += [pre[n].eq(beat.tag.top - x[n]) for n in range(lanes)]
                # A score of -2**31 stands for a masked position.
                for n in range(lanes):
                    with m.If(x[n] == -1 << 31):
                        m.d.sync += tag.valid[n].eq(0)
            with m.Default():
                with m.If(beat.tag.add):
                    m.d.sync += [pre[n].eq(x[n] + b[n]) for n in range(lanes)]
                with m.Else():
                    m.d.sync += [pre[n].eq(x[n]) for n in range(lanes)]

    def _shared_products(self, m: Module, short: list, turn: list) -> list:
        """One multiplier a lane: for GATE, SILU and a product of ROPE."""
        beat, found = self.beat.p, []
        for n, (x, b) in enumerate(zip(short, turn, strict=True)):
            left = Signal(signed(18), name=f"left_{n}")
            right = Signal(signed(17), name=f"right_{n}")
            with m.Switch(beat.tag.fn):
                with m.Case(Fn.GATE):   # abs(x) is the multiplier
                    m.d.comb += [left.eq(beat.gate[n]), right.eq(Mux(x < 0, -b, b))]
                with m.Case(Fn.SILU):
                    m.d.comb += [left.eq(beat.silu[n]), right.eq(b[:8].as_signed())]
                with m.Default():
                    m.d.comb += [left.eq(x), right.eq(turn[n & ~1])]
            found.append(left * right)
        return found

    def _exp_memory(self, m: Module, name: str, table: tuple[int, ...], bits: int,
                    turn: data.View, en) -> list:
        """Look up EXP for every lane, in step with ``rounded``."""
        m.submodules[name] = memory = Memory(shape=unsigned(bits), depth=256, init=list(table))
        reads = [memory.read_port() for _ in range(self.machine.core.lanes)]
        with m.If(en):
            for n, read in enumerate(reads):
                m.d.comb += read.en.eq(1)
                with m.If(turn[n] >= 255):
                    m.d.comb += read.addr.eq(255)
                with m.Elif(turn[n] > 0):
                    m.d.comb += read.addr.eq(turn[n])
        return [read.data for read in reads]

    def _post(self, m: Module, rounded: data.View, residual: data.View, tag: data.View,
              powers: list) -> None:
        """Drive the outputs from rounded products, or from the table."""
        y = self.result.p.y
        low, high = Signal(signed(32)), Signal(signed(32))
        with m.Switch(tag.d_type):
            with m.Case(Type.I8):
                m.d.comb += [low.eq(Mux(tag.wide, -128, -127)), high.eq(127)]
                if is_wide(self.machine):
                    with m.If(tag.digits):
                        m.d.comb += [low.eq(Mux(tag.wide, -1023, -2047)),
                                     high.eq(Mux(tag.wide, 1023, 2047))]
            with m.Case(Type.I16):
                m.d.comb += [low.eq(-1 << 15), high.eq((1 << 15) - 1)]
            if is_wide(self.machine):
                with m.Case(Type.I24):
                    m.d.comb += [low.eq((-1 << 23) + 1), high.eq((1 << 23) - 1)]
            with m.Default():
                m.d.comb += [low.eq(-1 << 31), high.eq((1 << 31) - 1)]
        with m.If(tag.fn == Fn.EXP):
            m.d.comb += [y[n].eq(Mux(tag.live[n] & tag.valid[n], powers[n], 0))
                         for n in range(len(powers))]
        with m.Else():
            for n in range(len(powers)):
                value = Signal(signed(PRODUCT_BITS + 1), name=f"value_{n}")
                # An invalid element stays the least value whatever the residual.
                m.d.comb += value.eq(rounded[n] + Mux(tag.residual & tag.valid[n],
                                                      residual[n], 0))
                with m.If(tag.live[n]):
                    m.d.comb += y[n].eq(Mux(value > high, high, Mux(value < low, low, value)))
