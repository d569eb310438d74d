"""Machines that are broken in one core, and what is said of them."""

import asyncio
import random
from dataclasses import replace

import pytest

from ouroboros.hw.params.isa import Fn
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import Flag, Kind
from ouroboros.sw.golden.machine import GoldenLink
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.runtime.difference import Sent, first_difference
from ouroboros.sw.runtime.execute import execute
from ouroboros.sw.runtime.job import Job, RequestSpec
from ouroboros.sw.runtime.locate import Golden, first_wrong, locate, shortened

TINY = load_machine("tiny")
WORD_BYTES = 4 * TINY.core.lanes
MODELS = {}


@pytest.fixture
def job(make_checkpoint):
    if not MODELS:
        MODELS["split"] = quantise(make_checkpoint(
            dim=32, hidden_dim=40, n_layers=1, n_heads=4, n_kv_heads=2, vocab_size=40, seq_len=64))
    model = MODELS["split"]
    return Job(program=map_model(TINY, model, placement="split"), model=model, requests=tuple(
        RequestSpec(prompt=prompt, limit=4, logits="all") for prompt in ((3, 4, 5), (6,))))


def machine(spoil):
    """A back end on a golden machine that ``spoil`` has been at; a clock that counts packets."""
    def run(job, progress):
        link, sent = GoldenLink(job.program.machine), []
        link.golden.watch = lambda packet, stage, at: sent.append(
            Sent(packet, cycles=tuple(range(100 * len(sent), 100 * len(sent) + 9))))
        spoil(link.golden)
        result = asyncio.run(execute(link, job, progress))
        result.sent = sent
        return result
    return run


def spoil_sfu(core, fn):
    """Two int8, or one int16, of whatever a function of the SFU writes."""
    def spoil(golden):
        sfu = golden.cores[core].sfu
        run = sfu.run

        def wrong(fields, buffer, *, base=0, **options):
            count = run(fields, buffer, base=base, **options)
            if count and fields["fn"] == fn:
                at = (base + fields["d_addr"]) * WORD_BYTES + 4
                buffer[at:at + 2] ^= 0x40
            return count

        sfu.run = wrong
    return spoil


def found(job, spoil):
    run = machine(spoil)
    return locate(job, run(job, lambda *step: None).requests, run)


def core_of(job, stage):
    return next(info.core for info in job.program.stages if info.name == stage)


@pytest.mark.parametrize(("stage", "fn"), [
    ("embed.1", Fn.MAC), ("l0.qkv.0", Fn.ROPE), ("l0.kv.0.0", Fn.EXP), ("l0.up.1", Fn.SILU)])
def test_the_stage_and_core_that_are_broken(job, stage, fn):
    place = found(job, spoil_sfu(core_of(job, stage), fn))
    assert (place.stage, place.core, place.what) == (stage, core_of(job, stage), "word")
    assert place.unit.startswith("SFU instruction ")
    assert place.expected != place.got and place.cycle is not None


def test_the_element_and_its_values(job):
    """ROPE writes the q of a token last: element 4, the second word's first of lanes of int8."""
    place = found(job, spoil_sfu(core_of(job, "l0.qkv.0"), Fn.ROPE))
    assert place.unit.endswith(", ROPE") and place.kind == "int8"
    assert place.element in (4, 5) and place.expected ^ place.got in (0x40, ~0x3f)


def test_a_sum_of_the_array(job):
    """The macros of a KV member are wrong: its SFU drains what they give."""
    core = core_of(job, "l0.kv.0.1")

    def spoil(golden):
        array = golden.cores[core].array
        run = array.run

        def wrong(issue):
            outcome = run(issue)
            if outcome.sums:
                values, valid = outcome.sums
                outcome = replace(outcome, sums=(values + 1, valid))
            return outcome
        array.run = wrong

    place = found(job, spoil)
    assert (place.core, place.kind) == (core, "int32")
    assert "of the array's CONTEXT" in place.unit and place.got - place.expected == 1


def test_flags_that_differ(job):
    core = core_of(job, "l0.kv.0.0")

    def spoil(golden):
        cell = golden.cores[core]
        send = cell.inject

        def wrong(packet):
            if packet.header["kind"] == Kind.DATA and packet.header["position"] == 2:
                packet = type(packet)({**packet.header, "flags": packet.header["flags"] ^
                                       Flag.QUIET}, packet.payload)
            send(packet)
        cell.inject = wrong

    run = machine(spoil)
    result = run(job, lambda *step: None)
    for request in result.requests:
        if 2 in request.vectors:
            request.vectors[2][0] += 1
    place = locate(job, result.requests, run)
    assert (place.core, place.what, place.position) == (core, "flags", 2)
    assert place.got == place.expected ^ Flag.QUIET
    assert f"flags are {place.got}, expected {place.expected}" in place.text()


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("logits", ["last", "all"])
def test_order_and_stale_words_are_no_difference(job, seed, logits):
    """Tokens in other slots find other words there, which those send that compute nothing."""
    machines = []

    def disorder(what, done, total):
        if (what, done) == ("load", 1):
            machines[0].disorder = random.Random(seed)

    job = replace(job, tap=True, requests=tuple(
        replace(spec, logits=logits) for spec in job.requests * 3))
    result = machine(machines.append)(job, disorder)
    expected = Golden(job.program).sent(result.injected)
    assert first_difference(expected, result.sent) is None
    assert len(expected) == len(result.sent)
    assert any(sent.junk for sent in expected)
    assert first_difference([replace(sent, junk=frozenset()) for sent in expected], result.sent)


def test_nothing_is_wrong(job):
    run = machine(lambda golden: None)
    result = run(job, lambda *step: None)
    assert first_wrong(job.model, result.requests) is None
    assert locate(job, result.requests, run) is None
    result.requests[0].vectors[3][0] += 1
    assert first_wrong(job.model, result.requests) == (0, 3)
    assert locate(job, result.requests, run) is None     # nor does it come again


def test_only_as_far_as_needed(job):
    """Three tokens of prompt: position 2 needs one token to be generated, position 4 three."""
    assert [[spec.limit for spec in shortened(job, 0, position).requests]
            for position in (0, 2, 3, 4, 9)] == [[1, 1], [1, 1], [2, 2], [3, 3], [4, 4]]
    calls = []

    def run(job, progress):
        calls.append(job)
        return machine(spoil_sfu(core_of(job, "lm.0"), Fn.MAC))(job, progress)

    result = run(job, lambda *step: None)
    n, position = first_wrong(job.model, result.requests)
    place = locate(replace(job, observe=True), result.requests, run)
    assert place.tokens == max(1, position - len(job.requests[n].prompt) + 2)
    assert [spec.limit for spec in calls[1].requests] == [place.tokens] * 2
    assert calls[1].tap and not calls[1].observe


def test_an_interrupted_search(job):
    run = machine(spoil_sfu(core_of(job, "embed.0"), Fn.MAC))
    requests = run(job, lambda *step: None).requests

    def interrupted(job, progress):
        result = run(job, progress)
        result.interrupted = True
        return result

    with pytest.raises(KeyboardInterrupt):
        locate(job, requests, interrupted)
