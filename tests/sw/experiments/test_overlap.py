"""The overlap bench on a machine whose cycles are made up here."""

import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.experiments.overlap import measure
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.perf.pipeline import Prediction
from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.runtime.job import JobResult
from ouroboros.sw.runtime.request import Request

SHAPE = {"dim": 32, "hidden_dim": 40, "n_layers": 1, "n_heads": 4, "n_kv_heads": 2,
         "vocab_size": 40, "seq_len": 64}
INTERVAL, LATENCY = 10, 100


def made_up(job, progress):
    """Tokens enter every 10 cycles and take 100; with a window of 1 they follow one another."""
    requests = []
    for n, spec in enumerate(job.requests):
        request = Request(prompt=spec.prompt, limit=spec.limit, logits=spec.logits)
        gap = LATENCY if job.window == 1 else INTERVAL
        for position in range(len(spec.prompt) + spec.limit - 1):
            decode = max(position - len(spec.prompt) + 1, 0)
            start = n * 1000 + min(position, len(spec.prompt) - 1) * gap + decode * LATENCY
            request.start_times[position] = start
            request.finish_times[position] = start + LATENCY
        requests.append(request)
    return JobResult(requests=requests)


@pytest.fixture
def found(make_checkpoint):
    model = quantise(make_checkpoint(**SHAPE))
    return measure(load_machine("tiny"), model, made_up, lambda count: [1] * count,
                   prompt_tokens=16, decode_tokens=4, sequences=(1, 2))


def test_prefill_is_first_injection_to_last_prompt_token(found):
    assert found.prefill_cycles == 15 * INTERVAL + LATENCY
    assert found.alone_cycles == 16 * LATENCY
    assert found.as_dict()["speedup"] == 1600 / 250


def test_decode_is_the_slowest_sequence_alone(found):
    """Three tokens are fed back; that the second sequence starts 1,000 later does not count."""
    assert [point.cycles for point in found.decode] == [3 * LATENCY, 3 * LATENCY]
    assert [point.ratio for point in found.decode] == [1, 1]


def test_formula_is_the_predictors(found, make_checkpoint):
    program = map_model(load_machine("tiny"), quantise(make_checkpoint(**SHAPE)))
    assert found.predicted_cycles == Prediction(program, prompt_tokens=16,
                                                context=16).prefill_cycles
    assert found.decode[1].predicted_cycles == sum(
        Prediction(program, prompt_tokens=1, context=context).decode(2).round_cycles
        for context in (2, 3, 4))
    assert found.decode[0].error == pytest.approx(
        300 / found.decode[0].predicted_cycles - 1)
