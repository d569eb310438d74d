"""Requests that arrive, and are given up, while others are served; what was held meanwhile."""

import random
from dataclasses import replace

import pytest

from ouroboros.sw.runtime.golden import run
from ouroboros.sw.runtime.job import Job, RequestSpec
from ouroboros.sw.runtime.service import compare


@pytest.fixture
def make_job(program, model):
    def make(*specs, **options):
        return Job(program=program, model=model, measured=True, requests=tuple(
            RequestSpec(**{"prompt": (1, 2, 3), "limit": 4, "logits": "none"} | spec)
            for spec in specs), **options)
    return make


def test_times_of_a_token_a_tick(make_job):
    """Three prompt tokens, four generated ones, the last of which is not fed; then a rest."""
    result = run(make_job({}, {"arrival": 30}), lambda *step: None)
    first, second = result.requests
    assert (first.arrival, first.admitted, second.arrival, second.admitted) == (0, 0, 30, 30)
    assert first.token_times == [3, 4, 5, 6]
    assert second.token_times == [33, 34, 35, 36]
    assert result.held.until == 37 and result.held.peaks["alive"] == 1
    # Seven ticks each, of which the last frees; in between nobody is there.
    assert result.held.means["alive"] == pytest.approx(14 / 37)


def test_what_arrives_meanwhile_waits_for_its_admission(make_job):
    """Two that take half of the machine each; the third finds no room."""
    specs = [{"prompt": tuple(range(1, 21)), "limit": 8, "arrival": n} for n in range(3)]
    result = run(make_job(*specs), lambda *step: None)
    waits = [one.admitted - one.arrival for one in result.requests]
    assert max(waits[:1]) <= 4 and waits[2] > 20
    assert compare(make_job().model, result.requests)[0]
    assert [one.finished for one in result.requests] == ["length"] * 3


def test_who_gives_up_and_who_is_late(make_job):
    result = run(make_job({"limit": 40, "cancel_at": 10}, {"limit": 40, "deadline": 30}, {}),
                 lambda *step: None)
    assert [one.finished for one in result.requests] == ["cancelled", "deadline", "length"]
    assert 0 < len(result.requests[0].tokens) < len(result.requests[1].tokens) < 40


def test_a_job_that_is_not_measured_has_no_times(make_job):
    job = replace(make_job({}), measured=False)
    result = run(job, lambda *step: None)
    assert result.held is None and result.requests[0].token_times == []


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2))
def test_arrivals_and_cancellations_at_random(make_job, seed):
    """All that was said is what is said alone; nothing is left in the machine."""
    rng = random.Random(seed)
    arrivals = sorted(rng.randrange(300) for _ in range(40))
    specs = [{"prompt": tuple(rng.randrange(23) for _ in range(rng.randrange(1, 25))),
              "limit": rng.randrange(1, 9), "arrival": arrival, "priority": rng.randrange(2),
              "cancel_at": arrival + rng.randrange(60) if rng.random() < 0.3 else None}
             for arrival in arrivals]
    job = make_job(*specs)
    result = run(job, lambda *step: None)
    ends = {one.finished for one in result.requests}
    assert ends == {"length", "cancelled"} and len(result.requests) == 40
    assert compare(job.model, result.requests)[0]
    for spec, one in zip(specs, result.requests, strict=True):
        assert one.finished == "cancelled" or len(one.tokens) == spec["limit"]
        assert spec["cancel_at"] is not None or one.finished == "length"
    assert result.held.samples[-1].alive == 0 or result.held.until > result.held.samples[-1].time
