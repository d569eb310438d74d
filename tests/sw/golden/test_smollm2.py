"""Scheme R2 on a real model: the figures of docs/numerics.md, and the second decoder."""

import numpy as np
import pytest

from ouroboros.sw.golden.decoder import IntegerDecoder
from ouroboros.sw.quantise.calibrate import text_calibration
from ouroboros.sw.quantise.measure import MeasureOptions, measure
from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.quantise.recipe import RECIPES
from ouroboros.sw.quantise.source import open_model

POSITIONS = 4096


@pytest.fixture(scope="module")
def opened(smollm2):
    return open_model(smollm2)


@pytest.mark.slow
def test_loss_on_texts_that_the_calibration_did_not_see(opened, shared_file):
    model = quantise(opened.checkpoint, recipe=RECIPES["R2"], positions=POSITIONS)
    for name in ("wikitext2_valid.txt", "tinyshakespeare.txt"):
        found = measure(opened, model, MeasureOptions(
            text=shared_file(f"text/{name}"), tokens=4000))
        assert found.loss.tokens >= 4000
        assert found.loss.kl_nats <= 0.012
        assert found.loss.perplexity_change_percent <= 2.5


@pytest.mark.slow
def test_equals_the_second_decoder(opened, shared_file, plain_decoder):
    text = shared_file("text/wikitext2_valid.txt")
    calibration = text_calibration(opened.coder, text.read_text(), POSITIONS)
    model = quantise(opened.checkpoint, calibration, recipe=RECIPES["R2"], positions=POSITIONS)
    tokens = opened.coder.encode(text.read_text()[8000:12000], bos=False)[:512]
    assert len(tokens) == 512
    plain = plain_decoder(model)
    golden = {piece: IntegerDecoder(model) for piece in (7, 127)}
    expected = [plain.step(token) for token in tokens]
    for piece, decoder in golden.items():
        for start in range(0, 512, piece):
            found = decoder.prefill(0, tokens[start:start + piece])
            assert np.array_equal(found, expected[start:start + piece]), (piece, start)
