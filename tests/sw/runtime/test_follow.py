"""Jobs on the cycle model: one token at a time is what the walk says; together they wait."""

from dataclasses import replace

import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import Flag
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.perf.flow import flow
from ouroboros.sw.perf.walk import walk
from ouroboros.sw.program.image import Token, read_stages
from ouroboros.sw.program.kv_room import with_kv_blocks
from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.runtime.follow import follow_job
from ouroboros.sw.runtime.job import Job, RequestSpec


@pytest.fixture
def job(make_checkpoint):
    model = quantise(make_checkpoint(dim=32, n_heads=4, n_kv_heads=2, n_layers=1, hidden_dim=40,
                                     seq_len=48))
    return Job(program=map_model(load_machine("tiny"), model), model=model, requests=(
        RequestSpec(prompt=(3, 4, 5), limit=4, logits="none"),))


def test_decode_is_one_walk_after_the_other(job):
    found = follow_job(job, [4])
    [request] = found.requests
    stages = read_stages(job.program)
    for position in range(3, 6):
        assert request.finish_times[position] - request.start_times[position] == walk(
            job.program, stages, Token(position)).result
    assert found.flow.tokens == (
        *(Token(n, int(Flag.QUIET)) for n in range(2)), *(Token(n) for n in range(2, 6)),
        Token(6, int(Flag.FREE | Flag.QUIET)))
    assert request.finished == "length" and request.generated == 4


def test_a_prompt_is_that_of_the_flow(job):
    stages = read_stages(job.program)
    known = flow(job.program, stages, [Token(0, Flag.QUIET), Token(1, Flag.QUIET), Token(2)])
    [request] = follow_job(job, [4]).requests
    assert tuple(request.finish_times[n] for n in range(3)) == known.results


def test_sequences_share_the_machine(job):
    """Each is slower than alone, all of them faster than one after the other."""
    def last(count):
        [*requests] = follow_job(replace(job, requests=job.requests * count), [4] * count).requests
        return [request.finish_times[5] for request in requests]

    [alone], four = last(1), last(4)
    assert min(four) >= alone and max(four) > alone
    assert max(four) < 4 * alone
    ids = {token.sequence for token in follow_job(
        replace(job, requests=job.requests * 3), [4] * 3).flow.tokens}
    assert ids == {0, 1, 2}


def test_logits_that_go_to_the_host_take_longer(job):
    streamed = replace(job, requests=(replace(job.requests[0], logits="last"),))
    ends = [follow_job(one, [4]).requests[0].finish_times[5] for one in (job, streamed)]
    assert ends[1] > ends[0]


@pytest.mark.parametrize(("changes", "message"), [
    ({"arrival": 9}, "must have all requests at their start, and no faults"),
    ({"cancel_at": 9}, "must have all requests at their start, and no faults")])
def test_what_is_not_followed(job, changes, message):
    changed = replace(job, requests=(replace(job.requests[0], **changes),))
    with pytest.raises(PerfError, match=message):
        follow_job(changed, [2])


def test_kv_that_runs_out(job):
    size = job.program.machine.block_tokens
    crowded = replace(job, program=with_kv_blocks(job.program, 2), requests=tuple(
        RequestSpec(prompt=(3,) * (size - 1), limit=6, logits="none") for _ in range(2)),
        options=replace(job.options, headroom_blocks=0))
    with pytest.raises(PerfError, match="must have room for the KV of all sequences alive, and 2"):
        follow_job(crowded, [6, 6])
