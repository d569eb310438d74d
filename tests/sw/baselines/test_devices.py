"""Systems that batch: step times by hand, memory, replicas, energy, refusals."""

from dataclasses import replace

import numpy as np
import pytest

from ouroboros.sw.baselines.devices import work_of
from ouroboros.sw.baselines.errors import BaselineError
from ouroboros.sw.baselines.systems import BASELINES, DEVICES
from ouroboros.sw.baselines.traffic import chat, equal
from ouroboros.sw.models.shape import load_shape

DGX = DEVICES["dgx-a100"]
L13 = load_shape("llama-13b")


def with_value(devices, /, **given):
    return replace(devices, constants=devices.constants.with_values(given, "test"))


def test_work_of_13b():
    work = work_of(L13)
    assert work.body == 40 * (4 * 5120 ** 2 + 3 * 5120 * 13824) == 12_687_769_600
    assert work.head == 32000 * 5120
    assert work.memory == work.body + 2 * work.head
    assert work.kv == 2 * 40 * 5120
    # Score and context: 2 products, 2 operations each, half of a square of positions.
    assert work.attention == 2 * 40 * 5120


def test_step_times_of_13b():
    plain = with_value(DGX, flops_share=1, bandwidth_share=1, kv_share=1)
    times = plain.step_times(L13, 1)
    assert times.weights_s == pytest.approx((12_687_769_600 + 163_840_000) * 2 / 2039e9)
    assert times.token_s == pytest.approx(2 * 12_687_769_600 / 312e12)
    assert times.context_s == pytest.approx(409_600 * 2 / 2039e9)
    assert times.fixed_s == pytest.approx(40 * 79.91e-6)
    assert times.exchange_s == 0
    two = plain.step_times(L13, 2)
    assert two.weights_s == pytest.approx(times.weights_s / 2)
    assert two.fixed_s == pytest.approx(40 * 79.91e-6 + 80 * 8.136e-6)
    assert two.exchange_s == pytest.approx(80 * 2 / 2 * 5120 * 2 / 66.68e9)


def test_memory_of_13b():
    """Published: 16 sequences of 4,096 tokens fit without waiting, 32 do not."""
    rules = DGX.rules(L13, 1)
    assert 16 * 4096 <= rules.kv_blocks * rules.block_tokens < 32 * 4096
    assert rules.kv_blocks * 64 * 819_200 + 26.03e9 <= 80 * 2 ** 30


@pytest.mark.parametrize("name, model, over", [
    ("dgx-a100", "llama-7b", 1), ("dgx-a100", "llama-13b", 1), ("dgx-a100", "llama-33b", 2),
    ("dgx-a100", "llama-65b", 4), ("dgx-a100", "llama-2-70b", 4), ("dgx-a100", "gpt-175b", 8),
    ("tpu-v4", "llama-13b", 2), ("tpu-v4", "llama-65b", 8)])
def test_devices_of_a_replica(name, model, over):
    assert DEVICES[name].cut(load_shape(model)) == over


def test_replicas_are_dealt_requests_in_turn():
    traffic = chat(50, 60, 30)
    whole = DGX.serve(L13, traffic)
    alone = with_value(DGX, devices=1).serve(L13, traffic.share(3, 8))
    assert np.array_equal(whole.finish_s[3::8], alone.finish_s)
    assert whole.output_tokens == traffic.output_tokens.sum()


def test_energy_by_hand():
    """One request on one of eight GPUs: seven are idle."""
    served = DGX.serve(L13, equal(1, 100, 10))
    energy = {one.name: one.joules for one in served.energies}
    seconds = served.seconds
    assert energy["100% of full power while busy"] == pytest.approx(
        6500 * (seconds / 8 + 0.2 * seconds * 7 / 8))
    assert energy["55% of full power while busy"] == pytest.approx(
        6500 * (0.55 * seconds / 8 + 0.2 * seconds * 7 / 8))
    # Ten passes over the weights; K and V of 109 tokens written, of 101 to 109 read.
    weights, context = 12_851_609_600, sum(range(101, 110))
    read = 2 * (10 * weights + 409_600 * (context + 109))
    flops = (2 * 12_687_769_600 * 109 + 2 * 163_840_000 * 10
             + 409_600 * (100 ** 2 + 2 * context))
    for figure in (3.6, 13.1):
        assert energy[f"counted, memory at {figure:g} pJ/bit"] == pytest.approx(
            8e-12 * figure * read + 1.03e-12 * flops + 1300 * seconds)


@pytest.mark.parametrize("name", DEVICES)
@pytest.mark.parametrize("constant, better", [
    ("peak_tflops", 1), ("bandwidth_gb_s", 1), ("kv_bandwidth_gb_s", 1), ("layer_us", -1),
    ("sequence_us", -1), ("exchange_us", -1), ("exchange_gb_s", 1)])
def test_a_better_constant_is_never_slower(name, constant, better):
    devices, traffic = DEVICES[name], equal(200, 128, 64)
    ends = [with_value(devices, **{constant: devices.value(constant) * factor ** better}).serve(
        L13, traffic, over=2).seconds for factor in (0.5, 1, 2, 4)]
    assert ends == sorted(ends, reverse=True)
    assert ends[0] > ends[-1]


@pytest.mark.parametrize("act, words", [
    (lambda: DGX.serve(load_shape("t5-11b"), equal(1, 1, 1)),
     "kind of model 't5-11b' must be 'decoder' or 'encoder' for a baseline, not 'encoder-decoder'"),
    (lambda: DGX.serve(L13, equal(1, 1, 1), over=3),
     "tensor_parallel must be one of 1, 2, 4, 8 on dgx-a100, not 3"),
    (lambda: DGX.serve(load_shape("llama-65b"), equal(1, 1, 1), over=1),
     "weights of llama-65b must be at most 82.7 GB (what 1 devices of dgx-a100 hold), not 130.6"),
    (lambda: DEVICES["tpu-v4"].serve(load_shape("gpt-175b"), equal(1, 1, 1)),
     "weights of gpt-175b must be at most 264.7 GB (what 8 devices of tpu-v4 hold), not"),
    (lambda: BASELINES["wse2"].serve(load_shape("llama-33b"), equal(1, 1, 1)),
     "weights of llama-33b must be at most 40 GB (SRAM of wse2), not 65.1 GB")])
def test_refusals(act, words):
    with pytest.raises(BaselineError) as caught:
        act()
    assert words in str(caught.value)


def test_a_sequence_too_long_is_refused_and_counted():
    served = DGX.serve(L13, equal(9, 100_000, 10))
    assert (served.refused, served.output_tokens, served.tokens_per_s) == (9, 0, 0)
    assert served.as_dict()["refused"] == 9
