"""Directed instructions for what an SFU of 24 bits adds: ends of every range."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ouroboros.hw.params.isa import BMode, Fn, MMode, Op, Track, Type, assemble, disassemble
from ouroboros.hw.params.machine import Machine
from ouroboros.sw.golden.sfu import SfuGolden
from ouroboros.tb.sfu.cases import SOURCE, Case

__all__ = ["bounds"]

TOP = (1 << 23) - 1
LOW, HIGH = -1 << 31, (1 << 31) - 1


def bounds(machine: Machine, golden: SfuGolden, buffer: npt.NDArray[np.uint8]) -> Iterator[Case]:
    """Saturation, squares, sums, gates, magnitudes, exponents, digits; prepares the buffer."""
    place = _Place(machine, buffer)
    golden.params[0] = 64
    golden.params[1, :4] = (0, 0, 65535, 9)
    golden.params[2, :4] = (65535, 65535, 65535, 9)
    golden.params[3] = 65535
    for part in (_residual, _squares, _totals, _gates, _magnitudes, _digits, _shifts):
        yield from part(place)


class _Place:
    """Where operands of the cases go, one after the other."""

    def __init__(self, machine: Machine, buffer: npt.NDArray[np.uint8]):
        self.lanes = machine.core.lanes
        self.words = buffer.reshape(-1, 4 * self.lanes)
        self.at = SOURCE

    def put(self, values: list[int], kind: Type = Type.I32) -> int:
        """Word from which on the values lie."""
        data = np.array(values).astype(f"<i{kind.bytes}").tobytes()
        first, count = self.at, -(-len(data) // self.words.shape[1])
        self.words[first:first + count].reshape(-1)[:len(data)] = np.frombuffer(data, np.uint8)
        self.at += count
        assert self.at <= len(self.words), f"buffer must hold {self.at} words"
        return first

    def case(self, fn: Fn, length: int, **fields: int) -> Case:
        """An instruction that by default copies int32."""
        return Case({**disassemble(assemble(Op.SFU))[1], "a_type": Type.I32, "d_type": Type.I32,
                     "m_mode": MMode.UNITY, "fn": fn, "length": length, "d_addr": 1, **fields})


def _residual(place: _Place) -> Iterator[Case]:
    """Sums x + acc at the ends of 24 and of 32 bits."""
    x = [TOP, TOP - 1, -TOP, 1 - TOP, HIGH, LOW, HIGH, 0]
    acc = [1, 1, -1, -1, HIGH, LOW, LOW, -TOP - 1]
    a, b = place.put(acc), place.put(x)
    for d_type in Type:
        yield place.case(Fn.MAC, 8, a_addr=a, b_addr=b, b_mode=BMode.RESIDUAL32, d_type=d_type)


def _squares(place: _Place) -> Iterator[Case]:
    """Squares around 2**15 and at the largest; a second beat must add up."""
    near = [(1 << 15) - 1, 1 << 15, (1 << 15) + 127, (1 << 15) + 128, TOP - 127, TOP - 128, TOP, 0]
    at = place.put([sign * z for sign in (1, -1) for z in near])
    for length in (1, 2, 3, 4, 6, 7, 16):
        yield place.case(Fn.MAC, length, a_addr=at, a_type=Type.I24, d_type=Type.I24,
                         track=Track.SUMSQ)
    at = place.put([-32768, 32767, -32768, -1], Type.I16)
    for length in (1, 2, 3, 4):
        yield place.case(Fn.MAC, length, a_addr=at, a_type=Type.I16, d_type=Type.I16,
                         track=Track.SUMSQ)


def _totals(place: _Place) -> Iterator[Case]:
    """RSQRT of sums of every length up to 64 bits, RECIP and EXPONENT at theirs."""
    for bits in (0, 1, 6, 8, 9, 10, 31, 32, 33, 48, 49, 56, 57, 62, 63, 64):
        for total in ((1 << bits) - 1, 1 << bits):
            if total >> 64:
                continue
            at = place.put([total >> 16 * n & 0xFFFF for n in range(4)])
            yield place.case(Fn.RSQRT, 0, c_addr=at, param=1)
            if total + (1 << 32) < 1 << 64:
                yield place.case(Fn.RSQRT, 0, c_addr=at, param=2)
    for lanes in ([HIGH, HIGH, HIGH, 30000], [-1, -1, HIGH, 0], [-1, -1, 0, 65534]):
        yield place.case(Fn.RSQRT, 0, c_addr=place.put(lanes), param=1)
    for value in (0, 1, 2047, 2048, 4095, 4096, (1 << 30) - 1, 1 << 30, HIGH):
        at = place.put([value, value, -1, -1])
        for kept in (0, 7, 11, 63):
            yield place.case(Fn.EXPONENT, 0, c_addr=at, shift=kept)
        yield place.case(Fn.RECIP, 0, c_addr=at)


def _gates(place: _Place) -> Iterator[Case]:
    """Indices around the ends of the table, with every sign and the largest factors."""
    u = [0, 1, -1, 255, 256, -255, -256, -257, 32767, -32768, -32768, 32767, 254, 257, 16, -16]
    t = [7, 32767, -32768, 32767, 32767, -32768, 32767, 5, -32768, -32768, 32767, 32767, 3, -9,
         1, -1]
    a, b = place.put(u, Type.I16), place.put(t, Type.I16)
    for shift in (0, 1, 3, 6, 14, 15):
        yield place.case(Fn.GATE, 16, a_addr=a, a_type=Type.I16, b_addr=b, shift=shift,
                         track=Track.MAX, magnitude=1)


def _magnitudes(place: _Place) -> Iterator[Case]:
    """The least values of all, alone and beside others; none at all."""
    for values in ([LOW, 0, 0, 0], [LOW + 1, LOW, 0, 0], [5, -6, 4, -3], [-1, 1, 0, 0]):
        at = place.put(values)
        for length in (0, 1, 2, 4):
            yield place.case(Fn.MAC, length, a_addr=at, track=Track.MAX, magnitude=1)
    lanes = place.lanes
    for valid in ([0] * lanes, [1] + [0] * (lanes - 1)):
        yield Case({**place.case(Fn.MAC, lanes, track=Track.MAX, magnitude=1).fields,
                    "a_array": 1}, drain=[([-9] * lanes, valid)])


def _digits(place: _Place) -> Iterator[Case]:
    """Both ends of f and of a digit, in vectors that end in each beat of a word; e of 12 bits."""
    lanes = place.lanes
    values = [2047, 2048, -2047, -2048, 1023, 1024, -1023, -1024, 63, 64, -1, -64, -65, 0, HIGH,
              LOW, 4095, 1, -63, 127]
    at = place.put([values[n % len(values)] for n in range(6 * lanes)])
    scale = place.put([1, 3, 0, 0])
    for beats in range(7):
        length = max(beats * lanes - 1, 0)
        yield place.case(Fn.MAC, length, a_addr=at, d_type=Type.I8, b_addr=9, digits=1)
        yield place.case(Fn.MAC, length, a_addr=at, d_type=Type.I8, b_addr=9, digits=1,
                         m_mode=MMode.SCALAR, c_addr=scale)
        yield place.case(Fn.MAC, length, a_addr=at, d_type=Type.I8, b_addr=9, digits=1, wide=1)
        yield place.case(Fn.EXP, length, a_addr=at, d_type=Type.I8, b_addr=9, digits=1,
                         m_mode=MMode.FIXED, param=0, shift=beats, c_addr=12)
    steps = place.put([-16 * n for n in range(4 * lanes)])
    top = place.put([0] * lanes)
    for kind in ({"digits": 1, "b_addr": 9}, {}):
        yield place.case(Fn.EXP, 4 * lanes, a_addr=steps, d_type=Type.I8, c_addr=top, shift=4,
                         **kind)


def _shifts(place: _Place) -> Iterator[Case]:
    """Shifts that word C lessens to nothing, or not at all."""
    a = place.put([HIGH, LOW, 3, -3])
    for shift, less in ((0, 0), (63, 63), (63, 0), (36, 20), (1, 1), (40, 39)):
        c = place.put([1, less, 0, 0])
        for m_mode in (MMode.PARAM, MMode.FIXED, MMode.UNITY):
            yield place.case(Fn.MAC, 4, a_addr=a, c_addr=c, m_mode=m_mode, param=3, shift=shift,
                             less=1)
