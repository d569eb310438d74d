"""Golden model of the special-function unit: what an SFU instruction does to a core's buffer."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ouroboros.hw.params.isa import (
    SCALAR_FUNCTIONS,
    BMode,
    Fn,
    MMode,
    Track,
    Type,
)
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.timing.sfu import reads_c, writes_c
from ouroboros.sw.golden import numerics, sfu_wide, wide
from ouroboros.sw.golden.numerics import SHIFT_MAX, Ints
from ouroboros.sw.golden.sfu_legal import SfuError, check_combination
from ouroboros.sw.models.scheme import DIGIT_BITS, SIGMOID_FRACTION_BITS

__all__ = ["Drain", "SfuError", "SfuGolden"]

Drain = Callable[[int], tuple[npt.ArrayLike, npt.ArrayLike]]
"""Takes the next n elements of the drain stream: int32 values and their valid bits."""

ADDRESSES = 1 << 12
LENGTH_MAX = (1 << 14) - 1
INT32_MIN = -(1 << 31)
SUM_MAX = (1 << 31) - 1
TOTAL_BITS = 64
DTYPES: Mapping[Type, np.dtype[Any]] = {
    kind: np.dtype(f"<i{kind.bytes}") for kind in Type}


class SfuGolden:
    """The SFU of one core.

    Parameters
    ----------
    machine : Machine
        Sizes.

    Attributes
    ----------
    params : (param_words, lanes) uint16
        Requantisation multipliers and the constants of RSQRT.
    silu : (256,) int16
        SiLU table, indexed by u8 & 255.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        self.params = np.zeros((machine.core.param_words, machine.core.lanes), np.uint16)
        self.silu = np.zeros(256, np.int16)

    def run(self, fields: Mapping[str, int], buffer: npt.NDArray[np.uint8] | bytearray, *,
            base: int = 0, tokens: int = 0, drain: Drain | None = None) -> int:
        """Execute one instruction.

        Parameters
        ----------
        fields : Mapping[str, int]
            Fields of the instruction, as ``disassemble`` gives them; ``release`` is the array's.
        buffer : numpy.ndarray or bytearray
            Bytes of the core's buffer, low byte of word 0 first; changed in place.
        base : int
            First word of the token's slot.
        tokens : int
            Local KV tokens, the length of instructions with ``tokens`` set.
        drain : Drain
            Asked once, for whole beats, if A comes from the array and there are elements.

        Returns
        -------
        int
            Elements processed, as the event counter counts them.

        Raises
        ------
        SfuError
            If the instruction, or an address in it, has no defined effect.
        """
        step = _Step(self, fields, np.frombuffer(buffer, np.uint8), base)
        if step.fn in SCALAR_FUNCTIONS:
            step.scalar()
            return 0
        length = tokens if fields["tokens"] else fields["length"]
        if not 0 <= length <= LENGTH_MAX:
            raise SfuError(f"length must be between 0 and {LENGTH_MAX}, not {length!r}")
        step.vector(length, drain)
        return length


class _Step:
    """One instruction on its way."""

    def __init__(self, sfu: SfuGolden, fields: Mapping[str, int], buffer: npt.NDArray[np.uint8],
                 base: int):
        self.params, self.silu = sfu.params, sfu.silu
        self.lanes, self.residual_bits = sfu.machine.core.lanes, sfu.machine.core.residual_bits
        self.fields, self.base = fields, base
        self.words = buffer.reshape(-1, 4 * self.lanes)
        try:
            self.fn = Fn(fields["fn"])
            self.a_type, self.d_type = Type(fields["a_type"]), Type(fields["d_type"])
            self.b_mode = BMode(fields["b_mode"])
        except ValueError as error:
            raise SfuError(f"instruction must be defined: {error}") from error
        check_combination(self.fn, self.b_mode, self.d_type, fields, self.residual_bits)
        self.c = np.zeros(self.lanes, np.int64)
        if reads_c(self.fn, fields["m_mode"], less=fields["less"]):
            self.c = self.words[self.word("c_addr")].view("<i4").astype(np.int64)

    def word(self, name: str) -> int:
        """Buffer word at an address field."""
        return int(self.at(name, 1)[0])

    def at(self, name: str, count: int) -> Ints:
        """Buffer words from an address field on."""
        first = (self.base + self.fields[name]) % ADDRESSES
        highest = min(first + count, ADDRESSES) - 1
        if count and highest >= len(self.words):
            raise SfuError(f"{name} must be below {len(self.words)} words, not {highest}")
        return np.arange(first, first + count) % ADDRESSES

    def put(self, name: str, *values: int) -> None:
        """Write a word of int32 lanes, the rest 0."""
        row = np.zeros(self.lanes, "<i4")
        row[:len(values)] = np.array(values, np.int64).astype(np.int32)
        self.words[self.word(name)] = row.view(np.uint8)

    def param(self, offset: int = 0) -> Ints:
        """Parameter word at the instruction's address."""
        index = (self.fields["param"] + offset) % len(self.params)
        return np.asarray(self.params[index], np.int64)

    def scalar(self) -> None:
        """RSQRT, RECIP and EXPONENT."""
        if self.fn == Fn.RSQRT:
            low, high, mg, sg = (int(value) for value in self.param()[:4])
            lanes = self.c[:1 if self.residual_bits == 16 else 4] & 0xFFFF_FFFF
            total = sfu_wide.sum_of_digits(lanes) + (high << 16 | low)
            self.put("d_addr", *self.rsqrt(total, mg, sg))
            return
        if self.fn == Fn.EXPONENT:
            if self.c[0] < 0:
                raise SfuError(f"m of EXPONENT must not be negative, as {self.c[0]} is")
            self.put("d_addr", 1, max(0, int(self.c[0]).bit_length() - self.fields["shift"]))
            return
        den = int(self.c[1]) & SUM_MAX
        log2 = max(den.bit_length() - 1, 0)
        factor = int(numerics.RECIP[(den << 8) >> log2 & 255]) if den else 0
        self.put("d_addr", factor, 16 + log2)

    def rsqrt(self, total: int, mg: int, sg: int) -> tuple[int, int]:
        """Y and shift."""
        if total >> TOTAL_BITS:
            raise SfuError(f"ss + c must fit {TOTAL_BITS} bits, not {total.bit_length()}")
        half_e = 0
        while total >> 2 * half_e >= 256:
            half_e += 1
        index = max(total >> 2 * half_e, numerics.NORM_INDEX_MIN) - numerics.NORM_INDEX_MIN
        return int(numerics.rnd(numerics.RSQRT[index] * mg, 16)), sg + half_e + 3

    def vector(self, length: int, drain: Drain | None) -> None:
        """Every other function."""
        beats = -(-length // self.lanes)
        b_type = self.b_type()
        valid = np.ones(beats * self.lanes, bool)
        if self.fields["a_array"]:
            x = np.zeros(0, np.int64)
            if length:
                if drain is None:
                    raise SfuError("drain must be given to an instruction with a_array")
                values, marks = drain(len(valid))
                x, valid = np.array(values, np.int64), np.array(marks, bool)
                if x.shape != (beats * self.lanes,) or valid.shape != x.shape:
                    raise SfuError(f"drain must give {beats * self.lanes} elements, "
                                   f"not {x.shape}, {valid.shape}")
        else:
            x = self.read("a_addr", self.a_type, beats)
        b = np.zeros_like(x)
        if b_type is not None:
            b = self.read("b_addr", b_type, beats, self.fields["b_wrap"] or LENGTH_MAX)

        live = np.arange(len(x)) < length
        y = self.compute(x, b, valid, live)
        y[~live] = 0
        self.write(y)
        if self.fn == Fn.EXP:
            self.put("c_addr", int(self.c[0]), int(y.sum()))
        elif writes_c(self.fn, self.fields["track"]):
            self.put("c_addr", *self.track(y, np.flatnonzero(live & valid)))

    def b_type(self) -> Type | None:
        """Element type of B; None if the function has no B."""
        if self.fn == Fn.MAC:
            return {BMode.NONE: None, BMode.ADD32: Type.I32,
                    BMode.RESIDUAL16: Type.I16, BMode.RESIDUAL32: Type.I32}[self.b_mode]
        return {Fn.MAX: Type.I32, Fn.PICK: Type.I32, Fn.ROPE: Type.I16,
                Fn.SILU: Type.I8, Fn.GATE: Type.I16}.get(self.fn)

    def compute(self, x: Ints, b: Ints, valid: npt.NDArray[np.bool_],
                live: npt.NDArray[np.bool_]) -> Ints:
        """Outputs, saturated to the D type; what is not live does not matter."""
        if self.fn == Fn.GATE:
            wrong = x[valid & live & (x != x.astype(np.int16))]
            if len(wrong):
                raise SfuError(f"x of GATE must fit int16, not {wrong[0]}")
            x = x.astype(np.int16).astype(np.int64)
            sigmoid = wide.sigmoid(x, self.fields["shift"] + SIGMOID_FRACTION_BITS)
            rounded: Ints = numerics.rnd(sigmoid * b * x, 16)
        else:
            rounded = numerics.rnd(self.pre(x, b) * self.multiplier(len(x)), self.shift(len(x)))
        if self.fn == Fn.EXP:
            table = sfu_wide.EXP12 if self.fields["digits"] else numerics.EXP
            weights = table[np.clip(rounded, 0, 255)]
            return np.where(valid & (x != INT32_MIN), weights, 0)
        if self.fn == Fn.MAC and self.b_mode in (BMode.RESIDUAL16, BMode.RESIDUAL32):
            rounded = rounded + b
        rounded = np.asarray(np.where(valid, rounded, INT32_MIN))
        if self.fields["digits"]:
            return sfu_wide.sat11(rounded) if self.fields["wide"] else sfu_wide.sat12(rounded)
        if self.d_type == Type.I8:
            return numerics.clip8(rounded) if self.fields["wide"] else numerics.sat8(rounded)
        if self.d_type == Type.I16:
            return numerics.sat16(rounded)
        if self.d_type == Type.I24:
            return sfu_wide.sat24(rounded)
        return np.clip(rounded, INT32_MIN, -INT32_MIN - 1)

    def pre(self, x: Ints, b: Ints) -> Ints:
        """What is multiplied."""
        if self.fn == Fn.MAX:
            return np.maximum(x, b)
        if self.fn == Fn.PICK:
            rows, others = x.reshape(-1, self.lanes), b.reshape(-1, self.lanes)
            better = ((others[:, 0] > rows[:, 0])
                      | (others[:, 0] == rows[:, 0]) & (others[:, 1] < rows[:, 1]))
            return np.where(better[:, None], others, rows).ravel()
        if self.fn == Fn.ROPE:
            x = x.astype(np.int16).astype(np.int64)
            y = np.empty_like(x)
            y[0::2] = x[0::2] * b[0::2] - x[1::2] * b[1::2]
            y[1::2] = x[0::2] * b[1::2] + x[1::2] * b[0::2]
            return y
        if self.fn == Fn.SILU:
            return np.asarray(self.silu.astype(np.int64)[x & 255] * b)
        if self.fn == Fn.EXP:
            return np.asarray(self.c[0] - x)
        return x + b if self.b_mode == BMode.ADD32 else x

    def multiplier(self, count: int) -> Ints | int:
        """M of every element, or of all."""
        mode = self.fields["m_mode"]
        if mode == MMode.PARAM:
            beats = np.arange(count // self.lanes)
            words = self.params[(self.fields["param"] + beats) % len(self.params)]
            return words.astype(np.int64).ravel()
        if mode == MMode.FIXED:
            return int(self.param()[0])
        return int(self.c[0]) & 0xFFFF if mode == MMode.SCALAR else 1

    def shift(self, count: int) -> int:
        """S of a vector of ``count`` elements."""
        given, c = self.fields["shift"], int(self.c[1])
        if self.fields["less"]:
            if count and not 0 <= c <= given:
                raise SfuError(f"lane 1 of C must be between 0 and the shift {given} that it "
                               f"lessens, not {c}")
            return given - c if count else 0
        if self.fields["m_mode"] != MMode.SCALAR:
            return given
        if count and not 0 <= c <= SHIFT_MAX:
            raise SfuError(f"lane 1 of C, a shift, must be between 0 and {SHIFT_MAX}, not {c}")
        return c if count else 0

    def track(self, y: Ints, taking_part: npt.NDArray[np.intp]) -> tuple[int, ...]:
        """Lanes of word C."""
        y = y[taking_part]
        if self.fields["track"] == Track.SUMSQ:
            if self.d_type == Type.I32:
                raise SfuError("d_type must be I8, I16 or I24 under SUMSQ, not I32")
            if self.d_type == Type.I24:
                return sfu_wide.sum_digits(int(numerics.square_sum(y)))
            return (min(int((y * y).sum()), SUM_MAX),)
        if self.fields["magnitude"]:
            return (min(int(np.abs(y).max()), SUM_MAX) if len(y) else 0,)
        top = int(y.max()) if len(y) else INT32_MIN
        if self.fields["track"] == Track.MAX:
            return (top,)
        first = int(taking_part[y.argmax()]) if len(y) else 0
        return (top, (self.fields["b_wrap"] << 12 | self.fields["b_addr"]) + first)

    def read(self, name: str, kind: Type, beats: int, wrap: int = LENGTH_MAX) -> Ints:
        """Elements of a packed vector, which starts again after ``wrap`` beats."""
        per_word = 4 // DTYPES[kind].itemsize
        distinct = min(beats, wrap)
        self.check_overwriting(name, kind, beats, wrap)
        words = self.words[self.at(name, -(-distinct // per_word))]
        elements = words.view(DTYPES[kind]).ravel()[:distinct * self.lanes].astype(np.int64)
        return elements if distinct == beats else np.resize(elements, beats * self.lanes)

    def write(self, y: Ints) -> None:
        """Write the outputs, under ``digits`` as two vectors."""
        if not self.fields["digits"]:
            self.pack("d_addr", y)
            return
        per_word = 4 * self.lanes
        high, low = (self.at(name, -(-len(y) // per_word)) for name in ("d_addr", "b_addr"))
        if np.isin(high, low).any():
            raise SfuError("d_addr and b_addr must be apart by the vector that digits write to "
                           "each")
        self.pack("d_addr", y >> DIGIT_BITS)
        self.pack("b_addr", y & (1 << DIGIT_BITS) - 1)

    def pack(self, name: str, y: Ints) -> None:
        """Pack a vector, the rest of the last word 0."""
        per_word = 4 * self.lanes // DTYPES[self.d_type].itemsize
        rows = np.zeros((-(-len(y) // per_word), per_word), DTYPES[self.d_type])
        rows.reshape(-1)[:len(y)] = y
        self.words[self.at(name, len(rows))] = rows.view(np.uint8)

    def check_overwriting(self, name: str, kind: Type, beats: int, wrap: int) -> None:
        """Refuse a D vector that would change operand words not yet read.

        The operand starts again after ``wrap`` of its beats.
        """
        if not beats:
            return
        for target in ("d_addr", "b_addr") if self.fields["digits"] else ("d_addr",):
            self.check_target(target, name, kind, beats, wrap)

    def check_target(self, target: str, name: str, kind: Type, beats: int, wrap: int) -> None:
        """Refuse a vector at ``target`` that would change words of ``name`` not yet read."""
        d_per_word, per_word = (4 // DTYPES[each].itemsize for each in (self.d_type, kind))
        d_words = self.at(target, -(-beats // d_per_word))
        words = self.at(name, -(-min(beats, wrap) // per_word))
        if (words[0] <= words[-1] < d_words[0] <= d_words[-1]
                or d_words[0] <= d_words[-1] < words[0] <= words[-1]):
            return
        # By address: the last beat that may still read the word.
        limit = np.full(len(self.words), beats)
        limit[d_words] = np.minimum((np.arange(len(d_words)) + 1) * d_per_word, beats) - 1
        taken = np.arange(beats) % wrap
        late = np.arange(beats) > limit[words[taken // per_word]]
        if (late & (taken % per_word == 0)).any():
            raise SfuError(f"{name} must be read before {target} is written over it")
