import random
from functools import cache

import pytest

from ouroboros.hw.core.events import Events
from ouroboros.hw.params.counters import STAGE_STATES, Counter, counter_count, stage_counter
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import TRACE_ENTRY, Unit
from ouroboros.tb.lib.pysim import PySim

TINY = load_machine("tiny")
CORE = TINY.core
COUNTERS = {
    "groups_active": 1, "row_writes": 2, "byte_writes": 3, "kv_operation": 4, "kv_full": 5,
    "sfu_elements": 6, "flits_in": 7, "flits_out": 8, "hops_data": 9, "hops_control": 10,
    "errors": 11, "array_busy": 12, "sfu_busy": 13, "send_busy": 14}
RING = CORE.trace_words


@cache
def simulated():
    return PySim(Events(TINY))


def simulate(bench):
    sim = simulated()
    dut = sim.dut

    async def process(ctx):
        await bench(ctx, dut)

    sim.run(process)


async def read(ctx, dut, unit, address):
    ctx.set(dut.read.en, 1)
    ctx.set(dut.read.unit, unit)
    ctx.set(dut.read.address, address)
    await ctx.tick()
    ctx.set(dut.read.en, 0)
    return ctx.get(dut.read.data)


async def clear(ctx, dut, unit=Unit.CONTROL, address=0):
    ctx.set(dut.config.valid, 1)
    ctx.set(dut.config.unit, unit)
    ctx.set(dut.config.address, address)
    await ctx.tick()
    ctx.set(dut.config.valid, 0)


def amounts(rng):
    """Random events of one cycle, and what they add to each counter."""
    fields = {"groups_active": rng.randrange(CORE.macros + 1),
              "byte_writes": rng.randrange(TINY.cim.active_rows + 1),
              "sfu_elements": rng.randrange(CORE.lanes + 1),
              "hops_data": rng.randrange(5), "hops_control": rng.randrange(5),
              "errors": rng.randrange(4)}
    fields |= {name: rng.randrange(2) for name in COUNTERS if name not in fields}
    states = {state: rng.getrandbits(CORE.stages) for state in STAGE_STATES}
    added = {COUNTERS[name]: value for name, value in fields.items()}
    added |= {stage_counter(stage, state): bits >> stage & 1
              for state, bits in states.items() for stage in range(CORE.stages)}
    return fields | {f"stage_{state}": bits for state, bits in states.items()}, added


def test_kv_blocks_are_a_level_that_a_clear_leaves():
    async def bench(ctx, dut):
        for blocks in (0, 5, TINY.kv.pages, 3):
            ctx.set(dut.kv_blocks, blocks)
            await ctx.tick()
            assert await read(ctx, dut, Unit.COUNTER, Counter.KV_BLOCKS) == blocks
            await clear(ctx, dut)
            assert await read(ctx, dut, Unit.COUNTER, Counter.KV_BLOCKS) == blocks
        ctx.set(dut.kv_blocks, 0)

    simulate(bench)


def test_every_counter():
    async def bench(ctx, dut):
        rng = random.Random(1)
        totals = dict.fromkeys(range(counter_count(CORE.stages) + 2), 0)
        for _ in range(60):
            fields, added = amounts(rng)
            for name, value in fields.items():
                ctx.set(getattr(dut.count, name), value)
            for index, value in added.items():
                totals[index] += value
            await ctx.tick()
        for name in fields:
            ctx.set(getattr(dut.count, name), 0)
        assert min(totals[index] for index in added) > 0
        for index, total in totals.items():
            if index != Counter.CYCLES:
                assert await read(ctx, dut, Unit.COUNTER, index) == total, index
        for unit, address in ((Unit.PROGRAM, 1), (Unit.COUNTER, 1 << 20), (Unit.CONTROL, 0)):
            assert await read(ctx, dut, unit, address) == 0

    simulate(bench)


def test_cycles_and_now():
    async def bench(ctx, dut):
        for n in range(5):
            assert ctx.get(dut.now) == n
            await ctx.tick()
        assert await read(ctx, dut, Unit.COUNTER, Counter.CYCLES) == 5
        await clear(ctx, dut)
        assert ctx.get(dut.now) == 7
        assert await read(ctx, dut, Unit.COUNTER, Counter.CYCLES) == 0
        assert await read(ctx, dut, Unit.COUNTER, Counter.CYCLES) == 1

    simulate(bench)


def test_clear():
    """Only CONTROL address 0 clears, and what happens in that cycle is lost."""
    async def bench(ctx, dut):
        ctx.set(dut.count.flits_in, 1)
        for unit, address in ((Unit.CONTROL, 1), (Unit.STEP, 0)):
            await clear(ctx, dut, unit, address)
        assert await read(ctx, dut, Unit.COUNTER, Counter.FLITS_IN) == 2
        await clear(ctx, dut)
        assert await read(ctx, dut, Unit.COUNTER, Counter.FLITS_IN) == 0
        assert await read(ctx, dut, Unit.COUNTER, Counter.FLITS_IN) == 1

    simulate(bench)


async def report(ctx, dut, token):
    ctx.set(dut.trace.valid, 1)
    ctx.set(dut.trace.p, token)
    end = ctx.get(dut.now)
    await ctx.tick()
    ctx.set(dut.trace.valid, 0)
    return TRACE_ENTRY.pack({**token, "end": end, "spare": 0})


def random_token(rng):
    return {"stage": rng.randrange(16), "sequence": rng.randrange(1 << 16),
            "position": rng.randrange(1 << 20), "flags": rng.randrange(16),
            "start": rng.randrange(1 << 32)}


@pytest.mark.parametrize("tokens", [0, 1, 5, RING - 1, RING, RING + 1, 2 * RING + 3])
def test_trace_ring(tokens):
    async def bench(ctx, dut):
        rng = random.Random(tokens)
        ring = [0] * RING
        for n in range(tokens):
            ring[n % RING] = await report(ctx, dut, random_token(rng))
        assert await read(ctx, dut, Unit.TRACE, RING) == tokens
        for n in {0, 1, 4, tokens % RING, (tokens - 1) % RING, RING - 1}:
            assert await read(ctx, dut, Unit.TRACE, n) == ring[n]
        assert await read(ctx, dut, Unit.TRACE, RING + 1) == 0
        held = await read(ctx, dut, Unit.TRACE, 0)
        ctx.set(dut.read.address, 1)
        await ctx.tick().repeat(3)
        assert ctx.get(dut.read.data) == held == ring[0]

    simulate(bench)


def test_trace_clear():
    async def bench(ctx, dut):
        rng = random.Random(1)
        for _ in range(RING + 2):
            await report(ctx, dut, random_token(rng))
        await clear(ctx, dut)
        assert [await read(ctx, dut, Unit.TRACE, n) for n in (0, 1, RING - 1, RING)] == [0] * 4
        entry = await report(ctx, dut, random_token(rng))
        assert [await read(ctx, dut, Unit.TRACE, n) for n in (0, 1, RING)] == [entry, 0, 1]

    simulate(bench)


def test_drop_header():
    """The router's latest drop is read like a counter; other addresses of the unit are 0."""
    async def bench(ctx, dut):
        ctx.set(dut.drop_header, 0xFEDCBA9876543210)
        assert await read(ctx, dut, Unit.ROUTER, 0) == 0xFEDCBA9876543210
        assert await read(ctx, dut, Unit.ROUTER, 1) == 0

    simulate(bench)
