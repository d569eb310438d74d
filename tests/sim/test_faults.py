"""A machine in RTL that is hurt while it runs says what it would have said."""

from dataclasses import replace
from statistics import median

import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.runtime.faults.fault import every_fault, hurtable, parse_fault, random_faults
from ouroboros.sw.runtime.job import BRANCH, Job, RequestSpec
from ouroboros.sw.runtime.service import compare
from ouroboros.tb.flow.backend import verilator

TINY = hurtable(load_machine("tiny"))
SHAPE = {"dim": 32, "hidden_dim": 40, "n_layers": 1, "n_heads": 4, "n_kv_heads": 2,
         "vocab_size": 40, "seq_len": 64}
MIDDLE = 6000
"""A cycle in which tokens are generated."""


@pytest.fixture
def job(make_checkpoint):
    model = quantise(make_checkpoint(**SHAPE))
    return Job(program=map_model(TINY, model), model=model, twin=True, observe=False, requests=(
        RequestSpec(prompt=(1, *range(3, 22)), limit=6, logits="all"),
        RequestSpec(prompt=(1, 30), limit=8, logits="all")))


def hurt(job, faults):
    return check(job, verilator(replace(job, faults=tuple(faults)), lambda *_: None))


def hurt_each(job, branches):
    """A run for each set of faults, of one simulation."""
    whole = verilator(replace(job, branches=tuple(map(tuple, branches))), lambda *_: None)
    assert len(whole.branches) == len(branches)
    return [check(job, result) for result in whole.branches]


def check(job, result):
    assert compare(job.model, result.requests)[0]
    if result.refused is None:
        assert [len(request.tokens) for request in result.requests] == [6, 8]
    return result


def check_single(job, fault, result):
    assert result.refused is None
    for one in result.recovered:
        assert one.noticed > MIDDLE
        assert one.cycles > 0
        assert one.dead_cores == ([fault.core] if fault.kind in ("core", "router") else [])
        assert one.dead_links == ([] if fault.kind in ("core", "router") else [
            tuple(sorted((fault.core, fault.port.beyond(fault.core))))])
        assert [was for was, _ in one.moved] == [core for core in one.dead_cores if core in {
            role.core for role in job.program.roles}]
    return result


def show(results):
    """Least, middle and most cycles."""
    for what, cycles in (
            ("notice", [result.recovered[0].after_fault for result in results
                        if result.recovered]),
            ("recover", [sum(one.cycles for one in result.recovered) for result in results
                         if result.recovered])):
        print(f"{what}: {min(cycles)}, {median(cycles)}, {max(cycles)} in {len(cycles)} of "
              f"{len(results)} runs")


@pytest.mark.sim
@pytest.mark.parametrize("text", [
    "core:3,1@6000", "core:1,1@6000", "router:3,2@6000", "link:2,1:east@6000",
    "flip:2,1:east:5@6000"])
def test_a_sample(job, text):
    """A KV core, the core beside the host's port, a weight core with its router, links."""
    fault = parse_fault(text)
    assert len(check_single(job, fault, hurt(job, [fault])).recovered) == 1


@pytest.mark.sim
def test_a_single_wrong_bit_costs_a_recovery_and_nothing_else(job):
    [one] = hurt(job, [parse_fault("upset:2,1:east:70@6000")]).recovered
    assert not one.dead_cores and not one.dead_links and not one.moved


@pytest.mark.sim
def test_branches_of_one_simulation(job):
    """Each is the run with its faults alone, cycle for cycle, and the run itself has none."""
    branches = tuple((parse_fault(text),) for text in ("core:3,1@6000", "link:2,1:east@7000"))
    told = []
    whole = verilator(replace(job, branches=branches), lambda *what: told.append(what))
    assert [what for what in told if what[0] == BRANCH] == [(BRANCH, 1, 2), (BRANCH, 2, 2)]
    assert compare(job.model, whole.requests)[0] and not whole.recovered
    assert len(whole.branches) == 2
    for faults, branch in zip(branches, whole.branches, strict=True):
        alone = hurt(job, faults)
        assert compare(job.model, branch.requests)[0]
        assert branch.cycles == alone.cycles > whole.cycles
        assert branch.recovered == alone.recovered and len(alone.recovered) == 1


@pytest.mark.slow
@pytest.mark.parametrize("kind, number", [("core", 12), ("router", 11), ("link", 17)])
def test_every_single_fault(job, kind, number):
    faults = every_fault(TINY, kind, MIDDLE)
    assert len(faults) == number
    results = hurt_each(job, [[fault] for fault in faults])
    for fault, result in zip(faults, results, strict=True):
        check_single(job, fault, result)
    show(results)


@pytest.mark.slow
def test_pairs(job):
    results = hurt_each(job, [random_faults(TINY, 2, seed=seed, first=3000, last=9000)
                              for seed in range(50)])
    refused = [result.refused for result in results if result.refused is not None]
    print(refused)
    show(results)
    assert len(refused) < 25


@pytest.mark.slow
def test_a_fault_while_another_is_repaired(job):
    """The core that takes the lost one's part is lost while it is found, loaded, or has been."""
    [alone] = hurt(job, [parse_fault("core:3,1@6000")]).recovered
    [(_, (x, y))] = alone.moved
    attempts = []
    for part in range(0, 9, 2):
        cycle = alone.noticed + part * alone.cycles // 8
        result = hurt(job, map(parse_fault, ("core:3,1@6000", f"core:{x},{y}@{cycle}")))
        assert result.refused is None
        assert result.recovered[-1].dead_cores == sorted([(3, 1), (x, y)])
        attempts.append(max(one.attempts for one in result.recovered))
    assert max(attempts) > 1
