"""Scalars gathered over the outputs of an SFU instruction."""

from amaranth import Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.params.isa import Fn, Track, Type
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.widths import VECTOR_BITS
from ouroboros.hw.sfu.beat import (
    INDEX_BITS,
    c_word_signature,
    is_wide,
    result_signature,
    tag_layout,
)

__all__ = ["SfuTrack"]

SUM_MAX = (1 << 31) - 1
SQUARE_BITS = 46
"""The largest square of an int24 is 2**46."""
DIGIT_BITS = 16
"""Of a sum of squares of int24 in word C."""


class SfuTrack(wiring.Component):
    """Sum of squares, maximum, index of the maximum, or sum of exponentials.

    Parameters
    ----------
    machine : Machine
        Sizes.

    Members
    -------
    result : In(result_signature(machine))
        Outputs of the lanes; those without ``c_write`` are passed over.
    c_word : Out(c_word_signature(machine))
        Word C, two cycles after the last beat; not registered. The sum of squares saturates at
        2**31 - 1 and takes the low 16 bits of y; of int24 it is exact, in four digits.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        super().__init__({
            "result": In(result_signature(machine)),
            "c_word": Out(c_word_signature(machine)),
        })

    def elaborate(self, platform):
        m = Module()
        lanes = self.machine.core.lanes

        y = Signal(data.ArrayLayout(signed(32), lanes))
        tag, part_tag = Signal(tag_layout(self.machine)), Signal(tag_layout(self.machine))
        here, part_here = Signal(), Signal()
        m.d.sync += here.eq(self.result.valid & self.result.p.tag.c_write)
        with m.If(self.result.valid & self.result.p.tag.c_write):
            m.d.sync += [tag.eq(self.result.p.tag), y.eq(self.result.p.y)]

        # One beat is reduced to a scalar ...
        wide = is_wide(self.machine)
        part_sum = Signal((SQUARE_BITS if wide else 30) + lanes.bit_length())
        part_found, part_index, part_max = Signal(), Signal(INDEX_BITS), Signal(signed(32))
        m.d.sync += part_here.eq(here)
        with m.If(here):
            m.d.sync += part_tag.eq(tag)
            with m.If(tag.fn == Fn.EXP):
                m.d.sync += part_sum.eq(_add([y[n][:12 if wide else 7] for n in range(lanes)]))
            with m.Elif(tag.track == Track.SUMSQ):
                if wide:
                    squares = [self._square(m, n, y[n], tag.valid[n]) for n in range(lanes)]
                else:
                    short = [Mux(tag.valid[n], y[n][:16].as_signed(), 0) for n in range(lanes)]
                    squares = [value * value for value in short]
                m.d.sync += part_sum.eq(_add(squares))
            with m.Else():
                found, value, lane = self._maximum(m, tag.live & tag.valid,
                                                   self._sizes(m, tag, y) if wide else y)
                m.d.sync += [part_found.eq(found), part_max.eq(value),
                             part_index.eq(tag.index + lane)]

        # ... and scalars into that of the vector.
        # The sum of a vector of int24 fits, that of narrower ones is cut when it leaves.
        sum_bits = SQUARE_BITS + VECTOR_BITS if wide else 31
        total, old_total, new_total = Signal(sum_bits), Signal(sum_bits), Signal(sum_bits)
        found, old_found = Signal(), Signal()
        top, old_top, new_top = Signal(signed(32)), Signal(signed(32)), Signal(signed(32))
        index, old_index, new_index = (
            Signal(INDEX_BITS, name=f"{name}index") for name in ("", "old_", "new_"))
        with m.If(part_here):
            with m.If(part_tag.first):
                m.d.comb += [old_top.eq(-1 << 31), old_index.eq(part_tag.index)]
                if wide:
                    with m.If(part_tag.magnitude):
                        m.d.comb += old_top.eq(0)
            with m.Else():
                m.d.comb += [old_total.eq(total), old_found.eq(found), old_top.eq(top),
                             old_index.eq(index)]
            wide_total = old_total + part_sum
            better = part_found & (~old_found | (part_max > old_top))
            m.d.comb += [
                new_total.eq(wide_total if wide
                             else Mux(wide_total > SUM_MAX, SUM_MAX, wide_total)),
                new_top.eq(Mux(better, part_max, old_top)),
                new_index.eq(Mux(better, part_index, old_index)),
            ]
            m.d.sync += [total.eq(new_total), found.eq(old_found | part_found), top.eq(new_top),
                         index.eq(new_index)]

        word = self.c_word.p
        m.d.comb += self.c_word.valid.eq(part_here & part_tag.last)
        with m.If(self.c_word.valid):
            m.d.comb += [word.slot.eq(part_tag.slot), word.addr.eq(part_tag.c_addr)]
            with m.If(part_tag.fn == Fn.EXP):
                m.d.comb += [word.low.eq(part_tag.top), word.high.eq(new_total)]
            with m.Elif(part_tag.track == Track.SUMSQ):
                if wide:
                    self._put_sum(m, new_total, part_tag.d_type)
                else:
                    m.d.comb += word.low.eq(new_total)
            with m.Else():
                m.d.comb += word.low.eq(new_top)
                with m.If(part_tag.track == Track.ARGMAX):
                    m.d.comb += word.high.eq(new_index)

        return m

    def _square(self, m: Module, n: int, y: Value, valid: Value) -> Value:
        """Square of an int24 by a multiplier of 16 bits; from 2**15 on, 8 bits are rounded off."""
        size, factor = Signal(24, name=f"size_{n}"), Signal(16, name=f"factor_{n}")
        coarse = Signal(name=f"coarse_{n}")
        m.d.comb += [size.eq(abs(y[:24].as_signed())), coarse.eq(size[15:] != 0),
                     factor.eq(Mux(coarse, (size + 128) >> 8, size))]
        square = (factor * factor)[:31]
        return Mux(valid, Mux(coarse, square << 16, square), 0)

    def _sizes(self, m: Module, tag: data.View, y: data.View) -> data.View:
        """What the maximum is taken of: y, or its magnitude."""
        found = Signal.like(y)
        for n, value in enumerate(y):
            m.d.comb += found[n].eq(value)
            with m.If(tag.magnitude & (value < 0)):
                # ~value is -value - 1: of the least value the largest there is.
                m.d.comb += found[n].eq(~value + (value != -1 << 31))
        return found

    def _put_sum(self, m: Module, total: Value, d_type: Value) -> None:
        """Drive the lanes of word C with a sum of squares."""
        word = self.c_word.p
        with m.If(d_type == Type.I24):
            digits = [total[at:at + DIGIT_BITS] for at in range(0, 64, DIGIT_BITS)]
            m.d.comb += [word.low.eq(digits[0]), word.high.eq(digits[1]),
                         word.upper[:32].eq(digits[2]), word.upper[32:].eq(digits[3])]
        with m.Else():
            m.d.comb += word.low.eq(Mux(total > SUM_MAX, SUM_MAX, total))

    def _maximum(self, m: Module, mask: Value, y: data.View) -> tuple[Signal, Signal, Signal]:
        """Whether any masked lane exists, the largest of them, and the first lane that has it."""
        nodes = [(mask[n], y[n], n) for n in range(len(y))]
        for level in range(len(y).bit_length() - 1):
            parents = []
            for n in range(0, len(nodes), 2):
                (found_a, value_a, lane_a), (found_b, value_b, lane_b) = nodes[n:n + 2]
                take_b = Signal(name=f"take_{level}_{n}")
                found = Signal(name=f"found_{level}_{n}")
                value = Signal(signed(32), name=f"value_{level}_{n}")
                lane = Signal(range(len(y)), name=f"lane_{level}_{n}")
                m.d.comb += [
                    take_b.eq(found_b & (~found_a | (value_b > value_a))),
                    found.eq(found_a | found_b),
                    value.eq(Mux(take_b, value_b, value_a)),
                    lane.eq(Mux(take_b, lane_b, lane_a)),
                ]
                parents.append((found, value, lane))
            nodes = parents
        return nodes[0]


def _add(values: list[Value]) -> Value:
    """Sum as a balanced tree."""
    while len(values) > 1:
        values = [a + b for a, b in zip(values[::2], values[1::2], strict=True)]
    return values[0]
