"""Scalar functions of the SFU: reciprocal square root and reciprocal by table, exponent."""

from itertools import pairwise

from amaranth import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.tables import RECIP, RSQRT, RSQRT_FIRST
from ouroboros.hw.sfu.beat import c_word_signature, is_wide, scalar_signature

__all__ = ["SfuScalar"]

TABLE = (*RECIP, *RSQRT)
TOTAL_BITS = 33
WIDE_TOTAL_BITS = 64


class SfuScalar(wiring.Component):
    """(Y, shift) of RSQRT, (R, 16 + n) of RECIP, (1, ef) of EXPONENT, 4 cycles after the operands.

    RSQRT: ``total = ss + constant``; e is the least even number >= 0 with ``total >> e < 256``;
    ``Y = rnd(RSQRT[max(total >> e, 64)] * mg, 16)``, ``shift = sg + e / 2 + 3``.
    A wide SFU takes ss from four lanes, lane k times 2**(16 k), and the total has 64 bits.
    RECIP: ``n = floor(log2(den))``, ``R = RECIP[((den << 8) >> n) & 255]``; den = 0 gives (0, 16).
    EXPONENT (wide): ``ef = max(0, bits(ss) - kept)`` with lane 0 of ss.

    Parameters
    ----------
    machine : Machine
        Sizes.

    Members
    -------
    operands : In(scalar_signature(machine))
        Operands; any may follow any other at once.
    word : Out(c_word_signature(machine))
        Result and where it goes; not registered.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        super().__init__({
            "operands": In(scalar_signature(machine)),
            "word":     Out(c_word_signature(machine)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.table = table = Memory(shape=unsigned(16), depth=len(TABLE), init=TABLE)
        read = table.read_port()
        operands = self.operands.p

        # Stages: total, index, table, factor; then the product is rounded on its way out.
        stages = ("total", "index", "table", "factor")
        here = {stage: Signal(name=f"{stage}_here") for stage in stages}
        slot = {stage: Signal.like(operands.slot, name=f"{stage}_slot") for stage in stages}
        addr = {stage: Signal.like(operands.d_addr, name=f"{stage}_addr") for stage in stages}
        recip = {stage: Signal(name=f"{stage}_recip") for stage in stages}
        mg = {stage: Signal(16, name=f"{stage}_mg") for stage in stages[:3]}
        shift = {stage: Signal(17, name=f"{stage}_shift") for stage in stages}
        zero = {stage: Signal(name=f"{stage}_zero") for stage in stages[1:]}
        wide = is_wide(self.machine)
        total_bits = WIDE_TOTAL_BITS if wide else TOTAL_BITS
        exponent = {stage: Signal(name=f"{stage}_exponent") for stage in stages}

        m.d.sync += here["total"].eq(self.operands.valid)
        total = Signal(total_bits)
        with m.If(self.operands.valid):
            m.d.sync += [
                slot["total"].eq(operands.slot), addr["total"].eq(operands.d_addr),
                recip["total"].eq(operands.recip), mg["total"].eq(operands.mg),
                shift["total"].eq(Mux(operands.recip, 16, operands.sg + 3)),
                total.eq(Mux(operands.recip, operands.den,
                             (_sum_of_digits(operands.ss) if wide else operands.ss)
                             + operands.constant)),
            ]
            if wide:
                m.d.sync += exponent["total"].eq(operands.exponent)
                with m.If(operands.exponent):
                    m.d.sync += [shift["total"].eq(operands.kept), total.eq(operands.ss[:31])]
        for before, after in pairwise(stages):
            m.d.sync += here[after].eq(here[before])
            with m.If(here[before]):
                m.d.sync += [slot[after].eq(slot[before]), addr[after].eq(addr[before]),
                             recip[after].eq(recip[before]), shift[after].eq(shift[before])]
                if after in mg:
                    m.d.sync += mg[after].eq(mg[before])
                if before in zero:
                    m.d.sync += zero[after].eq(zero[before])
                if wide:
                    m.d.sync += exponent[after].eq(exponent[before])

        index = Signal(range(len(TABLE)))
        half_e = Signal(range(total_bits // 2))
        log2 = Signal(range(TOTAL_BITS))
        with m.If(here["total"]):
            m.d.sync += zero["index"].eq(recip["total"] & (total == 0))
            with m.If((recip["total"] | exponent["total"]) if wide else recip["total"]):
                value = total[:31] if wide else total
                for n in range(31):
                    with m.If(total[n]):
                        m.d.comb += log2.eq(n)
                m.d.sync += [index.eq((value << 8 >> log2)[:8]), shift["index"].eq(16 + log2)]
                if wide:
                    bits = Mux(total == 0, 0, log2 + 1)
                    with m.If(exponent["total"]):
                        m.d.sync += shift["index"].eq(
                            Mux(bits > shift["total"], bits - shift["total"], 0))
            with m.Else():
                for n in range(1, (total_bits - 8 + 1) // 2 + 1):
                    with m.If(total[6 + 2 * n:] != 0):
                        m.d.comb += half_e.eq(n)
                root = Signal(8)
                m.d.comb += root.eq(total >> (half_e << 1))
                m.d.sync += [
                    index.eq(len(RECIP) + Mux(root < RSQRT_FIRST, 0, root - RSQRT_FIRST)),
                    shift["index"].eq(shift["total"] + half_e),
                ]

        m.d.comb += [read.en.eq(here["index"]), read.addr.eq(index)]
        factor = Signal(32)
        with m.If(here["table"]):
            with m.If(recip["table"]):
                m.d.sync += factor.eq(Mux(zero["table"], 0, read.data))
            with m.Else():
                m.d.sync += factor.eq(read.data * mg["table"])

        m.d.comb += self.word.valid.eq(here["factor"])
        with m.If(here["factor"]):
            m.d.comb += [
                self.word.p.slot.eq(slot["factor"]), self.word.p.addr.eq(addr["factor"]),
                self.word.p.low.eq(Mux(recip["factor"], factor, (factor + (1 << 15)) >> 16)),
                self.word.p.high.eq(shift["factor"]),
            ]
            if wide:
                with m.If(exponent["factor"]):
                    m.d.comb += self.word.p.low.eq(1)

        return m


def _sum_of_digits(lanes: Value) -> Value:
    """Lane k times 2**(16 k), added: even and odd lanes do not overlap among themselves."""
    even, odd = (Cat(lanes.word_select(n, 32), lanes.word_select(n + 2, 32)) for n in range(2))
    return even + (odd << 16)
