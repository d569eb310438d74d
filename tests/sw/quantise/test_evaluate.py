"""The comparison of integer and float model, and the loss on the published checkpoint."""

import dataclasses
import functools
import json
import math

import numpy as np
import pytest

from ouroboros.sw.golden.decoder import IntegerDecoder
from ouroboros.sw.models import llama2c, tokenizer
from ouroboros.sw.models.float_llama import FloatLlama
from ouroboros.sw.models.integer import QuantModelError
from ouroboros.sw.quantise.evaluate import evaluate, sample_evaluation
from ouroboros.sw.quantise.quantise import quantise


def test_figures_by_hand(make_checkpoint):
    checkpoint = make_checkpoint()
    model = quantise(checkpoint)
    tokens = np.random.default_rng(3).integers(0, 23, (2, 9))
    found = evaluate(checkpoint, model, tokens)
    losses, changes, divergence, agreed = [], [], 0.0, 0
    for row in tokens.tolist():
        floats = FloatLlama(checkpoint).forward(np.array([row[:-1]]))[0]
        integers = IntegerDecoder(model).prefill(0, row[:-1]) / 4096
        for p, q, target in zip(floats, integers, row[1:], strict=True):
            p = np.exp(p) / np.exp(p).sum()
            q = np.exp(q) / np.exp(q).sum()
            losses.append(-math.log(p[target]))
            changes.append(math.log(p[target] / q[target]))
            divergence += sum(p * np.log(p / q)) / 16
            agreed += int(p.argmax() == q.argmax())
    ratio = math.exp(sum(changes) / 16)
    assert found.tokens == 16
    assert found.float_perplexity == pytest.approx(math.exp(sum(losses) / 16))
    assert found.integer_perplexity == pytest.approx(found.float_perplexity * ratio)
    assert found.perplexity_change_percent == pytest.approx(100 * (ratio - 1))
    assert found.standard_error_percent == pytest.approx(100 * ratio * np.std(changes, ddof=1) / 4)
    assert found.kl_nats == pytest.approx(divergence)
    assert found.top1_agreement_percent == pytest.approx(100 * agreed / 16)


def test_a_single_prediction_has_no_standard_error(make_checkpoint):
    checkpoint = make_checkpoint()
    found = evaluate(checkpoint, quantise(checkpoint), np.array([[1, 2]]))
    assert (found.tokens, found.standard_error_percent) == (1, None)


def test_a_hopeless_model_has_finite_figures(make_checkpoint):
    """Logits apart by more than a float's exponential: figures that JSON can hold."""
    checkpoint = make_checkpoint(tied=False)
    wild = dataclasses.replace(checkpoint, head=checkpoint.head * np.float32(1e4))
    found = evaluate(checkpoint, quantise(wild), np.array([[1, 2, 3, 4]]))
    json.dumps(dataclasses.asdict(found), allow_nan=False)
    assert found.warning().startswith("the integer model is far from the float model: 1.9e+132 %")


def test_samples_hold_as_many_predictions_as_asked(make_checkpoint):
    checkpoint = make_checkpoint()
    for tokens, size in ((1, (1, 2)), (23, (1, 24)), (24, (2, 13)), (100, (5, 21))):
        assert sample_evaluation(checkpoint, tokens, 0).shape == size


def test_refusals(make_checkpoint):
    checkpoint = make_checkpoint()
    for tokens in (0, 10**12):
        with pytest.raises(QuantModelError) as caught:
            sample_evaluation(checkpoint, tokens, 0)
        assert str(caught.value) == f"tokens must be between 1 and 10000000, not {tokens}"
    with pytest.raises(QuantModelError) as caught:
        sample_evaluation(make_checkpoint(seq_len=1), 1, 0)
    assert str(caught.value) == "checkpoint: seq_len must be at least 2 to predict tokens, not 1"
    with pytest.raises(QuantModelError) as caught:
        evaluate(checkpoint, quantise(checkpoint), np.array([[1]]))
    assert str(caught.value) == "tokens must be at least 2 in a sequence, not 1"


@pytest.fixture(scope="module")
def quantised_once():
    return functools.cache(lambda path: (llama2c.read(path), quantise(llama2c.read(path))))


def limits(checkpoint, model, tokens):
    assert model.residual_fraction_bits == 8
    found = evaluate(checkpoint, model, sample_evaluation(checkpoint, tokens, 0))
    # Three standard errors on top of the limit of the long run.
    assert found.perplexity_change_percent < 2 + 3 * found.standard_error_percent
    assert found.kl_nats < 0.02
    assert found.top1_agreement_percent > 90
    return found


@pytest.mark.long
def test_loss_on_the_published_checkpoint(shared_file, quantised_once):
    limits(*quantised_once(shared_file("checkpoints/stories260K.bin")), 511)


@pytest.mark.slow
def test_loss_on_the_published_checkpoint_in_full(shared_file, quantised_once):
    found = limits(*quantised_once(shared_file("checkpoints/stories260K.bin")), 4096)
    assert found.tokens >= 4096
    assert found.perplexity_change_percent < 2


def test_integer_text_is_english(shared_file, quantised_once):
    _, model = quantised_once(shared_file("checkpoints/stories260K.bin"))
    words = tokenizer.read(shared_file("checkpoints/tok512.bin"))
    text = words.decode([1, *IntegerDecoder(model).generate(0, [1], 30)])
    assert text.startswith("Once upon a time, there was a little girl named ")
