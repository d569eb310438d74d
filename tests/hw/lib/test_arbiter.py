import random

import pytest
from amaranth.sim import Simulator

from ouroboros.hw.lib.arbiter import LeastRecent, RoundRobin


def run(width, cycles, arbiter=RoundRobin):
    """Grants for (requests, accept) of each cycle."""
    dut = arbiter(width)
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


BOTH = pytest.mark.parametrize("arbiter", [RoundRobin, LeastRecent])


@BOTH
def test_all_ask(arbiter):
    assert run(4, [(15, 1)] * 6, arbiter) == [1, 2, 4, 8, 1, 2]


@BOTH
def test_grant_stays_until_accepted(arbiter):
    assert run(3, [(7, 1), (7, 0), (7, 0), (5, 0), (7, 1), (7, 1)], arbiter) == [1, 2, 2, 4, 2, 4]


def test_who_asks_now_and_then_is_first_once_the_others_had_their_turn():
    """In cyclic order, the first would be before the second again."""
    cycles = [(0b001, 1), (0b100, 1), (0b011, 1)]
    assert run(3, cycles, LeastRecent) == [1, 4, 2]
    assert run(3, cycles, RoundRobin) == [1, 4, 1]


@pytest.mark.parametrize("width", [2, 3, 5])
def test_least_recent_at_random(width):
    cycles = some(width)
    order = list(range(width))
    for (requests, accept), grant in zip(cycles, run(width, cycles, LeastRecent), strict=True):
        winner = next((n for n in order if requests >> n & 1), None)
        assert grant == (0 if winner is None else 1 << winner)
        if winner is not None and accept:
            order.remove(winner)
            order.append(winner)


def some(width):
    """Requests and acceptance of 500 cycles."""
    rng = random.Random(width)
    return [(rng.getrandbits(width) & rng.getrandbits(width), rng.getrandbits(1))
            for _ in range(500)]


@pytest.mark.parametrize("width", [1, 2, 5])
def test_random(width):
    cycles = some(width)
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
