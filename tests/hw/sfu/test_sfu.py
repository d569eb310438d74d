"""The SFU against its golden model."""

from dataclasses import replace
from functools import cache

import pytest

from ouroboros.hw.params.isa import Fn
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.sfu.sfu import Sfu
from ouroboros.tb.lib.pysim import PySim
from ouroboros.tb.sfu.agent import SfuAgent
from ouroboros.tb.sfu.cases import SfuCases, corners, extremes

TINY = load_machine("tiny")
TINY = replace(TINY, core=replace(TINY.core, param_words=16))
WIDE = replace(TINY, core=replace(TINY.core, lanes=16))


@cache
def simulated(machine):
    return PySim(Sfu(machine))


def check(some, cases, *, stall=0.0, overlap=False):
    """Run on both models, compare buffer, events and cycles."""
    async def story(dut):
        agent = SfuAgent(dut, cases, overlap=overlap, stall=stall)
        await agent.configure(silu=any(case.fields["fn"] == Fn.SILU for case in some))
        await agent.run(some)

    simulated(cases.machine).tell(story)


@pytest.mark.parametrize("fn", list(Fn))
def test_random(fn):
    cases = SfuCases(TINY, seed=int(fn))
    check([cases.case(fn) for _ in range(50)], cases)


def test_random_with_16_lanes():
    cases = SfuCases(WIDE, seed=100)
    check([cases.case() for _ in range(40)], cases)


@pytest.mark.parametrize("overlap", [False, True])
def test_stalled_drain_stream(overlap):
    cases = SfuCases(TINY, seed=7)
    some = [cases.case(keep=lambda case: case.drain) for _ in range(40)]
    check(some, cases, stall=0.5, overlap=overlap)


def test_overlapping_instructions():
    cases = SfuCases(TINY, seed=9)
    check([cases.case() for _ in range(60)], cases, overlap=True)


def test_shortest_instructions_overlap():
    """The write port and ``done`` are used at their densest."""
    cases = SfuCases(TINY, seed=11)
    short = [cases.case(keep=lambda case: case.length() <= TINY.core.lanes) for _ in range(80)]
    check(short, cases, overlap=True)


@pytest.mark.parametrize("make", [extremes, corners])
def test_limits(make):
    cases = SfuCases(TINY, seed=0)
    some = list(make(TINY, cases.golden, cases.buffer))
    check(some, cases, overlap=True)
