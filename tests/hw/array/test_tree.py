from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from amaranth.hdl import Fragment

from ouroboros.hw.array.tree import AdderTree
from ouroboros.hw.params.cim import tree_latency_cycles
from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.array.tree_agent import TreeAgent
from ouroboros.tb.lib.pysim import PySim

TINY = load_machine("tiny")
LANES = TINY.core.lanes


@cache
def tree(macros):
    return PySim(AdderTree(replace(TINY, core=replace(TINY.core, macros=macros))))


def run(sim, queue, stall=0.0):
    """Run the beats that ``queue`` sends by an agent; the agent."""
    agents = []

    async def story(dut):
        agent = TreeAgent(dut, sim.dut.machine, stall=stall)
        agents.append(agent)
        queue(agent)
        await agent.finish()

    sim.tell(story)
    return agents[0]


@pytest.mark.parametrize(("mask", "expected"), [
    ([0, 0, 0, 0], 0), ([1, 0, 0, 0], 1), ([0, 0, 0, 1], 1000), ([1, 1, 0, 0], 11),
    ([1, 0, 1, 0], 101), ([1, 1, 1, 1], 1111)])
def test_masks(mask, expected):
    leaves = np.array([[1] * LANES, [10] * LANES, [100] * LANES, [1000] * LANES])

    def queue(agent):
        assert agent.send(leaves, np.array(mask, bool), 0b0110) == [expected] * LANES

    run(tree(4), queue)


def test_lanes_stay_apart_and_wrap():
    leaves = np.array([[2**31 - 1, -2**31, 5, -1], [1, -1, 6, 1]])

    def queue(agent):
        assert agent.send(leaves, np.array([True, True]), 15) == [-2**31, 2**31 - 1, 11, 0]

    run(tree(2), queue)


@pytest.mark.parametrize("stall", [0.0, 0.5])
@pytest.mark.parametrize("macros", [1, 2, 8])
def test_random_beats_match_golden(macros, stall):
    run(tree(macros), lambda agent: agent.send_random(40), stall)


@pytest.mark.parametrize(("macros", "latency"), [(1, 1), (2, 1), (4, 1), (8, 2), (32, 3)])
def test_latency_and_full_rate(macros, latency):
    sim = tree(macros)
    assert sim.dut.latency_cycles == tree_latency_cycles(macros) == latency
    agent = run(sim, lambda agent: agent.send_random(10))
    assert agent.i.times == list(range(10))
    assert agent.o.times == list(range(latency, latency + 10))


def test_bubbles_are_closed_up():
    """While the output waits, beats move up behind each other until every stage is full."""
    sim = tree(8)

    async def story(dut):
        agent = TreeAgent(dut, sim.dut.machine)
        waits = [True]
        agent.i.idle = lambda: agent.cycle not in (0, 4)     # a bubble between two beats
        agent.o.idle = lambda: waits[0]
        agent.send_random(2)
        await agent.step(8)
        assert agent.i.times == [0, 4] and not agent.o.times
        waits[0] = False
        await agent.finish()
        assert agent.o.times == [8, 9]

    sim.tell(story)


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
