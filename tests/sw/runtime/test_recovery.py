"""Recovery on the golden machine: single faults, pairs, a fault in the middle of a recovery."""

import asyncio
from dataclasses import replace

import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.runtime.execute import execute
from ouroboros.sw.runtime.faults.fault import every_fault, hurtable, parse_fault, random_faults
from ouroboros.sw.runtime.job import Job, RequestSpec
from ouroboros.sw.runtime.service import compare
from ouroboros.tests.sw.runtime.hurt_golden import HurtLink

TINY = hurtable(load_machine("tiny"))
SHAPE = {"dim": 32, "hidden_dim": 40, "n_layers": 1, "n_heads": 4, "n_kv_heads": 2,
         "vocab_size": 40, "seq_len": 64}
MODELS = {}


@pytest.fixture
def job(make_checkpoint):
    if not MODELS:
        MODELS["tiny"] = quantise(make_checkpoint(**SHAPE))
    model = MODELS["tiny"]
    return Job(program=map_model(TINY, model), model=model, observe=False, requests=(
        RequestSpec(prompt=(1, *range(3, 20)), limit=3), RequestSpec(prompt=(1, 30), limit=4)))


def hurt(job, faults, seed=0):
    result = asyncio.run(execute(
        HurtLink(job.program.machine, seed), replace(job, faults=tuple(faults)), lambda *_: None))
    assert compare(job.model, result.requests)[0]
    if result.refused is None:
        assert [len(request.tokens) for request in result.requests] == [3, 4]
    return result


def whole_cycles(job):
    return hurt(job, [parse_fault("upset:1,1:east@1000000000")]).cycles


@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.slow), 5])
@pytest.mark.parametrize("kind, number", [("core", 12), ("router", 11), ("link", 17)])
def test_single_faults(job, kind, number, every):
    """All in the slow tier, each fifth in the fast one."""
    middle = whole_cycles(job) // 2
    faults = every_fault(TINY, kind, middle)
    assert len(faults) == number
    noticed = 0
    for fault in faults[::every]:
        result = hurt(job, [fault])
        assert result.refused is None
        noticed += bool(result.recovered)
        for one in result.recovered:
            assert one.noticed > middle
            assert one.dead_cores == ([] if kind == "link" else [fault.core])
            assert one.dead_links == (
                [(fault.core, fault.port.beyond(fault.core))] if kind == "link" else [])
    # What nothing passes can be lost without a word: the mesh has more than the program uses.
    assert noticed


def test_pairs(job):
    """Recovered, or refused with all that was generated intact."""
    end = whole_cycles(job)
    back = 0
    for seed in range(4):
        result = hurt(job, random_faults(TINY, 2, seed=seed, first=end // 4, last=end // 2), seed)
        back += result.refused is None
    assert back > 1


def test_a_fault_in_every_part_of_a_recovery(job):
    """Whenever the second one comes, while the first is looked for or cores are loaded."""
    middle = whole_cycles(job) // 2
    core = next(stage.core for stage in job.program.stages if stage.kind == "kv")
    first = parse_fault(f"core:{core[0]},{core[1]}@{middle}")
    [alone] = hurt(job, [first]).recovered
    # The core that takes the lost one's part is lost, too.
    [(_, (x, y))] = alone.moved
    attempts = set()
    for part in range(1, 8, 3):
        cycle = alone.noticed + part * alone.cycles // 8
        result = hurt(job, [first, parse_fault(f"core:{x},{y}@{cycle}")])
        assert result.refused is None
        assert len(result.recovered[-1].dead_cores) == 2
        attempts.add(sum(one.attempts for one in result.recovered))
    assert max(attempts) > 1


def test_only_what_had_its_kv_there_goes_in_again(job):
    """A KV core has the tokens of all sequences, here; a core of weights has none."""
    middle = 3 * whole_cycles(job) // 4
    kv = {stage.name: stage.core for stage in job.program.stages if stage.kind == "kv"}
    assert job.program.kv_members == 1 and len(kv) == 2
    again = {}
    for kind in ("kv", "up"):
        core = next(stage.core for stage in job.program.stages if stage.kind == kind)
        [one] = hurt(job, [parse_fault(f"core:{core[0]},{core[1]}@{middle}")]).recovered
        again[kind] = one.tokens_again
    assert again["up"] <= 2 < 18 < again["kv"]


def test_what_cannot_be_brought_back_keeps_what_it_said(job):
    middle = 19 * whole_cycles(job) // 20
    cut = [parse_fault(f"link:1,1:{port}@{middle}") for port in ("east", "south")]
    result = hurt(job, cut)
    assert result.refused.startswith("the machine was hurt in cycle ")
    assert "refused" in {request.finished for request in result.requests}
    assert any(request.tokens for request in result.requests)
