"""Machines of several dies: a model runs over their borders, in the cycles that were predicted."""

from dataclasses import replace

import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import Flag
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.perf.walk import walk
from ouroboros.sw.program.image import Token, read_stages
from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.runtime.job import Job, RequestSpec
from ouroboros.sw.runtime.service import compare
from ouroboros.tb.flow.backend import verilator

PROMPT = (1, 5, 9, 2)
LIMIT = 2
NETWORK_TOLERANCE = 0.03


def four_dies(**noc):
    """Machine tiny on 2 x 2 dies of 2 x 2 cores."""
    machine = load_machine("tiny")
    mesh = replace(machine.mesh, width=4, height=4, die_width=2, die_height=2)
    return replace(machine, mesh=mesh, noc=replace(machine.noc, **noc))


@pytest.fixture
def model(make_checkpoint):
    return quantise(make_checkpoint(dim=32, n_heads=4, n_kv_heads=2, n_layers=1, hidden_dim=40))


def served(machine, model, placement):
    job = Job(program=map_model(machine, model, placement=placement), model=model, window=1,
              twin=True, requests=(RequestSpec(prompt=PROMPT, limit=LIMIT, logits="all"),))
    return job, verilator(job, lambda *_: None)


@pytest.mark.sim
@pytest.mark.parametrize(("placement", "latency", "width"), [
    ("plain", 20, 1), ("split", 7, 2), ("plain", 3, 4)])
def test_a_model_over_the_borders_of_dies(placement, latency, width, model):
    """Every logit is the golden one's; every stage starts and ends when the model says.

    With several slices packets of different senders meet in routers, and on a narrow wire credits
    go between the flits of packets, which the model does not follow: there the time in a stage is
    exact, but for a cycle by which a stage of several slices starts sooner than the model says, and
    the end of a token close.
    """
    machine = four_dies(die_latency_cycles=latency, die_cycles_per_flit=width)
    job, result = served(machine, model, placement)
    assert compare(model, result.requests) == (True, len(PROMPT) + LIMIT - 1)
    assert result.errors == 0
    assert len({machine.mesh.die_of(stage.core) for stage in job.program.stages}) > 1

    stages = read_stages(job.program)
    seen = {(core, entry.stage, entry.position): entry
            for core, trace in result.traces.items() for entry in trace}
    wrong = []
    for position in range(len(PROMPT) + LIMIT - 1):
        found = walk(job.program, stages, Token(position, Flag.STREAM))
        first = job.program.embed[0]
        starts = {(w.stage.info.core, w.stage.info.index): w.start for w in found.stages}
        offset = seen[first.core, first.stage, position].start - starts[first.core, first.stage]
        for w in found.stages:
            entry = seen[w.stage.info.core, w.stage.info.index, position]
            if placement == "plain" and width == 1:
                got, want = (entry.start, entry.end), (w.start + offset, w.end + offset)
            elif w.waiting:
                continue
            else:
                got, want = (entry.end - entry.start,), (w.end - w.start,)
            early = width > 1 and placement == "split"
            if any(not 0 <= a - b <= early for a, b in zip(got, want, strict=True)):
                wrong.append((position, w.stage.info.name, got, want))
        last = found.stages[-1]
        end = seen[last.stage.info.core, last.stage.info.index, position].end
        assert end - offset == pytest.approx(last.end, rel=NETWORK_TOLERANCE)
    assert wrong == []


@pytest.mark.sim
def test_dies_change_when_and_not_what(model):
    """The same program takes longer over borders, and longer the longer these are."""
    _, apart = served(four_dies(die_latency_cycles=20), model, "plain")
    machine = four_dies()
    machine = replace(machine, mesh=replace(machine.mesh, die_width=4, die_height=4))
    _, whole = served(machine, model, "plain")
    assert [r.tokens for r in apart.requests] == [r.tokens for r in whole.requests]
    assert apart.cycles > whole.cycles
    assert apart.flit_hops == whole.flit_hops
