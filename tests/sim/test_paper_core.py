"""Cores of the paper's size, run: 32 macros of 1024 x 128 each, six of them in a mesh of 3 x 2."""

from dataclasses import replace

import numpy as np
import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import Flag
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.perf.agreement import agreement
from ouroboros.sw.perf.events import token_events
from ouroboros.sw.program.image import Token, read_stages
from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.quantise.recipe import RECIPES
from ouroboros.sw.runtime.job import IMAGE, Job, RequestSpec
from ouroboros.sw.runtime.service import compare
from ouroboros.tb.flow.backend import build_die, emit_die, run_job
from ouroboros.tb.flow.build import build

DIE = load_machine("die")
PAPER = replace(DIE, name="paper", mesh=replace(DIE.mesh, width=3, height=2, die_width=3,
                                                die_height=2))
EQUAL = ("array_group_cycles", "row_writes", "byte_writes", "kv_operations", "sfu_elements")
"""Counters of what the run alone does."""


@pytest.fixture
def model(make_checkpoint):
    return quantise(make_checkpoint(dim=256, hidden_dim=192, n_layers=1, n_heads=2, n_kv_heads=1,
                                    vocab_size=64, seq_len=300), recipe=RECIPES["R2"])


def paper_job(model, lengths, **changes):
    rng = np.random.default_rng(7)
    return Job(program=map_model(PAPER, model, context=256), model=model, **changes,
               requests=tuple(RequestSpec(prompt=tuple(rng.integers(3, 64, n).tolist()), limit=2,
                                          logits="all") for n in lengths))


def check(job, result):
    assert compare(job.model, result.requests) == (True, sum(
        len(spec.prompt) + spec.limit - 1 for spec in job.requests))
    assert result.errors == 0


@pytest.mark.sim
@pytest.mark.slow
def test_a_model_of_scheme_r2(model):
    """Over the border of a KV block of 128 tokens, two sequences, twins, loaded by images."""
    job = paper_job(model, (133, 5), twin=True, load=IMAGE)
    check(job, run_job(build_die(PAPER, "verilator", twin=True, preload=True), job,
                       lambda *_: None))


@pytest.mark.sim
@pytest.mark.slow
def test_bit_serial_macros(model):
    """The macro's own RTL, compiled as a block of its own."""
    job = paper_job(model, (5,))
    built = build("die", emit_die(PAPER), sim="verilator", hier_blocks=["tile", "macro"])
    check(job, run_job(built, job, lambda *_: None))


@pytest.mark.sim
@pytest.mark.slow
def test_the_cycle_model(model):
    """Every stage of every token and every event as predicted; tokens one at a time."""
    job = replace(paper_job(model, (4,), twin=True, load=IMAGE), window=1)
    job = replace(job, requests=(replace(job.requests[0], limit=4),))
    result = run_job(build_die(PAPER, "verilator", twin=True, preload=True), job, lambda *_: None)
    [request] = result.requests
    found = agreement(job.program, result.traces, starts=request.start_times,
                      ends=request.finish_times, prompt_tokens=4, stream=True)
    assert len(found.decode) == 3 and len(found.stages) == len(job.program.stages)
    for name, pair in found.stages.items():
        assert (name, pair.measured) == (name, pair.predicted)
    for position, pair in found.decode.items():
        assert (position, pair.measured) == (position, pair.predicted)
    stages = read_stages(job.program)
    tokens = [*(Token(n, int(Flag.STREAM)) for n in range(7)),
              Token(7, int(Flag.FREE | Flag.QUIET))]
    for core, counters in result.counters.items():
        want = [token_events(job.program, stages, token).get(core, {}) for token in tokens]
        for name in EQUAL:
            assert (core, name, counters.events[name]) == (
                core, name, sum(events.get(name, 0) for events in want))
