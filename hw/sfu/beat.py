"""Layouts that travel through the SFU pipeline."""

from amaranth import Module, Value, signed
from amaranth.lib import data, stream
from amaranth.utils import ceil_log2

from ouroboros.hw.lib.struct import struct
from ouroboros.hw.params.isa import SFU, SFU16, Type
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.widths import WORD_ADDRESS_BITS

__all__ = ["beat_signature", "c_word_signature", "is_wide", "last_part", "residual_bits",
           "result_signature", "scalar_signature", "sfu_fields", "tag_layout", "unpack"]

MULTIPLIER_BITS = 16
"""A multiplier, as it stands in a parameter word."""
INDEX_BITS = WORD_ADDRESS_BITS + 8
"""Element indices with their base (``b_addr`` and the 6 bits of ``b_wrap``) do not overflow."""


def is_wide(machine: Machine) -> bool:
    """Whether the SFU is built for a residual of 24 bits, with all that scheme R2 needs."""
    return machine.core.residual_bits == 24


def sfu_fields(machine: Machine) -> data.StructLayout:
    """Fields of an instruction that the machine decodes."""
    return struct(SFU if is_wide(machine) else SFU16)


def residual_bits(machine: Machine) -> int:
    """Width of the B operand that is added after rounding."""
    return 32 if is_wide(machine) else 16


def tag_layout(machine: Machine) -> data.StructLayout:
    """What one beat carries along: the instruction as far as later stages need it."""
    lanes, wide = machine.core.lanes, is_wide(machine)
    return data.StructLayout({
        "slot":     ceil_log2(machine.core.slots),
        "fn":       struct(SFU)["fn"].shape,
        "add":      1,       # B32 before the multiplication
        "residual": 1,       # B16 or B32 after rounding
        "d_type":   struct(SFU)["d_type"].shape,
        "wide":     1,
        "shift":    struct(SFU)["shift"].shape,
        "track":    struct(SFU)["track"].shape,
        "c_write":  1,
        "first":    1,
        "last":     1,
        "empty":    1,       # the one beat of a vector without elements
        "live":     lanes,   # element lies within the vector
        "valid":    lanes,   # element was valid in the drain stream
        "index":    INDEX_BITS,
        "top":      signed(32),  # lane 0 of word C
        "d_addr":   WORD_ADDRESS_BITS,
        "c_addr":   WORD_ADDRESS_BITS,
    } | ({
        "digits":    1,
        "magnitude": 1,
        "low_addr":  WORD_ADDRESS_BITS,  # of the word of low digits that the beat belongs to
    } if wide else {}))


def beat_signature(machine: Machine) -> stream.Signature:
    """Operands of one beat; ``silu`` and ``gate`` are the tables' values for x."""
    lanes, wide = machine.core.lanes, is_wide(machine)
    return stream.Signature(data.StructLayout({
        "tag":  tag_layout(machine),
        "x":    data.ArrayLayout(signed(32), lanes),
        "b":    data.ArrayLayout(signed(32), lanes),
        "m":    data.ArrayLayout(MULTIPLIER_BITS, lanes),
        "silu": data.ArrayLayout(signed(16), lanes),
    } | ({"gate": data.ArrayLayout(17, lanes)} if wide else {})), always_ready=True)


def result_signature(machine: Machine) -> stream.Signature:
    """Outputs of one beat."""
    return stream.Signature(data.StructLayout({
        "tag": tag_layout(machine),
        "y":   data.ArrayLayout(signed(32), machine.core.lanes),
    }), always_ready=True)


def scalar_signature(machine: Machine) -> stream.Signature:
    """Operands of a scalar function; ``ss`` are its lanes of word C."""
    wide = is_wide(machine)
    return stream.Signature(data.StructLayout({
        "slot":     ceil_log2(machine.core.slots),
        "d_addr":   WORD_ADDRESS_BITS,
        "recip":    1,
        "ss":       4 * 32 if wide else 32,
        "den":      31,
        "constant": 32,
        "mg":       MULTIPLIER_BITS,
        "sg":       MULTIPLIER_BITS,
    } | ({"exponent": 1, "kept": struct(SFU)["shift"].shape} if wide else {})), always_ready=True)


def c_word_signature(machine: Machine) -> stream.Signature:
    """A word of int32 lanes that ends an instruction: two, or four of a wide SFU; others are 0."""
    return stream.Signature(data.StructLayout({
        "slot": ceil_log2(machine.core.slots),
        "addr": WORD_ADDRESS_BITS,
        "low":  32,
        "high": 32,
    } | ({"upper": 64} if is_wide(machine) else {})), always_ready=True)


def last_part(m: Module, kind: Value, part: Value) -> None:
    """Drive ``part`` with the last beat of a word of elements of type ``kind``: 3, 1 or 0."""
    with m.Switch(kind):
        with m.Case(Type.I8):
            m.d.comb += part.eq(3)
        with m.Case(Type.I16):
            m.d.comb += part.eq(1)


def unpack(m: Module, word: Value, kind: Value, part: Value, lanes: data.View) -> None:
    """Drive ``lanes`` with beat ``part`` of ``word``, sign extended from type ``kind``."""
    count = len(word) // 32
    with m.Switch(kind):
        for case, bits in ((Type.I8, 8), (Type.I16, 16)):
            with m.Case(case):
                beat = word.word_select(part[:2 if case == Type.I8 else 1], bits * count)
                for n in range(count):
                    m.d.comb += lanes[n].eq(beat.word_select(n, bits).as_signed())
        with m.Default():
            for n in range(count):
                m.d.comb += lanes[n].eq(word.word_select(n, 32).as_signed())
