"""Instructions for the SFU with the data that they work on, directed and random."""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import cycle

import numpy as np
import numpy.typing as npt

from ouroboros.hw.params.isa import (
    SCALAR_FUNCTIONS,
    BMode,
    Fn,
    MMode,
    Op,
    Track,
    Type,
    assemble,
    disassemble,
)
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.timing.sfu import writes_c
from ouroboros.sw.golden.sfu import SfuError, SfuGolden

__all__ = ["SOURCE", "Case", "SfuCases", "corners", "extremes", "functions", "numbers"]

REGIONS, REGION_WORDS = 4, 12
"""Random cases write to these regions in turn, so that those in flight do not meet."""
SOURCE = REGIONS * REGION_WORDS
"""First word that is only read."""


def functions(machine: Machine) -> list[Fn]:
    """Functions that the machine's SFU has."""
    return [fn for fn in Fn if machine.core.residual_bits == 24
            or fn not in (Fn.GATE, Fn.EXPONENT)]


@dataclass
class Case:
    """One instruction, and what the array offers to it."""

    fields: Mapping[str, int]
    base: int = 0
    tokens: int = 0
    slot: int = 0
    drain: list[tuple[list[int], list[int]]] = field(default_factory=list)
    """Beats of values and valid bits."""

    @property
    def instruction(self) -> int:
        """The instruction word."""
        named = {k: v for k, v in self.fields.items() if k not in ("op", "skip", "need", "spare")}
        return assemble(Op.SFU, **named)

    def length(self) -> int:
        """Elements."""
        return self.tokens if self.fields["tokens"] else self.fields["length"]

    def run(self, golden: SfuGolden, buffer: npt.NDArray[np.uint8]) -> int:
        """Execute on the golden model; gives the elements."""
        def take(count: int) -> tuple[list[int], list[int]]:
            values = [value for beat, _ in self.drain for value in beat]
            marks = [mark for _, beat in self.drain for mark in beat]
            assert len(values) == count, f"drain must have {count} elements, not {len(values)}"
            return values, marks

        return golden.run(self.fields, buffer, base=self.base, tokens=self.tokens, drain=take)


class SfuCases:
    """Random sources of instructions, operands, parameters and stalls for one machine."""

    def __init__(self, machine: Machine, seed: int):
        self.machine, self.wide = machine, machine.core.residual_bits == 24
        self.rng = random.Random(seed)
        lanes = machine.core.lanes
        self.turn = 0
        self.golden = SfuGolden(machine)
        self.golden.params[:] = [[self.rng.choice((self.rng.getrandbits(16), 65535, 1))
                                  for _ in range(lanes)] for _ in self.golden.params]
        self.golden.silu[:] = [self.rng.randrange(-1 << 15, 1 << 15) for _ in range(256)]
        self.buffer = np.frombuffer(bytearray(
            b"".join(self._word() for _ in range(machine.core.buffer_words))), np.uint8)
        self._after = self.buffer.copy()

    def _word(self) -> bytes:
        lanes = self.machine.core.lanes
        kind = self.rng.random()
        if kind < 0.2:
            return self.rng.randbytes(4 * lanes)
        if kind < 0.5:  # a word C that holds a factor and a shift
            pair = [self.rng.choice((1, self.rng.getrandbits(16))), self.rng.randrange(64)]
            return np.array([*pair, *numbers(self.rng, lanes - 2)], "<i4").tobytes()
        if kind < 0.6:  # .. or digits, added up over slices
            bits = self.rng.randrange(1, 32)
            digits = [self.rng.getrandbits(bits) for _ in range(3)]
            return np.array([*digits, self.rng.getrandbits(min(bits, 15)), *[0] * (lanes - 4)],
                            "<i4").tobytes()
        return np.array(numbers(self.rng, lanes), "<i4").tobytes()

    def case(self, fn: int | None = None, *, keep: Callable[[Case], bool] | None = None) -> Case:
        """One instruction that the golden model accepts, of ``fn`` and as ``keep`` wants it.

        It is accepted on the buffer that those before it have left: they run in this order.
        """
        while True:
            case = self._any(self.rng.choice(functions(self.machine)) if fn is None else fn)
            if keep is not None and not keep(case):
                continue
            after = self._after.copy()
            try:
                case.run(self.golden, after)
            except SfuError:
                continue
            self._after = after
            self.turn = (self.turn + 1) % REGIONS
            return case

    def _any(self, fn: int) -> Case:
        rng, lanes = self.rng, self.machine.core.lanes
        length = rng.choice((0, 1, lanes - 1, lanes, lanes + 1, rng.randrange(8 * lanes)))
        base = rng.randrange(self.machine.core.buffer_words)

        def word(low: int, high: int) -> int:
            return (rng.randrange(low, high) - base) % 4096

        types = list(Type)[:None if self.wide else 3]
        region = self.turn * REGION_WORDS
        source = (SOURCE, self.machine.core.buffer_words - 8)
        d_addr = word(region, region + REGION_WORDS - 7)
        fields = {
            **disassemble(assemble(Op.SFU))[1], "fn": fn,
            "a_array": int(rng.random() < 0.4), "a_type": rng.choice(types),
            "a_addr": d_addr if rng.random() < 0.2 else word(*source),
            "b_mode": rng.choice(list(BMode)[:None if self.wide else 3]), "b_addr": word(*source),
            "b_wrap": rng.choice((0, 0, 1, 3)),
            "c_addr": word(region, region + REGION_WORDS) if rng.random() < 0.5 else word(*source),
            "d_type": rng.choice(types), "d_addr": d_addr, "length": length,
            "param": rng.getrandbits(12), "m_mode": rng.choice(list(MMode)),
            "shift": rng.choice((0, 1, 31, 63, rng.randrange(16, 34), rng.randrange(64))),
            "wide": rng.getrandbits(1), "track": rng.choice(list(Track)),
            "release": rng.getrandbits(1), "tokens": int(rng.random() < 0.2)}
        if writes_c(fn, fields["track"]):
            fields["c_addr"] = word(region, region + REGION_WORDS)
        if self.wide:
            self._widen(fields, word(region, region + REGION_WORDS))
        if fn in (Fn.MAX, Fn.PICK, Fn.EXP) and rng.random() < 0.8:
            fields["a_type"] = Type.I32
        tokens = length if fields["tokens"] else rng.randrange(100)
        if fields["tokens"]:
            fields["length"] = rng.randrange(100)
        drain = []
        if fields["a_array"] and fn not in SCALAR_FUNCTIONS:
            for _ in range(-(-length // lanes)):
                all_valid = rng.random() < 0.5
                drain.append((numbers(rng, lanes),
                              [1 if all_valid else rng.getrandbits(1) for _ in range(lanes)]))
        return Case(fields, base, tokens, rng.randrange(self.machine.core.slots), drain)


    def _widen(self, fields: dict[str, int], low_addr: int) -> None:
        """What only an SFU for 24 bits executes."""
        rng, fn = self.rng, fields["fn"]
        if fn == Fn.GATE:
            fields |= {"m_mode": MMode.UNITY, "shift": rng.randrange(16),
                       "a_type": rng.choice((Type.I8, Type.I16))}
        plain = fn == Fn.MAC and rng.random() < 0.3
        if plain or (fn == Fn.EXP and rng.random() < 0.5):
            fields |= {"digits": 1, "d_type": Type.I8, "b_mode": BMode.NONE, "b_wrap": 0,
                       "b_addr": low_addr, "track": Track.NONE}
        if fn == Fn.MAC and fields["m_mode"] != MMode.SCALAR:
            fields["less"] = int(rng.random() < 0.3)
        if fields["track"] == Track.MAX:
            fields["magnitude"] = rng.getrandbits(1)


def numbers(rng: random.Random, count: int) -> list[int]:
    """Values of int32 of every magnitude, extremes among them."""
    def one() -> int:
        if rng.random() < 0.2:
            return rng.choice((-1 << 31, (1 << 31) - 1, 0, 1, -1, 127, -128, 32767, -32768))
        return rng.randrange(1 << rng.randrange(1, 32)) * rng.choice((1, -1))

    return [one() for _ in range(count)]


def extremes(machine: Machine, golden: SfuGolden, buffer: npt.NDArray[np.uint8]) -> Iterator[Case]:
    """MAC at the limits of x, B, M and S, for every D type; prepares golden and buffer."""
    words = buffer.view("<i4").reshape(-1, machine.core.lanes)
    low, high = -1 << 31, (1 << 31) - 1
    values = np.resize([low, high, low, high, -1, 0, 1, low + 1], 2 * machine.core.lanes)
    words[SOURCE:SOURCE + 2] = values.reshape(2, -1)
    words[SOURCE + 2:SOURCE + 4] = np.resize([low, high, high, low], values.size).reshape(2, -1)
    golden.params[:3] = [[0] * machine.core.lanes, [1] * machine.core.lanes,
                         [65535] * machine.core.lanes]
    types = list(Type)[:None if machine.core.residual_bits == 24 else 3]
    kinds = cycle((kind, wide) for kind in types for wide in (0, 1))
    for shift in (0, 1, 15, 31, 47, 48, 49, 63):
        for param in range(3):
            for b_mode in list(BMode)[:None if machine.core.residual_bits == 24 else 3]:
                kind, wide = next(kinds)
                yield Case({
                    **disassemble(assemble(Op.SFU))[1], "fn": Fn.MAC, "a_type": Type.I32,
                    "a_addr": SOURCE, "b_mode": b_mode, "b_addr": SOURCE + 2, "d_type": kind,
                    "wide": wide, "length": 2 * machine.core.lanes, "param": param,
                    "m_mode": MMode.FIXED, "shift": shift})


def corners(machine: Machine, golden: SfuGolden, buffer: npt.NDArray[np.uint8]) -> Iterator[Case]:
    """Ties, empty maxima, saturated sums, and the ends of each table's ranges."""
    lanes = machine.core.lanes
    words = buffer.view("<i4").reshape(-1, lanes)
    low, high = -1 << 31, (1 << 31) - 1
    unity = {**disassemble(assemble(Op.SFU))[1], "a_type": Type.I32, "d_type": Type.I32,
             "m_mode": MMode.UNITY, "a_addr": SOURCE, "c_addr": 0, "d_addr": 1}

    for n, (ours, other) in enumerate([((7, 3), (7, 2)), ((7, 2), (7, 3)), ((-7, 0), (-6, 9)),
                                       ((low, 1), (low, 0)), ((high, 0), (low, 0))]):
        words[SOURCE + n, :2], words[SOURCE + 8 + n, :2] = ours, other
    yield Case({**unity, "fn": Fn.PICK, "b_addr": SOURCE + 8, "length": 5 * lanes})

    words[SOURCE + 16:SOURCE + 18] = 5
    for track in (Track.MAX, Track.ARGMAX):
        yield Case({**unity, "track": track, "a_addr": SOURCE + 16, "length": 2 * lanes,
                    "b_addr": 0xFFF, "b_wrap": 63})
        some = [0] * (lanes - 1) + [1]
        for beats in ([[0] * lanes, [0] * lanes], [[0] * lanes, some], [some, [1] * lanes]):
            yield Case({**unity, "track": track, "a_array": 1, "length": 2 * lanes},
                       drain=[([low] * lanes, valid) for valid in beats])
    for value in (32767, -32768):
        words[SOURCE + 18:SOURCE + 20] = value
        for length in (1, 2, 3, 2 * lanes):
            yield Case({**unity, "track": Track.SUMSQ, "a_addr": SOURCE + 18, "length": length,
                        "d_type": Type.I16})

    golden.params[:2] = 0
    golden.params[0, :4] = (0, 0, 65535, 13)
    golden.params[1, :4] = (65535, 65535, 32769, 0)
    at = SOURCE + 24
    for bits in (0, 1, 6, 8, 9, 10, 20, 30, 31):
        for value in ((1 << bits) - 1, min(1 << bits, high)):
            words[at] = 0
            words[at, :2] = value
            for fn, param in ((Fn.RECIP, 0), (Fn.RSQRT, 0), (Fn.RSQRT, 1)):
                yield Case({**unity, "fn": fn, "c_addr": at, "param": param})
            at += 1
