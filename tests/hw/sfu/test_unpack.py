from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from ouroboros.hw.params.isa import Fn, MMode, Type
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.sfu.unpack import Unpack
from ouroboros.tb.lib.pysim import PySim

TINY = load_machine("tiny")
LANES = TINY.core.lanes
DTYPES = {Type.I8: np.int8, Type.I16: np.int16, Type.I32: np.int32, Type.I24: np.int32}
PARAMS = [7, 60000, 33, 1]


TINY24 = replace(TINY, core=replace(TINY.core, residual_bits=24))


@cache
def simulated(machine=TINY):
    return PySim(Unpack(machine))


def word(rng):
    return rng.integers(0, 256, TINY.core.word_bits // 8, dtype=np.uint8)


def as_int(array):
    return int.from_bytes(np.asarray(array).tobytes(), "little")


def lanes(word, kind, part):
    values = word.view(DTYPES[kind])
    return values[part * LANES:(part + 1) * LANES].astype(int).tolist()


async def send(ctx, dut, *, a=0, b=0, drained=(0,) * LANES, drained_valid=0, tag=None, **step):
    """One step; what leaves while its words are there, and what in the cycle after."""
    ctx.set(dut.step, {**step, "tag": tag or {}})
    ctx.set(dut.drain, {"data": [*drained], "valid": drained_valid})
    await ctx.tick()
    ctx.set(dut.step, {})
    ctx.set(dut.drain, {"data": [0] * LANES, "valid": 0})
    ctx.set(dut.a, a)
    ctx.set(dut.b, b)
    ctx.set(dut.params, PARAMS)
    now = (ctx.get(dut.scalar.valid), ctx.get(dut.scalar.p), ctx.get(dut.look_up),
           [*ctx.get(dut.x)])
    await ctx.tick()
    ctx.set(dut.a, 0)
    ctx.set(dut.b, 0)
    beat = ctx.get(dut.beat.p) if ctx.get(dut.beat.valid) else None
    return now, beat


@pytest.mark.parametrize("a_type", list(Type))
@pytest.mark.parametrize("b_type", list(Type))
def test_lanes_of_every_part_sign_extended(a_type, b_type):
    rng = np.random.default_rng(a_type * 3 + b_type)

    async def bench(ctx):
        dut = simulated().dut
        for part in range(4):
            a, b = word(rng), word(rng)
            a_part = part % (4 // DTYPES[a_type]().itemsize)
            b_part = part % (4 // DTYPES[b_type]().itemsize)
            _, beat = await send(ctx, dut, fetch=1, a=as_int(a), b=as_int(b), a_type=a_type,
                                 b_type=b_type, a_part=a_part, b_part=b_part,
                                 m_mode=MMode.UNITY, tag={"slot": part})
            assert [*beat.x] == lanes(a, a_type, a_part)
            assert [*beat.b] == lanes(b, b_type, b_part)
            assert (beat.tag.slot, beat.tag.valid) == (part, (1 << LANES) - 1)

    simulated().run(bench)


def test_beats_of_the_drain_stream_keep_their_valid_bits():
    async def bench(ctx):
        words = {"drained": (5, -6, 7, -2**31), "drained_valid": 0b1010,
                 "a": as_int(np.int32([1, 2, 3, 4])), "a_type": Type.I32, "m_mode": MMode.UNITY}
        (*_, x), beat = await send(ctx, simulated().dut, fetch=1, drain=1, **words)
        assert x == [*beat.x] == [5, -6, 7, -2**31] and beat.tag.valid == 0b1010
        (*_, x), beat = await send(ctx, simulated().dut, fetch=1, drain=0, **words)
        assert x == [*beat.x] == [1, 2, 3, 4] and beat.tag.valid == 0b1111

    simulated().run(bench)


@pytest.mark.parametrize(("mode", "multipliers", "shift"), [
    (MMode.PARAM, PARAMS, 9), (MMode.FIXED, [7] * LANES, 9), (MMode.UNITY, [1] * LANES, 9),
    (MMode.SCALAR, [54321] * LANES, 17)])
def test_multipliers_and_shift(mode, multipliers, shift):
    async def bench(ctx):
        dut = simulated().dut
        (scalar, *_), beat = await send(ctx, dut, read_c=1, b=as_int(np.int32([54321, 17, 0, 0])))
        assert not scalar and beat is None
        for _ in range(2):      # word C stays for all beats
            _, beat = await send(ctx, dut, fetch=1, m_mode=mode, tag={"shift": 9})
            assert ([*beat.m], beat.tag.shift, beat.tag.top) == (multipliers, shift, 54321)

    simulated().run(bench)


@pytest.mark.parametrize("fn", [Fn.RSQRT, Fn.RECIP])
def test_scalar_operands(fn):
    async def bench(ctx):
        (valid, p, *_), beat = await send(ctx, simulated().dut, read_c=1, scalar=1,
                                          b=as_int(np.int32([123456, 789, 5, 6])),
                                          tag={"slot": 6, "d_addr": 99, "fn": fn})
        assert valid and beat is None
        assert (p.slot, p.d_addr, p.recip) == (6, 99, fn == Fn.RECIP)
        assert (p.ss, p.den, p.constant, p.mg, p.sg) == (
            123456, 789, PARAMS[1] << 16 | PARAMS[0], PARAMS[2], PARAMS[3])
        assert not ctx.get(simulated().dut.scalar.valid)

    simulated().run(bench)


@pytest.mark.parametrize(("fn", "fields", "flags"), [
    (Fn.RSQRT, {"ss": 5 | 6 << 32 | 7 << 64 | 8 << 96}, (0, 0)),
    (Fn.RECIP, {"den": 6}, (1, 0)),
    (Fn.EXPONENT, {"ss": 5 | 6 << 32 | 7 << 64 | 8 << 96, "kept": 11}, (0, 1))])
def test_scalar_operands_of_24_bits(fn, fields, flags):
    async def bench(ctx):
        dut = simulated(TINY24).dut
        (valid, p, *_), _ = await send(ctx, dut, read_c=1, scalar=1,
                                       b=as_int(np.int32([5, 6, 7, 8])),
                                       tag={"fn": fn, "shift": 11})
        assert valid and (p.recip, p.exponent) == flags
        assert {name: getattr(p, name) for name in fields} == fields

    simulated(TINY24).run(bench)


def test_word_c_lessens_a_shift():
    async def bench(ctx):
        dut = simulated(TINY24).dut
        await send(ctx, dut, read_c=1, b=as_int(np.int32([54321, 17, 0, 0])))
        for less, shift in ((1, 23), (0, 40)):
            _, beat = await send(ctx, dut, fetch=1, m_mode=MMode.PARAM, less=less,
                                 tag={"shift": 40})
            assert ([*beat.m], beat.tag.shift) == (PARAMS, shift)

    simulated(TINY24).run(bench)


def test_gate_multiplies_by_the_size_of_x():
    async def bench(ctx):
        dut = simulated(TINY24).dut
        x = np.int16([5, -6, 32767, -32768] + [0] * 4)
        (_, _, wanted, _), beat = await send(ctx, dut, fetch=1, a=as_int(x), a_type=Type.I16,
                                             m_mode=MMode.UNITY, tag={"fn": Fn.GATE, "shift": 5})
        assert not wanted
        assert ([*beat.m], beat.tag.shift) == ([5, 6, 32767, 32768], 16)

    simulated(TINY24).run(bench)


def test_the_table_is_wanted_by_silu_only():
    async def bench(ctx):
        for fn in Fn:
            (_, _, wanted, _), _ = await send(ctx, simulated().dut, fetch=1, tag={"fn": fn})
            assert wanted == (fn == Fn.SILU)

    simulated().run(bench)
