"""The SFU against its golden model."""

from dataclasses import replace
from functools import cache

import pytest

from ouroboros.hw.params.isa import Fn
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.sfu.sfu import Sfu
from ouroboros.sw.golden.numerics import exp_table
from ouroboros.tb.lib.pysim import PySim
from ouroboros.tb.sfu.agent import SfuAgent
from ouroboros.tb.sfu.cases import SfuCases, corners, extremes, functions
from ouroboros.tb.sfu.wide import bounds

TINY = load_machine("tiny")
TINY = replace(TINY, core=replace(TINY.core, param_words=16))
WIDE = replace(TINY, core=replace(TINY.core, lanes=16))
TINY24, WIDE24 = (replace(machine, core=replace(machine.core, residual_bits=24))
                  for machine in (TINY, WIDE))


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


@pytest.mark.parametrize(("machine", "fn"), [
    (machine, fn) for machine in (TINY, TINY24) for fn in functions(machine)],
    ids=lambda value: value.name if isinstance(value, Fn) else str(value.core.residual_bits))
def test_random(machine, fn):
    cases = SfuCases(machine, seed=int(fn))
    check([cases.case(fn) for _ in range(50)], cases)


@pytest.mark.long
@pytest.mark.parametrize("machine", [WIDE, WIDE24], ids=["16", "24"])
def test_random_with_16_lanes(machine):
    cases = SfuCases(machine, seed=100)
    check([cases.case() for _ in range(40)], cases)


@pytest.mark.parametrize("machine", [TINY, TINY24], ids=["16", "24"])
@pytest.mark.parametrize("overlap", [False, True])
def test_stalled_drain_stream(machine, overlap):
    cases = SfuCases(machine, seed=7)
    some = [cases.case(keep=lambda case: case.drain) for _ in range(40)]
    check(some, cases, stall=0.5, overlap=overlap)


@pytest.mark.parametrize("machine", [TINY, TINY24], ids=["16", "24"])
def test_overlapping_instructions(machine):
    cases = SfuCases(machine, seed=9)
    check([cases.case() for _ in range(60)], cases, overlap=True)


@pytest.mark.parametrize("machine", [TINY, TINY24], ids=["16", "24"])
def test_shortest_instructions_overlap(machine):
    """The write port and ``done`` are used at their densest."""
    cases = SfuCases(machine, seed=11)
    short = [cases.case(keep=lambda case: case.length() <= TINY.core.lanes) for _ in range(80)]
    check(short, cases, overlap=True)


@pytest.mark.parametrize(("machine", "make"), [
    (TINY, extremes), (TINY, corners), (TINY24, extremes), (TINY24, corners), (TINY24, bounds)],
    ids=["16-extremes", "16-corners", "24-extremes", "24-corners", "24-bounds"])
def test_limits(machine, make):
    cases = SfuCases(machine, seed=0)
    some = list(make(machine, cases.golden, cases.buffer))
    check(some, cases, overlap=True)


@pytest.mark.parametrize("bits", [7, 12])
def test_the_last_two_weights_are_both_zero(bits):
    """So a bound of EXP's index of 254 in place of 255 would be the same."""
    assert list(exp_table(bits)[254:]) == [0, 0] and exp_table(bits)[0] == 2**bits - 1
