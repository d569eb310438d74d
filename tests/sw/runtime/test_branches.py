"""Branches of a run: alike until the first fault, and each as it is alone."""

import asyncio
from dataclasses import replace

import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.runtime.execute import execute
from ouroboros.sw.runtime.faults.fault import FaultError, hurtable, parse_fault
from ouroboros.sw.runtime.job import Job, RequestSpec
from ouroboros.sw.runtime.service import backend
from ouroboros.tests.sw.runtime.hurt_golden import HurtLink

TINY = hurtable(load_machine("tiny"))
SHAPE = {"dim": 32, "hidden_dim": 40, "n_layers": 1, "n_heads": 4, "n_kv_heads": 2,
         "vocab_size": 40, "seq_len": 64}
BRANCHES = tuple((parse_fault(text),) for text in (
    "core:3,1@1200", "link:2,1:east@1500", "upset:1,1:east@1000000000"))
"""A KV core, a link that is used, and what comes too late."""


@pytest.fixture
def job(make_checkpoint):
    model = quantise(make_checkpoint(**SHAPE))
    return Job(program=map_model(TINY, model), model=model, observe=False, requests=(
        RequestSpec(prompt=(1, *range(3, 20)), limit=3), RequestSpec(prompt=(1, 30), limit=4)))


def run(job, part=None):
    return asyncio.run(execute(HurtLink(TINY, 0), job, lambda *_: None, part=part))


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_branch_is_the_run_with_its_faults_alone(job, number):
    counts = []

    def part(count):
        counts.append(count)
        return number

    branch, alone = run(replace(job, branches=BRANCHES), part), run(
        replace(job, faults=BRANCHES[number]))
    assert counts == [3]
    assert branch.cycles == alone.cycles
    assert branch.recovered == alone.recovered and len(alone.recovered) == (number < 2)
    assert branch.come == alone.come
    assert [one.tokens for one in branch.requests] == [one.tokens for one in alone.requests]


def test_the_run_itself_has_no_fault(job):
    whole = run(replace(job, branches=BRANCHES), lambda count: None)
    assert whole.recovered == whole.come == []
    assert whole.cycles == run(replace(job, faults=BRANCHES[2])).cycles


def test_branches_of_a_run_with_faults_are_refused(job):
    with pytest.raises(FaultError, match="branches must be of a simulated run that has no faults"):
        run(replace(job, branches=BRANCHES, faults=BRANCHES[0]), lambda count: None)


def test_branches_where_nothing_can_part_are_refused(job):
    with pytest.raises(FaultError, match="branches must be of a simulated run"):
        run(replace(job, branches=BRANCHES))
    with pytest.raises(OuroborosError, match="must come to a machine with a clock"):
        backend("golden")(replace(job, branches=BRANCHES), lambda *_: None)
