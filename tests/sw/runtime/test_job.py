"""Runs that the user ends: what there was by then is kept."""

import signal

import numpy as np
import pytest

from ouroboros.sw.runtime.execute import partial
from ouroboros.sw.runtime.golden import run
from ouroboros.sw.runtime.job import Generated, Job, RequestSpec


@pytest.fixture
def make_job(program, model):
    def make(*prompts, limit=5):
        return Job(program=program, model=model, requests=tuple(
            RequestSpec(prompt=tuple(prompt), limit=limit, logits="all") for prompt in prompts))
    return make


def test_the_first_interrupt_ends_a_run_and_keeps_what_there_was(make_job):
    """The signal itself: no event loop may keep it for later."""
    job = make_job((1, 2, 3), (4, 5))
    whole = run(job, lambda *step: None)
    steps = []

    def interrupt(what, done, total):
        steps.append((what, done))
        if (what, done) == ("token", 3):
            signal.raise_signal(signal.SIGINT)

    result = run(job, interrupt)
    assert steps[-1] == ("token", 3)
    assert result.interrupted and not whole.interrupted and result.run_s > 0
    assert sum(len(request.tokens) for request in result.requests) == 3
    for request, full in zip(result.requests, whole.requests, strict=True):
        assert (request.finished, full.finished) == ("interrupted", "length")
        assert request.prompt == full.prompt
        assert request.tokens == full.tokens[:len(request.tokens)]
        for position, vector in request.vectors.items():
            assert np.array_equal(vector, full.vectors[position])
        assert len(request.vectors) >= len(request.prompt) + len(request.tokens) - 1


def test_before_the_first_token_there_is_nothing_to_keep(make_job):
    def interrupt(what, done, total):
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(make_job((1, 2)), interrupt)


def test_a_result_from_its_tokens(make_job):
    job = make_job((1, 2), (3,))
    zero, one = np.zeros(23, np.int32), np.ones(23, np.int32)
    result = partial(job, [Generated(request=1, token=9, vectors={0: zero}, run_s=1.0),
                           Generated(request=1, token=8, vectors={1: one}, run_s=2.5)])
    assert [request.tokens for request in result.requests] == [[], [9, 8]]
    assert result.requests[1].vectors == {0: zero, 1: one}
    assert result.run_s == 2.5
