"""What the SFU does on machines with a residual of 24 bits, against formulas in plain integers."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroboros.hw.params import tables
from ouroboros.hw.params.isa import BMode, Fn, MMode, Op, Track, Type, assemble, disassemble
from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.golden import sfu_wide, wide
from ouroboros.sw.golden.sfu import SfuError, SfuGolden

TINY = load_machine("tiny")
WIDE = replace(TINY, core=replace(TINY.core, residual_bits=24))
LANES = TINY.core.lanes
A, B, C, D = 10, 60, 110, 120
LOW, HIGH, TOP24 = -1 << 31, (1 << 31) - 1, (1 << 23) - 1

int8s, int16s, int32s = (st.integers(-1 << bits - 1, (1 << bits - 1) - 1) for bits in (8, 16, 32))
int24s = st.integers(-TOP24, TOP24) | st.sampled_from(
    [sign * near for near in (0, 1, 127, 128, (1 << 15) - 1, 1 << 15, (1 << 15) + 127,
                              (1 << 15) + 128, TOP24) for sign in (1, -1)])


def halves_up(value, shift):
    """Nearest multiple of 2**shift, halves upwards, by division."""
    return math.floor(value / 2**shift) if shift == 0 else (2 * value + 2**shift) // 2**(shift + 1)


class Core:
    """An SFU with a buffer, seen as vectors."""

    def __init__(self, machine=WIDE):
        self.sfu = SfuGolden(machine)
        self.words = np.full((machine.core.buffer_words, 4 * LANES), 0xAA, np.uint8)

    def put(self, at, values, kind=Type.I32):
        data = np.array(values).astype(f"<i{kind.bytes}").tobytes()
        self.words.reshape(-1)[at * 4 * LANES:][:len(data)] = np.frombuffer(data, np.uint8)

    def get(self, at, count, kind=Type.I32):
        flat = self.words.reshape(-1)[at * 4 * LANES:][:count * kind.bytes]
        return flat.view(f"<i{kind.bytes}").tolist()

    def run(self, fn, length, *, drain=None, **fields):
        word = assemble(Op.SFU, fn=fn, length=length, **{
            "a_addr": A, "b_addr": B, "c_addr": C, "d_addr": D, "a_type": Type.I32,
            "d_type": Type.I32, "m_mode": MMode.UNITY, **fields})
        return self.sfu.run(disassemble(word)[1], self.words, drain=drain and (
            lambda count: tuple(np.resize(part, count) for part in drain)))


def test_tables_agree():
    assert sfu_wide.EXP12.tolist() == list(tables.EXP12)
    assert wide.SIGMOID.tolist() == list(tables.SIGMOID)
    assert (tables.EXP12[0], tables.SIGMOID[0], tables.SIGMOID[255]) == (4095, 32768, 65513)


@settings(deadline=None)
@given(acc=st.lists(int32s, min_size=1, max_size=9), data=st.data(),
       m=st.integers(0, 65535), shift=st.integers(0, 63))
def test_residual_of_24_bits_saturates(acc, data, m, shift):
    x = data.draw(st.lists(int24s | int32s, min_size=len(acc), max_size=len(acc)))
    core = Core()
    core.put(A, acc)
    core.put(B, x)
    core.sfu.params[3, 0] = m
    core.run(Fn.MAC, len(acc), b_mode=BMode.RESIDUAL32, d_type=Type.I24, m_mode=MMode.FIXED,
             param=3, shift=shift)
    assert core.get(D, len(acc)) == [
        max(-TOP24, min(TOP24, b + halves_up(a * m, shift)))
        for a, b in zip(acc, x, strict=True)]


@pytest.mark.parametrize(("a", "b", "want"), [
    (1, TOP24 - 1, TOP24), (1, TOP24, TOP24), (-1, -TOP24, -TOP24), (-1, 1 - TOP24, -TOP24),
    (HIGH, HIGH, TOP24), (LOW, LOW, -TOP24), (HIGH, LOW, -1)])
def test_borders_of_24_bits(a, b, want):
    core = Core()
    core.put(A, [a])
    core.put(B, [b])
    core.run(Fn.MAC, 1, b_mode=BMode.RESIDUAL32, d_type=Type.I24)
    assert core.get(D, LANES) == [want, 0, 0, 0]


@settings(deadline=None)
@given(x=st.lists(int24s, min_size=1, max_size=30))
def test_sum_of_squares_of_24_bits_in_four_digits(x):
    core = Core()
    core.put(A, x)
    core.run(Fn.MAC, len(x), a_type=Type.I24, d_type=Type.I24, track=Track.SUMSQ)
    total = sum(z * z if z < 2**15 else ((z + 128) // 256)**2 * 2**16 for z in map(abs, x))
    digits = core.get(C, LANES)
    assert sum(digit * 65536**n for n, digit in enumerate(digits)) == total
    assert all(0 <= digit < 65536 for digit in digits)
    assert core.get(D, len(x)) == x


def test_the_largest_sum_of_squares():
    machine = replace(WIDE, core=replace(WIDE.core, buffer_words=4096))
    core = Core(machine)
    core.put(0, [-TOP24] * 16380)
    core.run(Fn.MAC, 16380, a_addr=0, d_addr=0, c_addr=4095, d_type=Type.I24, track=Track.SUMSQ)
    digits = core.get(4095, LANES)
    assert sum(digit << 16 * n for n, digit in enumerate(digits)) == 16380 << 46


@settings(deadline=None)
@given(x=st.lists(int16s, min_size=1, max_size=12))
def test_sum_of_squares_of_16_bits_is_one_lane_as_before(x):
    found = []
    for machine in (TINY, WIDE):
        core = Core(machine)
        core.put(A, x, Type.I16)
        core.run(Fn.MAC, len(x), a_type=Type.I16, d_type=Type.I16, track=Track.SUMSQ)
        found.append(core.get(C, LANES))
    assert found[0] == found[1] == [min(sum(y * y for y in x), HIGH), 0, 0, 0]


def rsqrt(total, mg, sg):
    e = 0
    while total >> e >= 256:
        e += 2
    root = round(65535 / math.sqrt((max(total >> e, 64) + 0.5) / 64))
    return [(root * mg + 32768) // 65536, sg + (e + 6) // 2]


@settings(deadline=None)
@given(digits=st.lists(st.integers(0, HIGH), min_size=4, max_size=4).map(
           lambda lanes: [*lanes[:3], lanes[3] & 0x7FFF]),
       constant=st.integers(0, 2**32 - 1), mg=st.integers(0, 65535), sg=st.integers(0, 40))
def test_rsqrt_recombines_digits_of_many_slices(digits, constant, mg, sg):
    core = Core()
    core.put(C, digits)
    core.sfu.params[7] = [constant & 0xFFFF, constant >> 16, mg, sg]
    core.run(Fn.RSQRT, 0, param=7)
    total = sum(digit << 16 * n for n, digit in enumerate(digits)) + constant
    assert core.get(D, LANES) == [*rsqrt(total, mg, sg), 0, 0]


@pytest.mark.parametrize("bits", [0, 1, 6, 8, 9, 22, 32, 33, 50, 56, 57, 62, 63, 64])
def test_rsqrt_at_every_length_of_the_sum(bits):
    """2**62 and more has e = 56: 28 more in the shift than an e of 0."""
    for total in {max((1 << bits) - 1, 0), min(1 << bits, (1 << 64) - 1)}:
        core = Core()
        core.put(C, [total >> 16 * n & 0xFFFF for n in range(4)])
        core.sfu.params[7] = [0, 0, 65535, 9]
        core.run(Fn.RSQRT, 0, param=7)
        assert core.get(D, LANES) == [*rsqrt(total, 65535, 9), 0, 0]
    assert core.get(D, 2)[1] <= 9 + 3 + 28


def test_norm_of_24_bits_follows_the_scheme():
    x = np.random.default_rng(5).integers(-TOP24, TOP24 + 1, 40)
    core = Core()
    core.put(A, x)
    core.sfu.params[2] = [1000, 0, 45000, 16]
    core.run(Fn.MAC, 40, a_type=Type.I24, d_type=Type.I24, track=Track.SUMSQ, d_addr=A)
    core.run(Fn.RSQRT, 0, d_addr=C, param=2)
    core.run(Fn.MAC, 40, a_type=Type.I24, d_type=Type.I8, m_mode=MMode.SCALAR)
    total = 1000 + sum(z * z if z < 2**15 else ((z + 128) // 256)**2 * 2**16
                       for z in map(abs, map(int, x)))
    y, shift = rsqrt(total, 45000, 16)
    assert core.get(D, 40, Type.I8) == [
        max(-127, min(127, halves_up(int(v) * y, shift))) for v in x]


def sigmoid(i):
    """G of the scheme's step 9."""
    if not -255 <= i <= 255:
        return 0 if i < 0 else 65536
    value = round(65536 / (1 + math.exp(-abs(i) / 32)))
    return value if i >= 0 else 65536 - value


edges = st.sampled_from([-32768, -32767, 32767, *(s * v for s in (1, -1) for v in range(253, 259))])


@settings(deadline=None)
@given(u=st.lists(int16s | edges, min_size=1, max_size=9), data=st.data(), shift=st.integers(0, 15))
def test_gate(u, data, shift):
    t = data.draw(st.lists(int16s | edges, min_size=len(u), max_size=len(u)))
    core = Core()
    core.put(A, u, Type.I16)
    core.put(B, t, Type.I16)
    core.run(Fn.GATE, len(u), a_type=Type.I16, shift=shift, track=Track.MAX, magnitude=1)
    w = [halves_up(sigmoid(halves_up(x, shift)) * y * x, 16) for x, y in zip(u, t, strict=True)]
    assert core.get(D, len(u)) == w and all(abs(v) <= 1 << 30 for v in w)
    assert core.get(C, LANES) == [max(map(abs, w)), 0, 0, 0]


@pytest.mark.parametrize(("u", "g"), [
    (0, 32768), (1, round(65536 / (1 + math.exp(-1 / 32)))), (255, 65513), (256, 65536),
    (-255, 65536 - 65513), (-256, 0), (-32768, 0), (32767, 65536)])
def test_gate_at_the_ends_of_its_table(u, g):
    for t in (-32768, -1, 1, 32767):
        core = Core()
        core.put(A, [u], Type.I16)
        core.put(B, [t], Type.I16)
        core.run(Fn.GATE, 1, a_type=Type.I16)
        assert core.get(D, 1) == [(g * t * u + 32768) // 65536]


@pytest.mark.parametrize(("values", "want"), [
    ([LOW, 5, 6, 7], HIGH), ([LOW + 1, 0, 0, 0], HIGH), ([-9, 8, 0, 0], 9), ([0] * 4, 0)])
def test_largest_magnitude(values, want):
    core = Core()
    core.put(A, values)
    core.run(Fn.MAC, 4, track=Track.MAX, magnitude=1)
    assert core.get(C, LANES) == [want, 0, 0, 0]


def test_magnitude_leaves_out_what_takes_no_part():
    core = Core()
    core.run(Fn.MAC, 4, a_array=1, track=Track.MAX, magnitude=1,
             drain=([-900, 3, -4, 800], [0, 1, 1, 0]))
    assert core.get(C, LANES) == [4, 0, 0, 0]
    core.run(Fn.MAC, 4, a_array=1, track=Track.MAX, magnitude=1, drain=([5] * 4, [0] * 4))
    assert core.get(C, LANES) == [0, 0, 0, 0]


@pytest.mark.parametrize(("largest", "want"), [
    (0, 0), (1, 0), (1023, 0), (2047, 0), (2048, 1), (4095, 1), (4096, 2), ((1 << 30) - 1, 19),
    (1 << 30, 20), (HIGH, 20)])
def test_exponent(largest, want):
    core = Core()
    core.put(C, [largest, -1, -1, -1])
    core.run(Fn.EXPONENT, 0, shift=11)
    assert core.get(D, LANES) == [1, want, 0, 0]


@settings(deadline=None)
@given(w=st.lists(int32s, min_size=1, max_size=40), ef=st.integers(0, 21),
       bits=st.sampled_from((11, 12)))
def test_digits_of_f(w, ef, bits):
    core = Core()
    core.put(A, w)
    core.put(C, [1, ef, 0, 0])
    core.run(Fn.MAC, len(w), d_type=Type.I8, m_mode=MMode.SCALAR, digits=1,
             wide=int(bits == 11))
    top = (1 << bits - 1) - 1
    f = [max(-top, min(top, halves_up(v, ef))) for v in w]
    padded = -(-len(w) // 16) * 16
    high, low = core.get(D, padded, Type.I8), core.get(B, padded, Type.I8)
    assert [64 * h + m for h, m in zip(high, low, strict=True)] == f + [0] * (padded - len(w))
    assert all(0 <= value < 64 for value in low) and all(-32 <= value < 32 for value in high)
    assert (core.words[[D + padded // 16, B + padded // 16]] == 0xAA).all()


@settings(deadline=None)
@given(scores=st.lists(int32s, min_size=1, max_size=40), me=st.integers(0, 65535),
       se=st.integers(16, 40))
def test_exp_of_12_bits(scores, me, se):
    core = Core()
    core.put(A, scores)
    core.put(C, [max(scores), 7, 7, 7])
    core.sfu.params[1] = me
    core.run(Fn.EXP, len(scores), d_type=Type.I8, m_mode=MMode.FIXED, param=1, shift=se, digits=1)
    steps = [min(halves_up((max(scores) - s) * me, se), 255) for s in scores]
    e = [0 if j == 255 or s == LOW else round(4095 * 2**(-j / 16))
         for j, s in zip(steps, scores, strict=True)]
    high, low = core.get(D, len(e), Type.I8), core.get(B, len(e), Type.I8)
    assert [64 * h + m for h, m in zip(high, low, strict=True)] == e
    assert all(0 <= value < 64 for value in (*high, *low))
    assert core.get(C, LANES) == [max(scores), sum(e), 0, 0]


def test_recombination_of_two_passes():
    rng = np.random.default_rng(1)
    f, column = rng.integers(-2047, 2048, 300), rng.integers(-127, 128, 300)
    core = Core()
    core.sfu.params[4] = 64
    core.put(A, [int((f & 63) @ column)])
    core.run(Fn.MAC, 1, a_array=1, d_addr=D, m_mode=MMode.FIXED, param=4,
             drain=([int((f >> 6) @ column)], [1]))
    core.run(Fn.MAC, 1, a_addr=D, b_addr=A, b_mode=BMode.ADD32)
    assert core.get(D, 1) == [int(f @ column)]


@settings(deadline=None)
@given(acc=st.lists(int32s, min_size=1, max_size=9), shift=st.integers(0, 63), data=st.data())
def test_shifts_that_word_c_lessens(acc, shift, data):
    less = data.draw(st.integers(0, shift))
    core = Core()
    core.put(A, acc)
    core.put(C, [12345, less, 0, 0])
    core.sfu.params[20:23] = np.arange(12).reshape(3, 4) * 5000
    core.run(Fn.MAC, len(acc), m_mode=MMode.PARAM, param=20, shift=shift, less=1)
    assert core.get(D, len(acc)) == [
        max(LOW, min(HIGH, halves_up(a * 5000 * n, shift - less))) for n, a in enumerate(acc)]


MAC8 = {"fn": Fn.MAC, "d_type": Type.I8}


@pytest.mark.parametrize(("fields", "name"), [
    ({"fn": Fn.GATE}, "fn GATE"), ({"fn": Fn.EXPONENT}, "fn EXPONENT"),
    ({"d_type": Type.I24}, "d_type I24"), ({"a_type": Type.I24}, "a_type I24"),
    ({"b_mode": BMode.RESIDUAL32}, "b_mode RESIDUAL32"), ({"less": 1}, "less"),
    ({"track": Track.MAX, "magnitude": 1}, "magnitude"), ({**MAC8, "digits": 1}, "digits"),
    ({"fn": Fn.EXP, "digits": 1, "d_type": Type.I24}, "d_type I24, digits")])
def test_a_machine_of_16_bits_refuses_by_name(fields, name):
    with pytest.raises(SfuError, match=rf"^{name}: core.residual_bits of the machine must be 24, "
                                       "not 16$"):
        Core(TINY).run(length=4, **{"fn": Fn.MAC, **fields})


@pytest.mark.parametrize(("fields", "message"), [
    ({"digits": 1}, "digits must stand .* not in MAC with d_type I32"),
    ({**MAC8, "digits": 1, "b_mode": BMode.ADD32}, "digits must stand .* not in MAC"),
    ({**MAC8, "digits": 1, "b_wrap": 1}, "digits must stand .* not in MAC"),
    ({**MAC8, "digits": 1, "track": Track.MAX}, "digits must stand .* not in MAC"),
    ({"fn": Fn.ROPE, "digits": 1, "d_type": Type.I8}, "digits must stand .* not in ROPE"),
    ({**MAC8, "digits": 1, "b_addr": D}, "d_addr and b_addr must be apart by .*"),
    ({**MAC8, "digits": 1, "b_addr": D + 1, "length": 20}, "d_addr and b_addr must be apart by .*"),
    ({**MAC8, "digits": 1, "b_addr": A + 4, "length": 20},
     "a_addr must be read before b_addr is written over it"),
    ({"less": 1, "m_mode": MMode.SCALAR}, "less must stand in MAC .* not in MAC .* SCALAR"),
    ({"less": 1, "fn": Fn.EXP}, "less must stand in MAC .* not in EXP .* UNITY"),
    ({"less": 1, "shift": 5, "c_addr": C},
     "lane 1 of C must be between 0 and the shift 5 .* not 6"),
    ({"m_mode": MMode.SCALAR, "c_addr": C + 1}, "lane 1 of C, a shift, .* 0 and 63, not 64"),
    ({"magnitude": 1}, "magnitude must stand beside track MAX, not NONE"),
    ({"magnitude": 1, "track": Track.ARGMAX}, "magnitude must stand .* not ARGMAX"),
    ({"fn": Fn.GATE, "m_mode": MMode.FIXED}, "GATE must have m_mode UNITY .* not FIXED and 0"),
    ({"fn": Fn.GATE, "shift": 16}, "GATE must have .* shift up to 15, not UNITY and 16"),
    ({"fn": Fn.GATE}, "x of GATE must fit int16, not 32768"),
    ({"fn": Fn.EXPONENT, "c_addr": C + 2}, "m of EXPONENT must not be negative, as -1 is"),
    ({"fn": Fn.RSQRT, "c_addr": C + 2}, r"ss \+ c must fit 64 bits, not 81"),
    ({"track": Track.SUMSQ}, "d_type must be I8, I16 or I24 under SUMSQ, not I32"),
])
def test_refuses(fields, message):
    core = Core()
    core.put(A, [32768] * 20)
    core.put(C, [[0, 6, 0, 0], [0, 64, 0, 0], [-1] * 4])
    with pytest.raises(SfuError, match=f"^{message}"):
        core.run(**{"length": 4, "fn": Fn.MAC, **fields})


def test_what_does_not_matter_is_not_refused():
    """Past the end of a vector, in elements that take no part, and in an empty vector."""
    core = Core()
    core.put(A, [1, 2, 32768, 32768])
    core.run(Fn.GATE, 2)
    core.run(Fn.GATE, 4, a_array=1, drain=([1, 2, 99999, 3], [1, 1, 0, 1]))
    core.put(C, [0, 64, 0, 0])
    core.run(Fn.MAC, 0, m_mode=MMode.SCALAR)
