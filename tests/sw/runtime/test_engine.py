import asyncio
import random

import numpy as np
import pytest

from ouroboros.hw.params.packet import Flag
from ouroboros.sw.golden.decoder import IntegerDecoder
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.program.packets import credit_packet, data_packets
from ouroboros.sw.runtime.engine import EngineError


@pytest.mark.parametrize("seed", [None, 1, 2])
@pytest.mark.parametrize("window", [None, 1, 3])
def test_more_requests_than_sequence_ids(make_bench, make_prompts, seed, window):
    """Ten requests on four ids: ids and KV are used again, the order of ends follows the work."""
    bench = make_bench(seed=seed, window=window)
    rng = random.Random(4)
    limits = [rng.randrange(4) for _ in range(10)]
    requests = bench.serve(make_prompts(3, [rng.randrange(1, 7) for _ in limits]), limits, "all")
    for request, limit in zip(requests, limits, strict=True):
        bench.check(request, limit)
        assert request.finished == "length" and request.preemptions == 0


def test_window_bounds_the_tokens_under_way(make_bench, make_prompts):
    seen = []
    for window in (1, 2, None):
        bench = make_bench(window=window)
        send, most = bench.link.send, 0

        async def watch(packets, send=send, bench=bench):
            nonlocal most
            most = max(most, bench.engine.scheduler.flying)
            await send(packets)

        bench.link.send = watch
        bench.serve(make_prompts(1, [5, 5]), [2, 2])
        seen.append(most)
    assert seen[:2] == [1, 2] and seen[2] > 2


@pytest.mark.parametrize("logits", ["none", "last", "all"])
def test_streamed_logits(make_bench, make_prompts, logits):
    bench = make_bench(seed=5)
    [request] = bench.serve(make_prompts(2, [5]), [3], logits)
    bench.check(request, 3)
    first = {"none": 99, "last": 4, "all": 0}[logits]
    assert sorted(request.vectors) == [*range(first, 7)]


@pytest.mark.parametrize(("logits", "expected"), [
    ("none", [Flag.QUIET] * 3 + [0] * 3), ("last", [Flag.QUIET] * 3 + [Flag.STREAM] * 3),
    ("all", [Flag.STREAM] * 6)])
def test_flags(make_bench, make_prompts, logits, expected):
    """Logits are computed only where someone wants to know them."""
    bench = make_bench()
    send, flags = bench.link.send, {}

    async def watch(packets):
        flags.update({p.header["position"]: p.header["flags"] for p in packets})
        await send(packets)

    bench.link.send = watch
    bench.serve(make_prompts(1, [4]), [3], logits)
    assert [flags[n] for n in range(7)] == [*expected, Flag.FREE | Flag.QUIET]


def test_stop_id(make_bench, make_prompts):
    """The stop token ends its sequence and is its last token; the others go on."""
    prompts = make_prompts(7, [3, 4, 5])
    free = make_bench().serve(prompts, [8, 8, 8])
    stop = free[1].tokens[3]
    bench = make_bench(stop_ids=[stop])
    for request, undisturbed in zip(bench.serve(prompts, [8, 8, 8]), free, strict=True):
        cut = undisturbed.tokens.index(stop) + 1 if stop in undisturbed.tokens else 8
        assert request.tokens == undisturbed.tokens[:cut]
        assert request.finished == ("stop" if stop in undisturbed.tokens else "length")


def test_a_stop_id_as_the_last_token_allowed(make_bench, make_prompts):
    prompts = make_prompts(7, [3])
    [free] = make_bench().serve(prompts, [4])
    [request] = make_bench(stop_ids=[free.tokens[-1]]).serve(
        prompts, [free.tokens.index(free.tokens[-1]) + 1])
    assert request.finished == "stop"


def test_a_stop_id_in_the_prompt_does_not_stop(make_bench):
    bench = make_bench(stop_ids=[1])
    [request] = bench.serve([[1, 1, 1]], [1])
    bench.check(request, 1)


def test_limit_zero(make_bench, make_prompts):
    """The prompt is computed, nothing is generated."""
    bench = make_bench()
    requests = bench.serve(make_prompts(1, [4, 1]), [0, 0], "all")
    for request in requests:
        assert (request.finished, request.tokens) == ("length", [])
        bench.check(request, 0)
        assert len(request.vectors) == len(request.prompt)


def test_context_limit(make_bench, make_prompts, model, program):
    """Every position may be used, the last of them to make one more token."""
    bench = make_bench(program=map_model(program.machine, model, context=20))
    requests = bench.serve(make_prompts(1, [18, 20, 3]), [9, 9, 2], "all")
    assert [request.finished for request in requests] == ["context", "context", "length"]
    for request, count in zip(requests, (3, 1, 2), strict=True):
        bench.check(request, count)


def test_on_token(make_bench, make_prompts):
    heard = []
    bench = make_bench(on_token=lambda request, token: heard.append((request, token)))
    requests = bench.serve(make_prompts(1, [3, 2]), [4, 3])
    for request in requests:
        assert [token for other, token in heard if other is request] == request.tokens


def test_tokens_that_the_host_chooses(make_bench, make_prompts, model):
    """The second likeliest of every token: what the machine is fed, and what is said of it."""
    def second(request, position, logits):
        assert position == request.length - 1
        return int(np.argsort(-logits, kind="stable")[1])

    prompts = make_prompts(1, [3, 17, 2])
    bench = make_bench(seed=3, choose=second)
    decoder = IntegerDecoder(model)
    for n, request in enumerate(bench.serve(prompts, [6, 20, 5], "all")):
        assert request.finished == "length" and len(request.tokens) == request.limit
        golden = np.asarray(decoder.prefill(n, [*request.prompt, *request.tokens]))
        for k, token in enumerate(request.tokens):
            assert token == np.argsort(-golden[len(request.prompt) - 1 + k], kind="stable")[1]


def test_chosen_tokens_survive_preemption(make_bench, make_prompts):
    """What is computed again is fed the tokens that were chosen before."""
    def choose(request, position, logits):
        return (7 * position + len(request.prompt)) % 23

    bench = make_bench(choose=choose, headroom_blocks=0)
    requests = bench.serve(make_prompts(3, [14, 15, 13]), [24, 24, 24])
    assert sum(request.preemptions for request in requests) > 0
    for request in requests:
        assert request.tokens == [(7 * position + len(request.prompt)) % 23 for position in range(
            len(request.prompt) - 1, len(request.prompt) - 1 + len(request.tokens))]


def test_a_text_that_the_host_ends(make_bench, make_prompts):
    prompts = make_prompts(7, [3, 4])
    free = make_bench().serve(prompts, [8, 8])
    bench = make_bench(ended=lambda request, token: len(request.tokens) + 1 == 3)
    for request, undisturbed in zip(bench.serve(prompts, [8, 8]), free, strict=True):
        assert (request.tokens, request.finished) == (undisturbed.tokens[:3], "stop")


def test_choosing_needs_logits(make_bench):
    bench = make_bench(choose=lambda request, position, logits: 0)
    with pytest.raises(EngineError) as caught:
        bench.engine.submit([1], limit=1, logits="none")
    assert str(caught.value) == (
        "logits must be last or all where tokens are drawn from them, not 'none'")


@pytest.mark.parametrize("seed", range(6))
def test_random_service(make_bench, make_prompts, seed):
    """Anything at any time: submitted while running, cancelled, too long, preempted."""
    rng = random.Random(seed)
    bench = make_bench(seed=seed, headroom_blocks=rng.randrange(2),
                       window=rng.choice([None, None, 2]))
    requests = []
    for _ in range(7):
        [prompt] = make_prompts(rng.random(), [rng.choice([1, 3, 15, 17, 30, 45])])
        requests.append(bench.engine.submit(prompt, limit=rng.choice([0, 1, 5, 20]),
                                            logits=rng.choice(["none", "last", "all"])))
        bench.steps(rng.randrange(12))
        if rng.random() < 0.3:
            rng.choice(requests).cancel()
    bench.run()
    for request in requests:
        fits = len(request.prompt) + request.limit <= 65
        if request.finished != "cancelled":
            assert request.finished == ("length" if fits else "kv_full")
        bench.check(request)


# Refusals


@pytest.mark.parametrize(("prompt", "options", "message"), [
    ([], {}, "prompt must have at least one token"),
    ([1] * 81, {}, "prompt must be at most 80 tokens (the context), not 81"),
    ([1, 23], {}, "token id must be between 0 and 22, not 23"),
    ([-1], {}, "token id must be between 0 and 22, not -1"),
    ([1], {"logits": "some"}, "logits must be none, last or all, not 'some'"),
    ([1], {"limit": -1}, "limit must be at least 0, not -1")])
def test_refused_requests(make_bench, prompt, options, message):
    bench = make_bench()
    with pytest.raises(EngineError) as error:
        bench.engine.submit(prompt, **{"limit": 1, **options})
    assert str(error.value) == message
    bench.run()     # nothing was queued
    assert bench.engine.injected == 0


def answer(bench, **changes):
    fields = {"src": (1, 1), "dst": bench.program.machine.host, "stage": 0, "operand": 0,
              "sequence": 0, "position": 0, "flags": int(Flag.QUIET), **changes}
    [packet] = data_packets([0], **fields)
    return packet


@pytest.mark.parametrize("make", [
    lambda bench: answer(bench, sequence=3),
    lambda bench: answer(bench, position=70),
    lambda bench: answer(bench, operand=2),
    lambda bench: credit_packet(bench.program.machine, src=(1, 1), dst=(0, 1), counter=7)])
def test_a_machine_that_misbehaves(make_bench, make_prompts, make):
    """A packet that nobody asked for is named, not swallowed."""
    bench = make_bench()
    bench.engine.submit([1, 2], limit=1)

    async def recv():
        return make(bench)

    bench.link.recv = recv
    with pytest.raises(EngineError):
        asyncio.run(bench.engine.step())


def test_a_credit_too_many(make_bench):
    bench = make_bench()
    bench.engine.submit([1], limit=1)
    bench.link.golden.to_host.extend(
        credit_packet(bench.program.machine, src=(1, 1), dst=(0, 1), counter=0) for _ in range(2))
    with pytest.raises(EngineError, match=r"^a credit of counter 0 must have been "
                                         r"taken before it is given back: \{"):
        bench.run()
