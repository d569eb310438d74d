"""Cores without a free KV block: refused tokens, preemption, sequences that never fit."""

from dataclasses import replace

import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import KV_CONFIG, Kind, Unit
from ouroboros.sw.block.head import HOST_LOGITS
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.program.program import CoreImage, Write
from ouroboros.sw.quantise.quantise import quantise

MODELS = {}
TINY = load_machine("tiny")
TIGHT = replace(TINY, cim=replace(TINY.cim, rows=32), kv=replace(TINY.kv, blocks=8, heads=1))


@pytest.mark.long
@pytest.mark.parametrize("seed", [None, 0, 1])
def test_preempted_requests_give_the_same_tokens(make_bench, make_prompts, seed):
    """Four sequences of 31 tokens need eight blocks; there are four. All are served."""
    bench = make_bench(seed=seed, headroom_blocks=0)
    requests = bench.serve(make_prompts(seed, [13, 14, 12, 15]), [18, 17, 19, 16])
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
        order = [number[id(request)] for request in bench.engine.scheduler.waiting]
        assert order == sorted(order)
        seen.add(tuple(order))
    bench.run()
    assert requests[0].preemptions == 0 and len(seen) > 3


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_refused_prompt_tokens_are_sent_again(make_bench, make_prompts, seed):
    """Prompts grow into blocks that are not there while many of their tokens are under way."""
    # The estimate is switched off: everything is admitted at once.
    bench = make_bench(seed=seed, headroom_blocks=0, kv_blocks=100)
    requests = [bench.engine.submit(prompt, limit=limit, logits="all") for prompt, limit in
                zip(make_prompts(seed, [30, 40, 20]), [18, 8, 4], strict=True)]
    stopped = {}
    while not all(request.finished for request in requests):
        bench.steps(1)
        # Nothing more of a sequence is sent once a refusal is known.
        now = {s: s.next for s in bench.engine.scheduler.active
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
    bench = make_bench(seed=None if limit < 9 else limit, kv_blocks=100)
    large, small = make_prompts(limit, [60, 3])
    prompts, limits = ([large, small], [4, limit]) if first else ([small, large], [limit, 4])
    requests = [bench.engine.submit(prompt, limit=number)
                for prompt, number in zip(prompts, limits, strict=True)]
    while not all(request.finished for request in requests):
        bench.steps(1)
        # One that has all its tokens is never put back.
        assert all(len(r.tokens) < r.limit for r in bench.engine.scheduler.waiting)
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
    requests = bench.serve(make_prompts(2, lengths), limits)
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
    requests = bench.serve(make_prompts(3, [60, 3]), [12, 20])
    assert [r.finished for r in requests] == ["kv_full", "length"]
    assert [r.preemptions for r in requests] == [0, 0]
    for request, count in zip(requests, (5, 20), strict=True):
        bench.check(request, count)


@pytest.mark.parametrize("limit", [5, 6, 7, 8])
def test_logits_that_come_late(make_bench, make_prompts, limit):
    """A refused token may be back before the logits of tokens ahead of it: they count."""
    bench = make_bench(headroom_blocks=0, kv_blocks=100)
    bench.hold(12, lambda header: header.get("operand") == HOST_LOGITS)
    requests = bench.serve(make_prompts(1, [3, 60]), [limit, 4], "all")
    for request in requests:
        assert request.finished == "length"
        bench.check(request, request.limit)


@pytest.mark.parametrize("limit", [5, 12, 16])
def test_results_that_come_out_of_order(make_bench, make_prompts, limit):
    bench = make_bench(headroom_blocks=0, kv_blocks=100)
    bench.hold(7, lambda header: header["kind"] == Kind.DATA and header["position"] % 3 == 0)
    for request in bench.serve(make_prompts(1, [3, 60]), [limit, 4], "all"):
        assert request.finished == "length"
        bench.check(request, request.limit)


def test_credits_that_come_last(make_bench, make_prompts):
    """They are waited for, to the last one: the next user of the link finds it silent."""
    bench = make_bench()
    bench.hold(99, lambda header: header["kind"] == Kind.CREDIT)
    for request in bench.serve(make_prompts(1, [5, 4]), [2, 3]):
        bench.check(request, request.limit)


def test_a_prompt_that_never_fits_is_not_even_begun(make_bench, make_prompts):
    bench = make_bench()
    requests = bench.serve(make_prompts(2, [65, 3]), [1, 1])
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


@pytest.mark.long
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
    bench = make_bench(program=program, model=model, seed=seed, headroom_blocks=0, kv_blocks=100)
    requests = bench.serve(make_prompts(seed, [20, 30, 20]), [12, 3, 12], "all")
    undisturbed = sum(len(r.prompt) + max(r.limit - 1, 0) + 1 for r in requests)
    assert bench.engine.injected > undisturbed
    for request in requests:
        assert request.finished == "length"
        bench.check(request, request.limit)


def test_exactly_full(make_bench, make_prompts):
    """64 positions are there to be used."""
    bench = make_bench()
    [request] = bench.serve(make_prompts(2, [62]), [3])
    assert request.finished == "length" and request.preemptions == 0
    bench.check(request, 3)
