import random
from dataclasses import replace
from functools import cache

import pytest

from ouroboros.hw.core.credits import CreditCounters, CreditSender
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import CREDIT_ENTRY, Unit
from ouroboros.tb.lib.pysim import PySim

TINY = load_machine("tiny")
MACHINE = replace(TINY, core=replace(TINY.core, credits=3, credit_bits=3, credit_list_words=8))


@cache
def simulated(block):
    return PySim(block(MACHINE))


def configure(ctx, bus, unit, address, value):
    for name, content in (("valid", 1), ("unit", unit), ("address", address), ("data", value)):
        ctx.set(getattr(bus, name), content)


def test_counters_count():
    """Returns, spends, both at once, and writes, against a plain count."""
    sim = simulated(CreditCounters)
    dut = sim.dut
    rng = random.Random(1)
    counts = [0, 0, 0]
    seen = set()

    async def bench(ctx):
        assert ctx.get(dut.ready) == 0
        for _ in range(400):
            raised = rng.choice([None, 0, 1, 2, 3])
            spend = sum(1 << n for n in range(3) if counts[n] and rng.random() < 0.5)
            written = rng.random() < 0.05
            if raised is not None and raised < 3 and counts[raised] == 7:
                raised = None
            ctx.set(dut.credit.valid, raised is not None)
            ctx.set(dut.credit.p.counter, raised or 0)
            ctx.set(dut.spend, spend)
            ctx.set(dut.config.valid, 0)
            for n in range(3):
                both = raised == n, spend >> n & 1
                seen.add(both)
                counts[n] += both[0] - both[1]
            if written:
                counts[1] = rng.randrange(8)
                configure(ctx, dut.config, Unit.CREDIT, 1, counts[1])
            elif rng.random() < 0.2:
                configure(ctx, dut.config, Unit.DEST, rng.randrange(4), 5)
            await ctx.tick()
            assert ctx.get(dut.ready) == sum(1 << n for n in range(3) if counts[n])

    sim.run(bench)
    assert len(seen) == 4


def test_a_return_and_a_spend_in_one_cycle_cancel():
    sim = simulated(CreditCounters)
    dut = sim.dut

    async def bench(ctx):
        configure(ctx, dut.config, Unit.CREDIT, 2, 1)
        await ctx.tick()
        ctx.set(dut.config.valid, 0)
        for _ in range(3):
            ctx.set(dut.credit.valid, 1)
            ctx.set(dut.credit.p.counter, 2)
            ctx.set(dut.spend, 0b100)
            await ctx.tick()
            assert ctx.get(dut.ready) == 0b100
        ctx.set(dut.credit.valid, 0)
        await ctx.tick()
        assert ctx.get(dut.ready) == 0

    sim.run(bench)


@pytest.mark.parametrize("stall", [0.0, 0.5])
def test_sender(stall):
    """Every entry of each part goes out once and in order; two cycles each."""
    sim = simulated(CreditSender)
    dut = sim.dut
    rng = random.Random(2)
    table = [{field.name: rng.randrange(1 << field.bits) for field in CREDIT_ENTRY.fields}
             for _ in range(8)]
    parts = [(0, 1), (3, 0), (2, 3), (0, 8), (7, 1), (5, 2)]
    expected = [table[n] for first, count in parts for n in range(first, first + count)]
    got, cycles = [], []

    async def bench(ctx):
        for address, entry in enumerate(table):
            configure(ctx, dut.config, Unit.CREDIT_LIST, address, CREDIT_ENTRY.pack(entry))
            await ctx.tick()
        configure(ctx, dut.config, Unit.CREDIT, 0, 0)
        ahead, now, began = list(parts), 0, 0
        held = None
        while ahead or not ctx.get(dut.i.ready):
            ctx.set(dut.i.valid, bool(ahead))
            if ahead:
                ctx.set(dut.i.p, {"first": ahead[0][0], "count": ahead[0][1]})
            ctx.set(dut.o.ready, rng.random() >= stall)
            if ctx.get(dut.o.valid):
                entry = {name: ctx.get(getattr(dut.o.p, name)) for name in table[0]}
                assert held in (None, entry)
                held = entry
                if ctx.get(dut.o.ready):
                    got.append(entry)
                    held = None
            else:
                assert held is None
            if ahead and ctx.get(dut.i.ready):
                cycles.append(now - began)
                began = now
                ahead.pop(0)
            await ctx.tick()
            now += 1
            assert now < 300

    sim.run(bench)
    assert got == expected
    if not stall:
        # Taken in the first cycle; then the parts before each took 1 + 2 per entry.
        assert cycles == [0, *(1 + 2 * count for _, count in parts[:-1])]
