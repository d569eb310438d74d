import asyncio
import random
from dataclasses import replace

import pytest

from hw.params.machine import load_machine
from hw.params.packet import KV_CONFIG, Flag, Kind, Unit
from sw.golden.core.packets import credit_packet, data_packets
from sw.mapper.head import HOST_LOGITS
from sw.mapper.mapper import map_model
from sw.mapper.program import CoreImage, Write
from sw.quantise.quantise import quantise
from sw.runtime.engine import EngineError

MODELS = {}
TINY = load_machine("tiny")
TIGHT = replace(TINY, cim=replace(TINY.cim, rows=32), kv=replace(TINY.kv, blocks=8, heads=1))


def serve(bench, prompts, limits, logits="last"):
    requests = [bench.engine.submit(prompt, limit=limit, logits=logits)
                for prompt, limit in zip(prompts, limits, strict=True)]
    bench.run()
    return requests


@pytest.mark.parametrize("seed", [None, 1, 2])
@pytest.mark.parametrize("window", [None, 1, 3])
def test_more_requests_than_sequence_ids(make_bench, make_prompts, seed, window):
    """Ten requests on four ids: ids and KV are used again, the order of ends follows the work."""
    bench = make_bench(seed=seed, window=window)
    rng = random.Random(4)
    limits = [rng.randrange(4) for _ in range(10)]
    requests = serve(bench, make_prompts(3, [rng.randrange(1, 7) for _ in limits]), limits, "all")
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
            most = max(most, bench.engine._flying)
            await send(packets)

        bench.link.send = watch
        serve(bench, make_prompts(1, [5, 5]), [2, 2])
        seen.append(most)
    assert seen[:2] == [1, 2] and seen[2] > 2


@pytest.mark.parametrize("logits", ["none", "last", "all"])
def test_streamed_logits(make_bench, make_prompts, logits):
    bench = make_bench(seed=5)
    [request] = serve(bench, make_prompts(2, [5]), [3], logits)
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
    serve(bench, make_prompts(1, [4]), [3], logits)
    assert [flags[n] for n in range(7)] == [*expected, Flag.FREE | Flag.QUIET]


def test_stop_id(make_bench, make_prompts):
    """The stop token ends its sequence and is its last token; the others go on."""
    prompts = make_prompts(7, [3, 4, 5])
    free = serve(make_bench(), prompts, [8, 8, 8])
    stop = free[1].tokens[3]
    bench = make_bench(stop_ids=[stop])
    for request, undisturbed in zip(serve(bench, prompts, [8, 8, 8]), free, strict=True):
        cut = undisturbed.tokens.index(stop) + 1 if stop in undisturbed.tokens else 8
        assert request.tokens == undisturbed.tokens[:cut]
        assert request.finished == ("stop" if stop in undisturbed.tokens else "length")


def test_a_stop_id_in_the_prompt_does_not_stop(make_bench):
    bench = make_bench(stop_ids=[1])
    [request] = serve(bench, [[1, 1, 1]], [1])
    bench.check(request, 1)


def test_limit_zero(make_bench, make_prompts):
    """The prompt is computed, nothing is generated."""
    bench = make_bench()
    requests = serve(bench, make_prompts(1, [4, 1]), [0, 0], "all")
    for request in requests:
        assert (request.finished, request.tokens) == ("length", [])
        bench.check(request, 0)
        assert len(request.vectors) == len(request.prompt)


def test_context_limit(make_bench, make_prompts, model, program):
    """Every position may be used, the last of them to make one more token."""
    bench = make_bench(program=map_model(program.machine, model, context=20))
    requests = serve(bench, make_prompts(1, [18, 20, 3]), [9, 9, 2], "all")
    assert [request.finished for request in requests] == ["context", "context", "length"]
    for request, count in zip(requests, (3, 1, 2), strict=True):
        bench.check(request, count)


def test_on_token(make_bench, make_prompts):
    heard = []
    bench = make_bench(on_token=lambda request, token: heard.append((request, token)))
    requests = serve(bench, make_prompts(1, [3, 2]), [4, 3])
    for request in requests:
        assert [token for other, token in heard if other is request] == request.tokens


# Cancelling


def test_cancel_while_waiting(make_bench, make_prompts):
    bench = make_bench()
    requests = [bench.engine.submit(prompt, limit=2) for prompt in make_prompts(1, [2] * 7)]
    requests[5].cancel()
    requests[6].cancel()
    bench.run()
    assert [r.finished for r in requests] == ["length"] * 5 + ["cancelled"] * 2
    assert requests[5].tokens == requests[6].tokens == []


@pytest.mark.parametrize("seed", [None, 3])
@pytest.mark.parametrize("steps", [1, 4, 9, 30])
def test_cancel_while_running(make_bench, make_prompts, steps, seed):
    bench = make_bench(seed=seed)
    requests = [bench.engine.submit(prompt, limit=6) for prompt in make_prompts(1, [12, 3, 9])]
    bench.steps(steps)
    requests[0].cancel()
    known = len(requests[0].tokens)
    bench.run()
    assert requests[0].finished == "cancelled" and len(requests[0].tokens) == known
    bench.check(requests[0])
    for request in requests[1:]:
        bench.check(request, 6)


def test_cancel_from_on_token(make_bench, make_prompts):
    def cancel(request, token):
        if len(request.tokens) == 3:
            request.cancel()

    bench = make_bench(on_token=cancel)
    requests = serve(bench, make_prompts(1, [3, 2]), [9, 2])
    assert [(r.finished, len(r.tokens)) for r in requests] == [("cancelled", 3), ("length", 2)]


def test_cancel_comes_too_late(make_bench, make_prompts):
    """A request that has ended stays as it is."""
    bench = make_bench()
    [request] = serve(bench, make_prompts(1, [3]), [2])
    request.cancel()
    [other] = serve(bench, make_prompts(1, [3]), [2])
    assert request.finished == "length" and other.finished == "length"


def test_cancel_all(make_bench, make_prompts):
    bench = make_bench(seed=2)
    requests = [bench.engine.submit(prompt, limit=6) for prompt in make_prompts(1, [12] * 6)]
    bench.steps(15)
    for request in requests:
        request.cancel()
    bench.run()
    assert {request.finished for request in requests} == {"cancelled"}


# Full cores


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_preempted_requests_give_the_same_tokens(make_bench, make_prompts, seed):
    """Four sequences of 31 tokens need eight blocks; there are four. All are served."""
    bench = make_bench(seed=seed, headroom_blocks=0)
    requests = serve(bench, make_prompts(seed, [13, 14, 12, 15]), [18, 17, 19, 16])
    assert sum(request.preemptions for request in requests) > 0
    for request in requests:
        assert request.finished == "length"
        bench.check(request, request.limit)


@pytest.mark.parametrize("seed", range(2))
def test_first_come_first_served(make_bench, make_prompts, seed):
    """The first is never preempted; those that wait, preempted or not, wait in their order."""
    bench = make_bench(seed=seed, headroom_blocks=0)
    requests = [bench.engine.submit(prompt, limit=18)
                for prompt in make_prompts(seed, [13, 14, 12, 15, 3])]
    number = {id(request): n for n, request in enumerate(requests)}
    seen = set()
    while not all(request.finished for request in requests):
        bench.steps(1)
        order = [number[id(request)] for request in bench.engine._waiting]
        assert order == sorted(order)
        seen.add(tuple(order))
    bench.run()
    assert requests[0].preemptions == 0 and len(seen) > 3


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_refused_prompt_tokens_are_sent_again(make_bench, make_prompts, seed):
    """Prompts grow into blocks that are not there while many of their tokens are under way."""
    bench = make_bench(seed=seed, headroom_blocks=0)
    # The estimate is switched off: everything is admitted at once.
    bench.engine.program = replace(bench.program, kv_blocks=100)
    requests = [bench.engine.submit(prompt, limit=limit, logits="all") for prompt, limit in
                zip(make_prompts(seed, [30, 40, 20]), [18, 8, 4], strict=True)]
    stopped = {}
    while not all(request.finished for request in requests):
        bench.steps(1)
        # Nothing more of a sequence is sent once a refusal is known.
        now = {s: s.next for s in bench.engine._active
               if s.rewind is not None and not s.leaving}
        assert all(now[s] == stopped[s] for s in now.keys() & stopped.keys())
        stopped = now
    bench.run()
    undisturbed = sum(len(r.prompt) + max(r.limit - 1, 0) + 1 for r in requests)
    assert bench.engine.injected > undisturbed + 4
    for request in requests:
        assert request.finished == "length"
        bench.check(request, request.limit)


@pytest.mark.parametrize("limit", [*range(4, 9), 14, 20])
@pytest.mark.parametrize("first", [False, True])
def test_one_ends_while_another_is_refused(make_bench, make_prompts, first, limit):
    """What is refused just before or after room was made is sent again, not given up."""
    bench = make_bench(seed=None if limit < 9 else limit)
    bench.engine.program = replace(bench.program, kv_blocks=100)
    large, small = make_prompts(limit, [60, 3])
    prompts, limits = ([large, small], [4, limit]) if first else ([small, large], [limit, 4])
    requests = [bench.engine.submit(prompt, limit=number)
                for prompt, number in zip(prompts, limits, strict=True)]
    while not all(request.finished for request in requests):
        bench.steps(1)
        # One that has all its tokens is never put back.
        assert all(len(r.tokens) < r.limit for r in bench.engine._waiting)
    bench.run()
    for request in requests:
        assert request.finished == "length"
        bench.check(request, request.limit)


@pytest.mark.parametrize("seed", [None, 1, 2])
@pytest.mark.parametrize("first", [False, True])
def test_a_sequence_that_never_fits_ends_alone(make_bench, make_prompts, first, seed):
    """Four blocks hold 64 tokens; the sequence stops there, all others are served."""
    bench = make_bench(seed=seed)
    lengths, limits = [5, 60, 6, 7], [20, 15, 3, 12]
    if first:
        lengths[0], lengths[1], limits[0], limits[1] = 60, 5, 15, 20
    requests = serve(bench, make_prompts(2, lengths), limits)
    for request in requests:
        if len(request.prompt) == 60:
            assert request.finished == "kv_full"
            bench.check(request, 5)     # tokens 61 to 65; the last has no KV
        else:
            assert request.finished == "length"
            bench.check(request, request.limit)


def test_nobody_makes_room_for_a_sequence_that_never_fits(make_bench, make_prompts,
                                                          make_checkpoint):
    """V blocks of a sequence share a column slot: it may be full where another has room."""
    narrow = quantise(make_checkpoint(dim=16, n_layers=1, n_heads=2, n_kv_heads=1, seq_len=80))
    program = map_model(TIGHT, narrow, context=80)
    assert (program.kv_blocks, program.kv_sequence_blocks) == (8, 4)
    bench = make_bench(program=program, model=narrow)
    requests = serve(bench, make_prompts(3, [60, 3]), [12, 20])
    assert [r.finished for r in requests] == ["kv_full", "length"]
    assert [r.preemptions for r in requests] == [0, 0]
    for request, count in zip(requests, (5, 20), strict=True):
        bench.check(request, count)


@pytest.mark.parametrize("limit", [5, 6, 7, 8])
def test_logits_that_come_late(make_bench, make_prompts, limit):
    """A refused token may be back before the logits of tokens ahead of it: they count."""
    bench = make_bench(headroom_blocks=0)
    bench.engine.program = replace(bench.program, kv_blocks=100)
    bench.hold(12, lambda header: header.get("operand") == HOST_LOGITS)
    requests = serve(bench, make_prompts(1, [3, 60]), [limit, 4], "all")
    for request in requests:
        assert request.finished == "length"
        bench.check(request, request.limit)


@pytest.mark.parametrize("limit", [5, 12, 16])
def test_results_that_come_out_of_order(make_bench, make_prompts, limit):
    bench = make_bench(headroom_blocks=0)
    bench.engine.program = replace(bench.program, kv_blocks=100)
    bench.hold(7, lambda header: header["kind"] == Kind.DATA and header["position"] % 3 == 0)
    for request in serve(bench, make_prompts(1, [3, 60]), [limit, 4], "all"):
        assert request.finished == "length"
        bench.check(request, request.limit)


def test_credits_that_come_last(make_bench, make_prompts):
    """They are waited for, to the last one: the next user of the link finds it silent."""
    bench = make_bench()
    bench.hold(99, lambda header: header["kind"] == Kind.CREDIT)
    for request in serve(bench, make_prompts(1, [5, 4]), [2, 3]):
        bench.check(request, request.limit)


def test_a_prompt_that_never_fits_is_not_even_begun(make_bench, make_prompts):
    bench = make_bench()
    requests = serve(bench, make_prompts(2, [65, 3]), [1, 1])
    assert [request.finished for request in requests] == ["kv_full", "length"]
    assert bench.engine.injected == 3 + 1    # the FREE of the second


def cut_member(program, member):
    """The program with one K block per macro in cores of ``member``."""
    def cut(write):
        fields = KV_CONFIG.unpack(write.values[0])
        if fields["member"] == member:
            fields["k_blocks"] = 1
        return Write(write.unit, 0, (KV_CONFIG.pack(fields),))

    return replace(program, images={
        core: CoreImage([cut(write) if write.unit == Unit.KV else write
                         for write in image.writes]) for core, image in program.images.items()})


@pytest.mark.parametrize("member", [0, 1])
@pytest.mark.parametrize("seed", range(4))
def test_full_members(make_bench, make_prompts, make_checkpoint, seed, member):
    """Two members share each head: one is full while the other computes; both must go on."""
    if "split" not in MODELS:
        MODELS["split"] = quantise(make_checkpoint(
            dim=32, hidden_dim=40, n_layers=1, n_heads=2, n_kv_heads=2, vocab_size=29, seq_len=80))
    model = MODELS["split"]
    machine = replace(TINY, kv=replace(TINY.kv, blocks=8))
    program = cut_member(map_model(machine, model, placement="split", context=80), member)
    bench = make_bench(program=program, model=model, seed=seed, headroom_blocks=0)
    bench.engine.program = replace(program, kv_blocks=100)
    requests = serve(bench, make_prompts(seed, [20, 30, 20]), [12, 3, 12], "all")
    undisturbed = sum(len(r.prompt) + max(r.limit - 1, 0) + 1 for r in requests)
    assert bench.engine.injected > undisturbed
    for request in requests:
        assert request.finished == "length"
        bench.check(request, request.limit)


def test_exactly_full(make_bench, make_prompts):
    """64 positions are there to be used."""
    bench = make_bench()
    [request] = serve(bench, make_prompts(2, [62]), [3])
    assert request.finished == "length" and request.preemptions == 0
    bench.check(request, 3)


@pytest.mark.parametrize("seed", range(3))
def test_cancel_while_cores_are_full(make_bench, make_prompts, seed):
    """Cancelled at any moment of a preemption: nothing hangs, nothing leaks."""
    for steps in (110, 160 + seed):
        bench = make_bench(seed=seed, headroom_blocks=0)
        bench.engine.program = replace(bench.program, kv_blocks=100)
        requests = [bench.engine.submit(prompt, limit=12)
                    for prompt in make_prompts(seed, [30, 40, 35])]
        bench.steps(steps)
        requests[seed].cancel()
        bench.run()
        for request in requests:
            assert request.finished == ("cancelled" if request is requests[seed] else "length")
            bench.check(request)


def test_headroom_delays_admission(make_bench, make_prompts):
    """With a block kept free only three of the four-block machine's blocks are given at first."""
    for headroom, together in ((0, 4), (1, 3), (3, 1), (9, 1)):
        bench = make_bench(headroom_blocks=headroom)
        for prompt in make_prompts(1, [4] * 4):
            bench.engine.submit(prompt, limit=1)
        bench.steps(1)
        assert len(bench.engine._active) == together
        bench.run()


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


@pytest.mark.parametrize(("options", "message"), [
    ({"window": 0}, "window must be at least 1, not 0"),
    ({"headroom_blocks": -1}, "headroom_blocks must be at least 0, not -1")])
def test_refused_engines(make_bench, options, message):
    with pytest.raises(EngineError) as error:
        make_bench(**options)
    assert str(error.value) == message


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
    with pytest.raises(EngineError, match=r"^expected no credit of counter 0, not \{"):
        bench.run()
