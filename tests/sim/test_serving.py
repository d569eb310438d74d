"""Serving on the RTL of the small machine: arrivals, cancellations, policies, a real client."""

import random
from collections import Counter
from dataclasses import replace

import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.api.catalogue import SHIPPED
from ouroboros.sw.mapper.integers import integer_model
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.program.kv_room import with_kv_blocks
from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.quantise.source import open_model
from ouroboros.sw.runtime.faults.fault import hurtable
from ouroboros.sw.runtime.job import Job, RequestSpec
from ouroboros.sw.runtime.service import backend, compare
from ouroboros.sw.serving.options import ServingOptions
from ouroboros.tests.sw.server.conftest import Server
from ouroboros.tests.sw.server.test_server import PROMPTS, chat, metric, said, wait_for

TINY_SHAPE = {"dim": 32, "hidden_dim": 40, "n_layers": 1, "n_heads": 4, "n_kv_heads": 2,
              "vocab_size": 40, "seq_len": 64}


def drawn(rng, count, vocab_size, gap, longest=8):
    """Requests whose lengths, arrivals and ends are drawn; three in ten are given up."""
    arrival, lengths, found = 0, range(1, longest + 1), []
    for _ in range(count):
        arrival += rng.randrange(gap)
        found.append(RequestSpec(
            prompt=tuple(rng.randrange(3, vocab_size) for _ in range(rng.choice(lengths))),
            limit=rng.randrange(1, 6), logits="none", arrival=arrival, priority=rng.randrange(2),
            cancel_at=arrival + rng.randrange(40 * gap) if rng.random() < 0.3 else None))
    return tuple(found)


def check(job, result):
    """Every request said what it says alone, and none but those given up is cut short."""
    assert len(result.requests) == len(job.requests)
    assert compare(job.model, result.requests)[0]
    for spec, one in zip(job.requests, result.requests, strict=True):
        assert (one.finished == "length" and len(one.tokens) == spec.limit) or (
            one.finished == "cancelled" and spec.cancel_at is not None)
    assert {one.finished for one in result.requests} == {"length", "cancelled"}
    assert result.errors == 0
    # Every sequence has been freed in every core.
    assert not any(core.events["kv_blocks"] for core in result.counters.values())


@pytest.mark.sim
@pytest.mark.parametrize("options", [{}, {"grain": "sequence"}, {"static_tokens": 32}],
                         ids=["token", "sequence", "static"])
def test_arrivals_and_cancellations_on_the_tiny_machine(make_checkpoint, options):
    """Crowded: two blocks of KV, so that sequences give way and come again."""
    model = quantise(make_checkpoint(**TINY_SHAPE))
    program = with_kv_blocks(map_model(load_machine("tiny"), model), 2)
    job = Job(program=program, model=model, requests=drawn(random.Random(2), 24, 40, 400, 20),
              options=ServingOptions(headroom_blocks=0, **options), measured=True)
    result = backend("verilator")(job, lambda *step: None)
    check(job, result)
    assert result.held.peaks["filled"] >= 2
    token = replace(job, options=ServingOptions(headroom_blocks=0))
    golden = backend("golden")(token, lambda *step: None)
    assert compare(model, golden.requests)[0]


@pytest.mark.slow
@pytest.mark.sim
@pytest.mark.parametrize("name", ["tiny", "small"])
def test_500_requests(make_checkpoint, name):
    """Arrivals and cancellations at random; on ``small`` the shipped model, on ``tiny`` a crowd.

    Macro twins: the same cycles. The machines as faults are put into them, so that one build of
    each serves this, the tests of faults and ``faults sweep``.
    """
    machine = hurtable(load_machine(name))
    model, blocks, gap, longest = (
        (quantise(make_checkpoint(**TINY_SHAPE)), 4, 400, 20) if name == "tiny" else
        (integer_model(open_model(SHIPPED, None), machine, None), 16, 3000, 8))
    program = with_kv_blocks(map_model(machine, model), blocks)
    job = Job(program=program, model=model, measured=True, twin=True,
              requests=drawn(random.Random(12), 500, program.vocab_size, gap, longest))
    result = backend("verilator")(job, lambda *step: None)
    ended = Counter(one.finished for one in result.requests)
    print(f"{dict(ended)}, {result.tokens} tokens in {result.cycles} cycles, "
          f"{sum(one.preemptions for one in result.requests)} preempted, {result.held.peaks}")
    check(job, result)


@pytest.mark.slow
@pytest.mark.sim
def test_a_real_client_of_simulated_hardware(tmp_path):
    """Two chats at once, one disconnects: the other's text is the golden machine's; it drains."""
    golden = Server(tmp_path)
    try:
        alone = golden.text(PROMPTS[1], 12)
    finally:
        golden.close()
    server = Server(tmp_path, "--on", "verilator", "--twin", timeout=600)
    try:
        first, second = chat(server, PROMPTS[0], 200), chat(server, PROMPTS[1], 12)
        next(first), next(first)
        got = next(second).choices[0].delta.content or ""
        first.response.close()
        assert got + said(second) == alone
        wait_for(lambda: metric(server, "ouroboros_requests_under_way") == 0, 120)
        assert metric(server, "ouroboros_machine_cycles") > 10_000
        stream = chat(server, PROMPTS[1], 12)
        next(stream)
        server.process.terminate()
        assert said(stream) == alone
        assert server.process.wait(120) == 0
    finally:
        server.close()


@pytest.mark.sim
def test_guesses_on_the_tiny_machine(make_checkpoint):
    """One sequence alone leaves most slots empty: right guesses fill them, wrong ones cost little.

    The machine of ``test_faults``, so that it is built once.
    """
    model = quantise(make_checkpoint(**TINY_SHAPE))
    job = Job(program=map_model(hurtable(load_machine("tiny")), model), model=model, twin=True,
              observe=False, requests=(RequestSpec(prompt=(1, 30, 9), limit=40),))
    cycles = {}
    for guesses in (0, 4):
        result = backend("verilator")(
            replace(job, options=ServingOptions(speculate=guesses)), lambda *step: None)
        [request] = result.requests
        assert len(request.tokens) == 40 and compare(model, result.requests)[0]
        assert bool(request.confirmed) == bool(guesses)
        cycles[guesses] = result.cycles
        print(f"{guesses}: {result.cycles} cycles, {request.guessed} guessed, "
              f"{request.confirmed} right")
    assert cycles[4] < cycles[0]
