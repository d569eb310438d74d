import random
from dataclasses import replace

import numpy as np
import pytest

from ouroboros.hw.params import tables
from ouroboros.hw.params.isa import BMode, Fn, MMode, Op, Track, Type, assemble, disassemble
from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.golden import numerics
from ouroboros.sw.golden.sfu import SfuError, SfuGolden

MACHINE = load_machine("tiny")
LANES = MACHINE.core.lanes
A, B, C, D = 10, 30, 50, 60
LOW, HIGH = -1 << 31, (1 << 31) - 1


class Core:
    """An SFU with a buffer, seen as vectors."""

    def __init__(self, machine=MACHINE):
        self.sfu = SfuGolden(machine)
        self.words = np.full((machine.core.buffer_words, 4 * machine.core.lanes), 0xAA, np.uint8)
        self.drained = 0

    def put(self, at, values, kind=Type.I32):
        data = np.array(values, f"<i{kind.bytes}").tobytes()
        flat = self.words.reshape(-1)
        flat[at * self.words.shape[1]:][:len(data)] = np.frombuffer(data, np.uint8)

    def get(self, at, count, kind=Type.I32):
        dtype = np.dtype(f"<i{kind.bytes}")
        flat = self.words.reshape(-1)[at * self.words.shape[1]:]
        return flat[:count * dtype.itemsize].view(dtype).tolist()

    def run(self, fn, length, *, base=0, tokens=0, by_tokens=False, drain=None, **fields):
        def take(count):
            self.drained += count
            values, valid = drain
            return (np.resize(values, count), np.resize(valid, count))

        defaults = {"a_addr": A, "b_addr": B, "c_addr": C, "d_addr": D, "a_type": Type.I32,
                    "d_type": Type.I32, "m_mode": MMode.UNITY}
        word = assemble(Op.SFU, fn=fn, length=length, tokens=by_tokens,
                        **{**defaults, **fields})
        return self.sfu.run(disassemble(word)[1], self.words, base=base, tokens=tokens,
                            drain=take if drain else None)


@pytest.fixture
def core():
    return Core()


def test_tables_agree():
    assert numerics.RSQRT.tolist() == list(tables.RSQRT)
    assert numerics.EXP.tolist() == list(tables.EXP)
    assert numerics.RECIP.tolist() == list(tables.RECIP)


@pytest.mark.parametrize(("a", "b", "m", "shift", "fields", "want"), [
    ([5, -5, 6, -6], None, 1, 1, {}, [3, -2, 3, -3]),
    ([LOW, HIGH, 1, 0], None, 65535, 0, {}, [LOW, HIGH, 65535, 0]),
    ([LOW, HIGH, LOW, HIGH], None, 65535, 63, {}, [0, 0, 0, 0]),
    ([LOW, HIGH, LOW, 0], [LOW, HIGH, HIGH, 0], 1, 0, {"b_mode": BMode.ADD32}, [LOW, HIGH, -1, 0]),
    ([LOW, HIGH, 127, -128], None, 1, 0, {"d_type": Type.I8}, [-127, 127, 127, -127]),
    ([LOW, HIGH, 127, -129], None, 1, 0, {"d_type": Type.I8, "wide": 1}, [-128, 127, 127, -128]),
    ([LOW, HIGH, 40000, -32769], None, 1, 0, {"d_type": Type.I16},
     [-32768, 32767, 32767, -32768]),
    ([100, 200, -100, 0], [32760, 1, -32768, 7], 3, 1,
     {"b_mode": BMode.RESIDUAL16, "d_type": Type.I16}, [32767, 301, -32768, 7]),
], ids=["halves-up", "saturate-32", "shift-63", "add-33-bits", "int8", "wide", "int16",
        "residual"])
def test_mac(core, a, b, m, shift, fields, want):
    core.put(A, a)
    if b is not None:
        core.put(B, b, Type.I32 if fields["b_mode"] == BMode.ADD32 else Type.I16)
    core.sfu.params[3, 0] = m
    core.run(Fn.MAC, 4, param=3, m_mode=MMode.FIXED, shift=shift, **fields)
    assert core.get(D, 4, fields.get("d_type", Type.I32)) == want


def test_multiplier_modes(core):
    core.put(A, [10] * 8)
    core.sfu.params[5:7] = [[1, 2, 3, 4], [5, 6, 7, 8]]
    core.put(C, [9, 1, 0, 0])
    core.run(Fn.MAC, 8, m_mode=MMode.PARAM, param=5)
    assert core.get(D, 8) == [10, 20, 30, 40, 50, 60, 70, 80]
    core.run(Fn.MAC, 8, m_mode=MMode.FIXED, param=6, shift=1)
    assert core.get(D, 8) == [25] * 8
    core.run(Fn.MAC, 8, m_mode=MMode.SCALAR, param=6, shift=7)
    assert core.get(D, 8) == [45] * 8


def test_parameters_wrap_at_the_end_of_their_memory(core):
    last = len(core.sfu.params) - 1
    core.sfu.params[last], core.sfu.params[0] = [3, 5, 7, 9], [2, 4, 6, 8]
    core.put(A, [10] * 8)
    core.run(Fn.MAC, 8, m_mode=MMode.PARAM, param=last)
    assert core.get(D, 8) == [30, 50, 70, 90, 20, 40, 60, 80]


@pytest.mark.parametrize("a_type", [Type.I8, Type.I16, Type.I32])
@pytest.mark.parametrize("d_type", [Type.I8, Type.I16, Type.I32])
def test_types_pack_from_the_low_end_and_pad_with_zeros(core, a_type, d_type):
    values = [random.Random(3).randrange(-100, 100) for _ in range(19)]
    core.put(A, values, a_type)
    core.run(Fn.MAC, 19, a_type=a_type, d_type=d_type)
    padded = -(-19 * d_type.bytes // 16) * 16 // d_type.bytes
    assert core.get(D, padded, d_type) == values + [0] * (padded - 19)
    after = D + padded * d_type.bytes // 16
    assert (core.words[after] == 0xAA).all()


def test_b_wraps_in_beats(core):
    core.put(A, [0] * 20)
    core.put(B, list(range(20)))
    core.run(Fn.MAC, 20, b_mode=BMode.ADD32, b_wrap=2)
    assert core.get(D, 20) == [*range(8), *range(8), *range(4)]


def test_max_and_pick(core):
    core.put(A, [5, 7, 100, 3, -4, 9, 1, 2])
    core.put(B, [5, 6, 200, 2, -4, 9, 3, 4])
    core.run(Fn.MAX, 8)
    assert core.get(D, 8) == [5, 7, 200, 3, -4, 9, 3, 4]
    core.run(Fn.PICK, 8)
    assert core.get(D, 8) == [5, 6, 200, 2, -4, 9, 1, 2]


def test_rope_agrees_with_the_scheme(core):
    rng = np.random.default_rng(1)
    x, row = rng.integers(-1 << 15, 1 << 15, 24), rng.integers(-1 << 14, (1 << 14) + 1, 8)
    core.put(A, x, Type.I16)
    core.put(B, row, Type.I16)
    core.run(Fn.ROPE, 24, a_type=Type.I16, d_type=Type.I8, b_wrap=2, shift=20)
    assert core.get(D, 24, Type.I8) == numerics.rope(x.reshape(3, 8), row).ravel().tolist()


def test_silu_agrees_with_the_scheme(core):
    rng = np.random.default_rng(2)
    u8, t8 = rng.integers(-128, 128, 40), rng.integers(-127, 128, 40)
    core.sfu.silu[:] = rng.integers(-1 << 15, 1 << 15, 256)
    core.sfu.params[9, 0] = 40000
    core.put(A, u8, Type.I8)
    core.put(B, t8, Type.I8)
    core.run(Fn.SILU, 40, a_type=Type.I8, d_type=Type.I8, m_mode=MMode.FIXED, param=9, shift=30)
    assert core.get(D, 40, Type.I8) == numerics.silu_mul(u8, t8, core.sfu.silu, 40000, 30).tolist()


def test_softmax_agrees_with_the_scheme(core):
    rng = np.random.default_rng(3)
    scores, valid = rng.integers(-5000, 5000, 30), rng.random(30) < 0.7
    padded = np.append(scores, [99999, 99999])  # past the end, must not take part
    core.run(Fn.MAC, 30, a_array=1, drain=(padded, [*valid, True, True]), track=Track.MAX)
    top = numerics.score_max(scores, valid)
    assert core.get(C, 4) == [int(top[0]), 0, 0, 0]
    core.sfu.params[1, 0] = 50000
    core.run(Fn.EXP, 30, a_addr=D, d_addr=B, d_type=Type.I8, m_mode=MMode.FIXED, param=1, shift=22)
    weights = numerics.exp_weights(scores, top, 50000, 22, valid)
    assert core.get(B, 32, Type.I8) == [*weights, 0, 0]
    assert core.get(C, 4) == [int(top[0]), int(weights.sum()), 0, 0]

    acc = rng.integers(-1 << 20, 1 << 20, 8)
    core.run(Fn.RECIP, 0, d_addr=D)
    core.put(A, acc)
    core.run(Fn.MAC, 8, c_addr=D, d_addr=B, d_type=Type.I8, m_mode=MMode.SCALAR)
    assert core.get(B, 8, Type.I8) == numerics.normalise(acc, weights.sum()).tolist()


def test_exp_of_the_least_value_is_zero(core):
    """It marks what takes no part: also where the maximum is that value too."""
    core.sfu.params[1] = 1
    core.put(C, [LOW, 0, 0, 0])
    core.put(A, [LOW, LOW, LOW + 1, LOW])
    core.run(Fn.EXP, 4, d_type=Type.I8, m_mode=MMode.FIXED, param=1)
    weight = int(numerics.EXP[0])
    assert core.get(D, 4, Type.I8) == [0, 0, weight, 0] and weight > 0
    assert core.get(C, 4) == [LOW, weight, 0, 0]


@pytest.mark.parametrize("scale", [1, 50, 3000])
def test_norm_agrees_with_the_scheme(core, scale):
    x = np.random.default_rng(scale).integers(-scale, scale + 1, 24)
    constant, mg, sg = 200_000, 45000, 13
    core.put(A, x, Type.I16)
    core.sfu.params[2] = [constant & 0xFFFF, constant >> 16, mg, sg]
    core.run(Fn.MAC, 24, a_type=Type.I16, d_type=Type.I16, track=Track.SUMSQ)
    assert core.get(C, 4) == [int(numerics.square_sum(x)), 0, 0, 0]
    core.run(Fn.RSQRT, 0, d_addr=C, param=2)
    factor, shift = numerics.rsqrt_norm(numerics.square_sum(x) + constant, mg, sg)
    assert core.get(C, 4) == [int(factor), int(shift), 0, 0]
    core.run(Fn.MAC, 24, a_type=Type.I16, d_type=Type.I8, m_mode=MMode.SCALAR)
    assert core.get(D, 24, Type.I8) == numerics.scale_norm(x, factor, shift).tolist()


@pytest.mark.parametrize(("den", "want"), [
    (0, (0, 16)), (1, (65407, 16)), (127, (tables.RECIP[252], 22)), (HIGH, (32800, 46))])
def test_recip(core, den, want):
    core.put(C, [0, den])
    core.run(Fn.RECIP, 0)
    assert core.get(D, 4) == [*want, 0, 0]


@pytest.mark.parametrize(("ss", "want"), [
    (0, (65280, 8 + 3)), (255, (tables.RSQRT[255 - 64], 8 + 3)), (256, (65280, 8 + 4)),
    (HIGH, (tables.RSQRT[127 - 64], 8 + 15)), (-1, (tables.RSQRT[255 - 64], 8 + 15))])
def test_rsqrt(core, ss, want):
    core.put(C, [ss])
    core.sfu.params[0] = [0, 0, 65535, 8]
    core.run(Fn.RSQRT, 0)
    factor = (want[0] * 65535 + 32768) >> 16
    assert core.get(D, 4) == [factor, want[1], 0, 0]


def test_sum_of_squares_saturates(core):
    core.put(A, [-32768] * 8, Type.I16)
    core.run(Fn.MAC, 4, a_type=Type.I16, d_type=Type.I16, track=Track.SUMSQ)
    assert core.get(C, 2) == [HIGH, 0]


def test_argmax_takes_the_first_and_adds_the_base(core):
    core.put(A, [3, 8, 8, 1, 8, 2])
    core.run(Fn.MAC, 6, track=Track.ARGMAX, b_addr=0x123, b_wrap=0x2A)
    assert core.get(C, 4) == [8, 0x2A123 + 1, 0, 0]


def test_argmax_of_least_values_is_the_first_valid(core):
    core.run(Fn.MAC, 4, a_array=1, drain=([LOW] * 4, [0, 0, 1, 1]), track=Track.ARGMAX, b_addr=0)
    assert core.get(C, 2) == [LOW, 2]


@pytest.mark.parametrize(("d_type", "wide", "want"), [
    (Type.I32, 0, LOW), (Type.I16, 0, -32768), (Type.I8, 0, -127), (Type.I8, 1, -128)])
def test_invalid_elements_are_the_least_value(core, d_type, wide, want):
    core.put(B, [1000] * 4, Type.I16)
    core.run(Fn.MAC, 4, a_array=1, drain=([1, 2, 3, 4], [1, 0, 1, 0]), d_type=d_type, wide=wide)
    assert core.get(D, 4, d_type) == [1, want, 3, want]


@pytest.mark.parametrize(("fields", "want"), [
    ({"track": Track.MAX}, [LOW, 0, 0, 0]),
    ({"track": Track.ARGMAX, "b_addr": 5}, [LOW, 5, 0, 0]),
    ({"track": Track.SUMSQ, "d_type": Type.I16}, [0, 0, 0, 0]),
    ({"fn": Fn.EXP}, [77, 0, 0, 0]),
])
def test_no_elements_touch_only_word_c(core, fields, want):
    core.put(C, [77, 78, 79, 80])
    before = core.words.copy()
    assert core.run(length=9, a_array=1, **{"fn": Fn.MAC, "by_tokens": True, **fields}) == 0
    assert core.get(C, 4) == want
    before[C] = core.words[C]
    assert (core.words == before).all()


def test_whole_beats_are_drained(core):
    core.run(Fn.MAC, 5, a_array=1, drain=([1, 2, 3, 4], [1]))
    assert core.drained == 8
    assert core.get(D, 8) == [1, 2, 3, 4, 1, 0, 0, 0]


def test_base_is_added_and_wraps(core):
    core.put(A, [1, 2, 3, 4])
    core.run(Fn.MAC, 4, base=20, a_addr=(A - 20) % 4096, d_addr=D - 20)
    assert core.get(D, 4) == [1, 2, 3, 4]


@pytest.mark.parametrize(("a_type", "d_type", "d_addr", "fine"), [
    (Type.I32, Type.I8, A, True), (Type.I32, Type.I32, A, True), (Type.I16, Type.I8, A, True),
    (Type.I8, Type.I32, A, False), (Type.I32, Type.I32, A + 1, False),
    (Type.I32, Type.I32, A - 1, True), (Type.I32, Type.I16, A + 1, True),
    (Type.I32, Type.I8, A + 1, True)])
def test_writing_over_operands(core, a_type, d_type, d_addr, fine):
    core.put(A, [1] * 20, a_type)
    if fine:
        core.run(Fn.MAC, 20, a_type=a_type, d_type=d_type, d_addr=d_addr)
        assert core.get(d_addr, 20, d_type) == [1] * 20
        return
    with pytest.raises(SfuError, match=r"^a_addr must be read before d_addr is written over it$"):
        core.run(Fn.MAC, 20, a_type=a_type, d_type=d_type, d_addr=d_addr)


@pytest.mark.parametrize(("fields", "message"), [
    ({"a_addr": 300}, r"a_addr must be below 256 words, not 300"),
    ({"track": Track.SUMSQ}, r"d_type must be I8, I16 or I24 under SUMSQ, not I32"),
    ({"a_array": 1}, r"drain must be given to an instruction with a_array"),
    ({"fn": 10}, r"instruction must be defined: 10 is not a valid Fn"),
    ({"by_tokens": True}, r"length must be between 0 and 16383, not 20000"),
])
def test_refuses(core, fields, message):
    with pytest.raises(SfuError, match=f"^{message}$"):
        core.run(length=4, tokens=20000, **{"fn": Fn.MAC, **fields})


def test_bytearray_is_changed_in_place():
    machine = replace(MACHINE, core=replace(MACHINE.core, buffer_words=16))
    buffer = bytearray(16 * 4 * LANES)
    fields = disassemble(assemble(Op.SFU, fn=Fn.MAC, a_addr=1, d_addr=1, b_mode=BMode.ADD32,
                                  b_addr=0, a_type=Type.I32, d_type=Type.I32, length=LANES,
                                  m_mode=MMode.UNITY))[1]
    buffer[0] = 7
    assert SfuGolden(machine).run(fields, buffer) == LANES
    assert buffer[4 * LANES] == 7
