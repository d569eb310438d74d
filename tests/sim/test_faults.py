"""A machine that is hurt while it runs says what it would have said."""

from dataclasses import replace

import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.runtime.fault import hurtable, parse_fault
from ouroboros.sw.runtime.job import Job, RequestSpec
from ouroboros.sw.runtime.service import compare
from ouroboros.tb.flow.backend import verilator

TINY = hurtable(load_machine("tiny"))
SHAPE = {"dim": 32, "hidden_dim": 40, "n_layers": 1, "n_heads": 4, "n_kv_heads": 2,
         "vocab_size": 40, "seq_len": 64}


@pytest.fixture
def job(make_checkpoint):
    model = quantise(make_checkpoint(**SHAPE))
    program = map_model(TINY, model)
    return Job(program=program, model=model, twin=True, observe=False, requests=(
        RequestSpec(prompt=(1, *range(3, 22)), limit=6, logits="all"),
        RequestSpec(prompt=(1, 30), limit=8, logits="all")))


def hurt(job, *texts):
    result = verilator(replace(job, faults=tuple(map(parse_fault, texts))), lambda *_: None)
    assert compare(job.model, result.requests)[0]
    assert result.refused is None
    assert [len(request.tokens) for request in result.requests] == [6, 8]
    return result


def core_of(job, kind):
    return next(stage.core for stage in job.program.stages if stage.kind == kind)


@pytest.mark.sim
def test_a_core_stops(job):
    """A weight core and a KV core, each with its own consequences."""
    for kind in ("up", "kv"):
        x, y = core_of(job, kind)
        [one] = hurt(job, f"core:{x},{y}@6000").recovered
        assert one.dead_cores == [(x, y)] and not one.dead_links
        assert [was for was, _ in one.moved] == [(x, y)]
        assert one.noticed > 6000 and one.cycles > 0
        # Only a lost KV core costs more than what was under way.
        assert (one.tokens_again > 2) == (kind == "kv")
