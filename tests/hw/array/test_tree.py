import random
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from amaranth.hdl import Fragment

from ouroboros.hw.array.tree import AdderTree
from ouroboros.hw.params.cim import tree_latency_cycles
from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.golden.tree import tree_sum
from ouroboros.tb.lib.pysim import PySim

TINY = load_machine("tiny")
LANES = TINY.core.lanes
EXTREMES = [-2**31, 2**31 - 1, -1, 0, 1]


@cache
def tree(macros):
    return PySim(AdderTree(replace(TINY, core=replace(TINY.core, macros=macros))))


def run(sim, beats, stall, seed=3):
    """Send beats of (leaves, mask, valid); (data, valid, accepted, seen) of each that came out."""
    rng = random.Random(seed)
    dut, seen, accepted = sim.dut, [], []

    async def testbench(ctx):
        queue, cycle, offered = list(beats), 0, False
        while len(seen) < len(beats):
            offered = offered or (bool(queue) and rng.random() >= stall)
            ctx.set(dut.i.valid, offered)
            if offered:
                leaves, mask, valid = queue[0]
                ctx.set(dut.i.payload, {"leaves": leaves.tolist(), "valid": valid,
                                        "mask": sum(int(bit) << k for k, bit in enumerate(mask))})
            ready = rng.random() >= stall
            ctx.set(dut.o.ready, ready)
            if ctx.get(dut.o.valid) and ready:
                seen.append(([ctx.get(lane) for lane in dut.o.p.data], ctx.get(dut.o.p.valid),
                             accepted[len(seen)], cycle))
            if offered and ctx.get(dut.i.ready):
                accepted.append(cycle)
                queue.pop(0)
                offered = False
            await ctx.tick()
            cycle += 1
            assert cycle < 1000

    sim.run(testbench)
    return seen


def random_beats(macros, count, seed=5):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        leaves = rng.integers(-2**31, 2**31, (macros, LANES))
        leaves = np.where(rng.random(leaves.shape) < 0.3, rng.choice(EXTREMES, leaves.shape),
                          leaves)
        yield leaves, rng.random(macros) < rng.choice([0, 0.3, 0.7, 1]), int(rng.integers(16))


@pytest.mark.parametrize(("mask", "expected"), [
    ([0, 0, 0, 0], 0), ([1, 0, 0, 0], 1), ([0, 0, 0, 1], 1000), ([1, 1, 0, 0], 11),
    ([1, 0, 1, 0], 101), ([1, 1, 1, 1], 1111)])
def test_masks(mask, expected):
    leaves = np.array([[1] * LANES, [10] * LANES, [100] * LANES, [1000] * LANES])
    [(data, valid, _, _)] = run(tree(4), [(leaves, np.array(mask), 0b0110)], 0.0)
    assert data == [expected] * LANES and valid == 0b0110


def test_lanes_stay_apart_and_wrap():
    leaves = np.array([[2**31 - 1, -2**31, 5, -1], [1, -1, 6, 1]])
    [(data, *_)] = run(tree(2), [(leaves, np.array([1, 1]), 15)], 0.0)
    assert data == [-2**31, 2**31 - 1, 11, 0]


@pytest.mark.parametrize("stall", [0.0, 0.5])
@pytest.mark.parametrize("macros", [1, 2, 8])
def test_random_beats_match_golden(macros, stall):
    beats = list(random_beats(macros, 40))
    seen = run(tree(macros), beats, stall)
    assert [item[:2] for item in seen] == [
        (tree_sum(leaves, mask).tolist(), valid) for leaves, mask, valid in beats]


@pytest.mark.parametrize(("macros", "latency"), [(1, 1), (2, 1), (4, 1), (8, 2), (32, 3)])
def test_latency_and_full_rate(macros, latency):
    sim = tree(macros)
    assert sim.dut.latency_cycles == tree_latency_cycles(macros) == latency
    seen = run(sim, list(random_beats(macros, 10)), 0.0)
    assert [out - accepted for *_, accepted, out in seen] == [latency] * 10
    assert [accepted for _, _, accepted, _ in seen] == list(range(10))


@pytest.mark.parametrize("macros", [4, 8, 32])
def test_bubbles_are_closed_up_while_the_output_is_blocked(macros):
    """Beats that come now and then fill every register, and leave one after the other."""
    sim = tree(macros)
    dut, latency = sim.dut, tree_latency_cycles(macros)
    sums = []

    async def testbench(ctx):
        accepted = 0
        for cycle in range(4 * latency + 4):
            ctx.set(dut.i.valid, cycle % 3 == 0)
            ctx.set(dut.i.payload, {"leaves": [[accepted] * LANES] + [[0] * LANES] * (macros - 1),
                                    "mask": 1, "valid": 0})
            *_, taken = await ctx.tick().sample(dut.i.ready & dut.i.valid)
            accepted += taken
        assert accepted == latency
        ctx.set(dut.i.valid, 0)
        ctx.set(dut.o.ready, 1)
        for _ in range(latency):
            *_, valid, data = await ctx.tick().sample(dut.o.valid, dut.o.p.data[0])
            assert valid
            sums.append(data)

    sim.run(testbench)
    assert sums == list(range(latency))


def test_paper_scale_elaborates():
    Fragment.get(AdderTree(load_machine("die")), None)
