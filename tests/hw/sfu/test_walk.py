import random
from dataclasses import replace
from functools import cache

import pytest

from ouroboros.hw.params.isa import BMode, Fn, MMode, Op, Track, Type, assemble
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.widths import WORD_ADDRESS_BITS
from ouroboros.hw.sfu.walk import OperandWalk
from ouroboros.tb.lib.pysim import PySim

TINY = load_machine("tiny")
LANES = TINY.core.lanes
BASE = 100


TINY24 = replace(TINY, core=replace(TINY.core, residual_bits=24))


@cache
def simulated(machine=TINY):
    return PySim(OperandWalk(machine))


async def run(ctx, dut, *, local_tokens=0, drain=1.0, **fields):
    """What happens in each cycle from acceptance on until the next could be accepted."""
    rng, trace = random.Random(1), []
    ctx.set(dut.issue.valid, 1)
    ctx.set(dut.issue.p, {"instruction": assemble(Op.SFU, **fields), "slot": 3, "base": BASE,
                          "tokens": local_tokens})
    assert ctx.get(dut.issue.ready)
    await ctx.tick()
    ctx.set(dut.issue.p, {"instruction": 0, "slot": 0, "base": 0, "tokens": 0})
    ctx.set(dut.issue.valid, 0)
    while not ctx.get(dut.issue.ready):
        offered = rng.random() < drain
        ctx.set(dut.drain_valid, offered)
        step = ctx.get(dut.step)
        trace.append({
            "fetch": step.fetch, "tag": step.tag, "step": step,
            "a": ctx.get(dut.a_addr) - BASE if ctx.get(dut.read_a) else None,
            "b": ctx.get(dut.b_addr) - BASE if ctx.get(dut.read_b) else None,
            "param": ctx.get(dut.param) if ctx.get(dut.read_param) else None,
            "drain": offered and ctx.get(dut.drain_ready), "release": ctx.get(dut.released),
            "elements": ctx.get(dut.elements)})
        await ctx.tick()
        assert len(trace) < 5000, "the instruction is never over"
    trace.append({"release": ctx.get(dut.released), "elements": ctx.get(dut.elements)})
    return trace


def column(trace, name):
    return [cycle[name] for cycle in trace[:-1]]


@pytest.mark.parametrize(("a_type", "fn", "mode", "b_beats"), [
    (Type.I8, Fn.MAC, BMode.ADD32, 1), (Type.I16, Fn.MAC, BMode.RESIDUAL16, 2),
    (Type.I32, Fn.SILU, BMode.NONE, 4), (Type.I32, Fn.ROPE, BMode.NONE, 2),
    (Type.I8, Fn.MAX, BMode.NONE, 1), (Type.I16, Fn.PICK, BMode.NONE, 1)])
def test_words_are_read_when_their_first_beat_comes(a_type, fn, mode, b_beats):
    a_beats = {Type.I8: 4, Type.I16: 2, Type.I32: 1}[a_type]

    async def bench(ctx):
        trace = await run(ctx, simulated().dut, fn=fn, b_mode=mode, a_type=a_type, a_addr=10,
                          b_addr=40, m_mode=MMode.UNITY, length=6 * LANES - 1, d_addr=7)
        assert column(trace, "fetch") == [1] * 6
        assert column(trace, "a") == [10 + n // a_beats if n % a_beats == 0 else None
                                      for n in range(6)]
        assert column(trace, "b") == [40 + n // b_beats if n % b_beats == 0 else None
                                      for n in range(6)]
        tags = column(trace, "tag")
        assert [tag.first for tag in tags] == [1, 0, 0, 0, 0, 0]
        assert [tag.last for tag in tags] == [0, 0, 0, 0, 0, 1]
        assert [tag.live for tag in tags] == [15] * 5 + [7]
        assert {(tag.slot, tag.d_addr, tag.fn, tag.empty) for tag in tags} == {
            (3, BASE + 7, fn, 0)}
        assert {(tag.add, tag.residual) for tag in tags} == {
            (mode == BMode.ADD32, mode == BMode.RESIDUAL16)}
        assert [cycle["elements"] for cycle in trace] == [0, *[LANES] * 5, LANES - 1]

    simulated().run(bench)


def test_b_starts_again_after_wrap():
    async def bench(ctx):
        trace = await run(ctx, simulated().dut, fn=Fn.SILU, b_addr=8, b_wrap=6,
                          m_mode=MMode.UNITY, length=15 * LANES)
        once = [8, None, None, None, 9, None]
        assert column(trace, "b") == (once * 3)[:15]
        assert [step.b_part for step in column(trace, "step")] == ([0, 1, 2, 3, 0, 1] * 3)[:15]
        start = 6 << WORD_ADDRESS_BITS | 8
        assert [tag.index for tag in column(trace, "tag")] == [start + 4 * n for n in range(15)]

    simulated().run(bench)


@pytest.mark.parametrize(("mode", "params"), [
    (MMode.PARAM, [30, 31, 32]), (MMode.FIXED, [30] * 3), (MMode.UNITY, [None] * 3)])
def test_multipliers(mode, params):
    async def bench(ctx):
        trace = await run(ctx, simulated().dut, fn=Fn.MAC, m_mode=mode, param=30, length=3 * LANES)
        assert column(trace, "param") == params

    simulated().run(bench)


@pytest.mark.parametrize(("fn", "mode", "track", "reads", "writes"), [
    (Fn.MAC, MMode.UNITY, Track.NONE, 0, 0), (Fn.MAC, MMode.SCALAR, Track.NONE, 1, 0),
    (Fn.MAC, MMode.UNITY, Track.SUMSQ, 0, 1), (Fn.EXP, MMode.UNITY, Track.NONE, 1, 1)])
def test_word_c_is_read_before_and_has_a_cycle_to_be_written_after(fn, mode, track, reads, writes):
    async def bench(ctx):
        trace = await run(ctx, simulated().dut, fn=fn, m_mode=mode, track=track, c_addr=50,
                          length=LANES, release=1)
        assert column(trace, "fetch") == [0] * reads + [1] + [0] * writes
        assert [step.read_c for step in column(trace, "step")] == [1] * reads + [0] * (1 + writes)
        assert column(trace, "b")[:reads] == [50] * reads
        assert trace[reads]["tag"].c_write == writes
        assert [cycle["release"] for cycle in trace].index(1) == reads + 1

    simulated().run(bench)


@pytest.mark.parametrize("fn", [Fn.RSQRT, Fn.RECIP, Fn.EXPONENT])
def test_a_scalar_reads_word_c_and_parameters_only(fn):
    async def bench(ctx):
        trace = await run(ctx, simulated(TINY24).dut, fn=fn, c_addr=50, d_addr=60, param=9,
                          length=40)
        (cycle,) = trace[:-1]
        assert (cycle["fetch"], cycle["step"].read_c, cycle["step"].scalar) == (0, 1, 1)
        assert (cycle["a"], cycle["b"], cycle["param"]) == (None, 50, 9)
        assert cycle["tag"].d_addr == BASE + 60

    simulated(TINY24).run(bench)


@pytest.mark.parametrize("chance", [1.0, 0.4])
def test_beats_of_the_drain_stream_are_waited_for(chance):
    async def bench(ctx):
        trace = await run(ctx, simulated().dut, fn=Fn.MAC, a_array=1, m_mode=MMode.UNITY,
                          length=9 * LANES, drain=chance)
        assert column(trace, "fetch") == column(trace, "drain")
        assert sum(column(trace, "drain")) == 9
        assert set(column(trace, "a")) == {None}

    simulated().run(bench)


@pytest.mark.parametrize("array", [0, 1])
def test_nothing_is_read_or_waited_for_by_an_empty_vector(array):
    async def bench(ctx):
        trace = await run(ctx, simulated().dut, fn=Fn.MAX, a_array=array, m_mode=MMode.UNITY,
                          length=0, drain=0.0)
        (cycle,) = trace[:-1]
        assert (cycle["a"], cycle["b"], cycle["drain"]) == (None, None, 0)
        assert (cycle["fetch"], cycle["tag"].empty, cycle["tag"].live) == (1, 1, 0)
        assert trace[-1]["elements"] == 0

    simulated().run(bench)


@pytest.mark.parametrize(("fields", "b_beats", "residual"), [
    ({"fn": Fn.MAC, "b_mode": BMode.RESIDUAL32}, 1, 1), ({"fn": Fn.GATE}, 2, 0)])
def test_operands_of_24_bits(fields, b_beats, residual):
    async def bench(ctx):
        trace = await run(ctx, simulated(TINY24).dut, a_type=Type.I24, a_addr=10, b_addr=40,
                          m_mode=MMode.UNITY, length=6 * LANES, **fields)
        assert column(trace, "a") == [10 + n for n in range(6)]
        assert column(trace, "b") == [40 + n // b_beats if n % b_beats == 0 else None
                                      for n in range(6)]
        assert {tag.residual for tag in column(trace, "tag")} == {residual}

    simulated(TINY24).run(bench)


@pytest.mark.parametrize(("fn", "reads", "writes"), [(Fn.MAC, 0, 0), (Fn.EXP, 1, 1)])
@pytest.mark.parametrize("beats", [1, 3, 4, 5, 8, 9])
def test_low_digits_have_a_cycle_after_each_word(fn, reads, writes, beats):
    async def bench(ctx):
        trace = await run(ctx, simulated(TINY24).dut, fn=fn, d_type=Type.I8, d_addr=20, b_addr=30,
                          m_mode=MMode.UNITY, length=beats * LANES, digits=1)
        words = [[1] * min(4, beats - n) for n in range(0, beats, 4)]
        spread = [cycle for word in words for cycle in (*word, 0)][:-1]
        assert column(trace, "fetch") == [0] * reads + spread + [0] * writes
        fetched = [cycle for cycle in trace[:-1] if cycle["fetch"]]
        assert {cycle["b"] for cycle in fetched} == {None}
        assert [cycle["tag"].low_addr - BASE for cycle in fetched] == [
            30 + n // 4 for n in range(beats)]

    simulated(TINY24).run(bench)


def test_a_lessened_shift_reads_word_c_first():
    async def bench(ctx):
        trace = await run(ctx, simulated(TINY24).dut, fn=Fn.MAC, m_mode=MMode.PARAM, c_addr=50,
                          length=LANES, less=1)
        assert column(trace, "fetch") == [0, 1] and column(trace, "b") == [50, None]
        assert trace[1]["step"].less == 1

    simulated(TINY24).run(bench)


@pytest.mark.parametrize("tokens", [1, 4095, 4096, 8192])
def test_length_may_be_that_of_all_local_tokens(tokens):
    async def bench(ctx):
        trace = await run(ctx, simulated().dut, fn=Fn.MAC, m_mode=MMode.UNITY, tokens=1, length=8,
                          local_tokens=tokens)
        assert len(trace) - 1 == -(-tokens // LANES)
        assert sum(cycle["elements"] for cycle in trace) == tokens

    simulated().run(bench)
