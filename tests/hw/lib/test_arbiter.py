import random

import pytest
from amaranth.sim import Simulator

from ouroboros.hw.lib.arbiter import RoundRobin


def run(width, cycles):
    """Grants for (requests, accept) of each cycle."""
    dut = RoundRobin(width)
    grants = []

    async def process(ctx):
        for requests, accept in cycles:
            ctx.set(dut.requests, requests)
            ctx.set(dut.accept, accept)
            await ctx.delay(1e-7)
            grants.append(ctx.get(dut.grant))
            await ctx.tick()

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(process)
    sim.run()
    return grants


def test_all_ask():
    assert run(4, [(15, 1)] * 6) == [1, 2, 4, 8, 1, 2]


def test_grant_stays_until_accepted():
    assert run(3, [(7, 1), (7, 0), (7, 0), (5, 0), (7, 1), (7, 1)]) == [1, 2, 2, 4, 2, 4]


@pytest.mark.parametrize("width", [1, 2, 5])
def test_random(width):
    rng = random.Random(width)
    cycles = [(rng.getrandbits(width) & rng.getrandbits(width), rng.getrandbits(1))
              for _ in range(500)]
    last, waited = width - 1, [0] * width
    for (requests, accept), grant in zip(cycles, run(width, cycles), strict=True):
        order = [(last + 1 + n) % width for n in range(width)]
        winner = next((n for n in order if requests >> n & 1), None)
        assert grant == (0 if winner is None else 1 << winner)
        if winner is not None and accept:
            last = winner
            waited = [waited[n] + 1 if requests >> n & 1 and n != winner else 0
                      for n in range(width)]
            assert max(waited) < width
