"""Stage programs: 128-bit instructions of a core.

A stage program runs once for every token that gets a slot of the stage; its first instruction is
usually WAIT. Addresses are buffer words relative to the token's slot. An instruction takes effect
only if ``flags & skip == 0`` and ``flags & need == need`` for the token's flags.
"""

from collections.abc import Mapping
from enum import IntEnum

from ouroboros.hw.params.format import Field, Format
from ouroboros.hw.params.widths import (
    FLAG_BITS,
    HEAD_BITS,
    OFFSET_BITS,
    OPERAND_BITS,
    VECTOR_BITS,
    WORD_ADDRESS_BITS,
)

INSTRUCTION_BITS = 128


class Op(IntEnum):
    """Instructions; the unit that runs them in brackets."""

    END = 0
    """[controller] Frees the slot and credits the stage's senders."""
    WAIT = 1
    """[controller] Waits until ``packets`` packets of ``operand`` have arrived."""
    LOAD = 2
    """[array] Loads int8 operands into the macros of a mask; locks the loader until MVM. Done when
    it begins: MVM goes after it."""
    MVM = 3
    """[array] Multiplies; done when the sums wait in the drain registers."""
    APPEND = 4
    """[array] Writes K as a column and V as a row; poisons the token if no block is free."""
    SCORE = 5
    """[array] q . K of every valid token up to the position; frames of ``outputs`` sums."""
    CONTEXT = 6
    """[array] e . V of every valid token up to the position; one frame of ``head_dim`` sums."""
    FREE = 7
    """[array] Frees every block of the token's sequence in this core."""
    SFU = 8
    """[sfu] Streams a vector through the special-function unit."""
    SEND = 9
    """[send] Sends a vector to a destination-list entry."""


class Fn(IntEnum):
    """Functions of the SFU (``NUMERICS`` steps in brackets). x is the A operand."""

    MAC = 0
    """y = sat(rnd((x [+ B32]) * M, S) [+ B16]); every requantisation [4, 8, 9, 10], norm scale [3],
    context normalisation [7], plain additions and copies."""
    MAX = 1
    """y = max(x, B), int32 element by element."""
    PICK = 2
    """Words (value, id, ..): takes B's word if its value is larger, or equal with a lower id."""
    ROPE = 3
    """Rotates int16 pairs by B = (C, S) pairs, Q1.14 [5]."""
    SILU = 4
    """y = sat8(rnd(SL[x] * B8 * M, S)) [9]."""
    EXP = 5
    """y = EXP[min(rnd((m - x) * M, S), 255)]; m is lane 0 of C; the sum goes to lane 1 of C [6]."""
    RSQRT = 6
    """Scalar: ss = lane 0 of C; writes (Y, shift, 0, ..) to D [3]."""
    RECIP = 7
    """Scalar: den = lane 1 of C; writes (R, 16 + n, 0, ..) to D [7]."""
    GATE = 8
    """y = sat(rnd(G * B16 * x, 16)); x int16 with S + 5 fraction bits, G = 2**16 sigmoid(x) by
    table; M plays no part [R2: 9]."""
    EXPONENT = 9
    """Scalar: m = lane 0 of C; writes (1, max(0, bits(m) - S), 0, ..) to D [R2: 9]."""


SCALAR_FUNCTIONS = (Fn.RSQRT, Fn.RECIP, Fn.EXPONENT)
"""Functions of word C alone, without a vector."""


class Type(IntEnum):
    """Element types in the buffer; vectors are packed from the low end of a word."""

    I8 = 0
    I16 = 1
    I32 = 2
    I24 = 3
    """In words of 32 bits; as D, y saturates to -(2**23 - 1) .. 2**23 - 1."""

    @property
    def bytes(self) -> int:
        """Bytes of an element."""
        return min(1 << self, 4)


class BMode(IntEnum):
    """Use of the B operand by MAC."""

    NONE = 0
    ADD32 = 1
    """int32, added before the multiplication (partial sums)."""
    RESIDUAL16 = 2
    """int16, added after rounding, before saturation."""
    RESIDUAL32 = 3
    """int32, added after rounding, before saturation."""


class MMode(IntEnum):
    """Multiplier and shift of MAC and the other requantising functions."""

    PARAM = 0
    """M per element from parameter word ``param ..`` (unsigned 16 bit); S is ``shift``."""
    FIXED = 1
    """M is lane 0 of parameter word ``param`` for every element; S is ``shift``."""
    SCALAR = 2
    """M and S are lanes 0 and 1 of word C (S unsigned, 0 to 63)."""
    UNITY = 3
    """M = 1, S is ``shift``."""


class Track(IntEnum):
    """Scalar gathered over the outputs of an SFU instruction, written to word C at its end."""

    NONE = 0
    SUMSQ = 1
    """(sum of y*y, 0, ..); with D type I24 the four 16-bit digits of the sum of q, lowest first:
    q = y*y for abs(y) < 2**15, else rnd(abs(y), 8)**2 * 2**16."""
    MAX = 2
    """(max of y over valid elements, 0, ..); -2**31 if there is none. Invalid y become -2**31. With
    ``magnitude``: of abs(y), at most 2**31 - 1; 0 if there is none."""
    ARGMAX = 3
    """(max, index of its first occurrence + index base, 0, ..); base = b_wrap << 12 | b_addr."""


_PREFIX = (Field("op", 4), Field("skip", FLAG_BITS), Field("need", FLAG_BITS))


def _word(name: str) -> Field:
    return Field(name, WORD_ADDRESS_BITS)


def _format(*fields: Field) -> Format:
    used = sum(field.bits for field in (*_PREFIX, *fields))
    return Format((*_PREFIX, *fields, Field("spare", INSTRUCTION_BITS - used)))


WAIT = _format(Field("operand", OPERAND_BITS), Field("packets", 8))
LOAD = _format(_word("src"), Field("length", VECTOR_BITS), Field("offset", 8), Field("macros", 32),
               Field("tiles", 6), Field("tile", 8))
"""``length`` bytes from word ``src`` go to operand words ``offset ..`` of the masked macros.

With ``tiles`` of 2 or more they are the last of so many row tiles, the others having ``tile`` whole
words each: tile n, from word ``src + n * tile``, goes to the macros of the mask shifted up by n.
"""
MVM = _format(Field("first_group", 8), Field("step", 6), Field("steps", 7), Field("macros", 32))
"""Groups count from ``first_group``; drain steps are ``step .. step + steps - 1`` of the table."""
APPEND = _format(_word("k"), _word("v"), Field("head", HEAD_BITS))
"""int8 vectors of head_dim elements at words ``k`` and ``v``."""
SCORE = _format(_word("src"), Field("head", HEAD_BITS))
"""int8 q of head_dim elements at word ``src``."""
CONTEXT = _format(_word("src"), Field("head", HEAD_BITS))
"""int8 e of the local tokens at word ``src``; entries past the token count are ignored."""
_SFU = (
    Field("fn", 4), Field("a_array", 1), Field("a_type", 2), _word("a_addr"),
    Field("b_mode", 2), _word("b_addr"), Field("b_wrap", 6), _word("c_addr"),
    Field("d_type", 2), _word("d_addr"), Field("length", VECTOR_BITS), Field("param", 12),
    Field("shift", 6), Field("m_mode", 2), Field("wide", 1), Field("track", 2),
    Field("release", 1), Field("tokens", 1))
SFU16 = _format(*_SFU)
"""SFU as hardware with ``core.residual_bits = 16`` decodes it."""
SFU = _format(*_SFU, Field("digits", 1), Field("less", 1), Field("magnitude", 1))
"""One vector operation.

``a_array``: A comes from the array's drain stream, as int32. ``b_wrap``: B starts again after this
many beats of ``lanes`` elements (0: never). ``length`` in elements; with ``tokens`` set it is the
token's local token count. ``wide``: int8 outputs clip to -128 instead of -127. ``release``: the
rest of the drain stream is dropped when the instruction ends.

With ``core.residual_bits = 24`` only: ``digits`` (MAC without B, EXP; D type I8): y, clipped to
-2047 .. 2047, is written as two int8 vectors, y >> 6 to ``d_addr`` and y & 63 to ``b_addr``; EXP
then has 12 bits. With ``wide`` MAC clips to -1023 .. 1023 instead. ``less`` (MAC, any ``m_mode``
but SCALAR): the shift is S less lane 1 of word C.
``magnitude``: see MAX. The new values of ``fn``, ``a_type``, ``d_type`` and ``b_mode`` likewise.
"""
SEND = _format(Field("dest", 6), _word("src"), Field("flits", 10), Field("dst", OFFSET_BITS),
               Field("acquire", 1))
"""``flits`` from word ``src`` to flit ``dst`` of the receiving slot; ``acquire`` takes credits."""
BARE = _format()
"""END and FREE."""

FORMATS: Mapping[Op, Format] = {
    Op.END: BARE, Op.WAIT: WAIT, Op.LOAD: LOAD, Op.MVM: MVM, Op.APPEND: APPEND, Op.SCORE: SCORE,
    Op.CONTEXT: CONTEXT, Op.FREE: BARE, Op.SFU: SFU, Op.SEND: SEND}


def beyond_16_bits(fields: Mapping[str, int]) -> str:
    """What in an SFU instruction only hardware with ``core.residual_bits = 24`` executes, or ""."""
    values: tuple[tuple[str, IntEnum], ...] = (
        ("fn", Fn.GATE), ("fn", Fn.EXPONENT), ("a_type", Type.I24), ("d_type", Type.I24),
        ("b_mode", BMode.RESIDUAL32))
    found = [f"{name} {value.name}" for name, value in values if fields[name] == value]
    found += [name for name in ("digits", "less", "magnitude") if fields[name]]
    return ", ".join(found)


def assemble(op: Op, *, skip: int = 0, need: int = 0, **fields: int) -> int:
    """Instruction word; fields that are not named are 0.

    Raises
    ------
    ValueError
        If a field does not belong to ``op`` or its value does not fit.
    """
    fmt = FORMATS[op]
    values = dict.fromkeys((field.name for field in fmt.fields), 0)
    return fmt.pack({**values, "op": op, "skip": skip, "need": need, **fields})


def disassemble(word: int) -> tuple[Op, dict[str, int]]:
    """Operation and fields of an instruction word; inverse of ``assemble``."""
    op = Op(word & 15)
    return op, FORMATS[op].unpack(word)
