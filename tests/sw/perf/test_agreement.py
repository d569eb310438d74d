"""Traces beside the cycle model: traces made from the model itself, moved and stretched."""

from dataclasses import dataclass

import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import Flag
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.perf.agreement import agreement
from ouroboros.sw.perf.pipeline import Prediction
from ouroboros.sw.perf.walk import walk
from ouroboros.sw.program.image import Token, read_stages
from ouroboros.sw.quantise.quantise import quantise

PROMPT, FED = 3, 6


@dataclass
class Entry:
    stage: int
    position: int
    flags: int
    start: int
    end: int


@pytest.fixture
def program(make_checkpoint):
    return map_model(load_machine("tiny"), quantise(make_checkpoint(n_layers=1)))


@pytest.fixture
def traces(program):
    """Tokens one after the other, as the model has them, 5,000 cycles apart."""
    stages, found = read_stages(program), {}
    for position in range(FED):
        flags = Flag.QUIET if position < PROMPT - 1 else 0
        for one in walk(program, stages, Token(position, flags)).stages:
            found.setdefault(one.stage.info.core, []).append(Entry(
                one.stage.info.index, position, flags, one.start + 5000 * position,
                one.end + 5000 * position))
    return found


def held(program, traces, fed=FED):
    """A prompt whose tokens follow each other, and every result in the predicted cycle."""
    stages = read_stages(program)
    starts = {n: 5000 * n for n in range(fed)}
    ends = {n: starts[n] + walk(program, stages, Token(n)).result for n in range(fed)}
    return agreement(program, traces, starts=starts, ends=ends, prompt_tokens=PROMPT,
                     stream=False)


def test_the_model_agrees_with_itself(program, traces):
    found = held(program, traces)
    assert {*found.decode} == {3, 4, 5} and {pair.error for pair in found.decode.values()} == {0}
    assert {pair.error for pair in found.stages.values()} == {0}
    assert {*found.stages} == {stage.name for stage in program.stages}
    # The prompt's tokens were sent one by one here; the model has them follow each other.
    last = walk(program, read_stages(program), Token(PROMPT - 1)).result
    assert found.prefill.measured == 5000 * (PROMPT - 1) + last
    assert found.prefill.predicted == Prediction(
        program, prompt_tokens=PROMPT, context=PROMPT).prefill_cycles
    assert found.total.measured == found.prefill.measured + sum(
        pair.measured for pair in found.decode.values())


def test_what_is_slower_shows_where(program, traces):
    slow = program.stages[2]
    [entry] = [one for one in traces[slow.core]
               if (one.stage, one.position) == (slow.index, 4)]
    entry.end += 7
    found = held(program, traces)
    assert found.worst_stage == slow.name
    pair = found.stages[slow.name]
    assert pair.measured == pair.predicted + 7
    assert pair.error == pytest.approx(-7 / pair.measured)
    assert found.as_dict()["stages"][slow.name] == {
        "measured": pair.measured, "predicted": pair.predicted, "error": pair.error}


def test_traces_that_have_lost_tokens_say_nothing(program, traces):
    assert held(program, traces, fed=PROMPT) is None
    core = program.stages[0].core
    traces[core] = [one for one in traces[core] if one.position > 1]
    assert held(program, traces) is not None
    traces[core] = [one for one in traces[core] if one.position > PROMPT]
    assert held(program, traces) is None
