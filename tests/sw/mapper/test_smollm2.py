"""A real model in R2 on a whole die: programs of 162 cores, logits those of the decoder."""

from pathlib import Path

import numpy as np
import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.golden.decoder import IntegerDecoder
from ouroboros.sw.mapper.placed import place_model
from ouroboros.sw.quantise.calibrate import text_calibration
from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.quantise.recipe import RECIPES
from ouroboros.sw.quantise.source import open_model

TEXT = Path(__file__).parents[3] / "docs" / "tour.md"


@pytest.mark.slow
def test_logits_on_a_die(smollm2, serve):
    opened = open_model(smollm2)
    # Equality does not ask for good scales: a short text will do.
    tokens = text_calibration(opened.coder, TEXT.read_text()[:2500], 512)
    model = quantise(opened.checkpoint, tokens, recipe=RECIPES["R2"], positions=4096)
    program = place_model(load_machine("die"), model)
    assert len(program.roles) == 162
    prompts = [opened.coder.encode("Once upon a time", bos=False), [260]]
    requests, _ = serve(program, model, prompts, limit=2)
    decoder = IntegerDecoder(model)
    for n, request in enumerate(requests):
        logits = decoder.prefill(n, [*request.prompt, *request.tokens[:-1]])
        assert sorted(request.vectors) == [*range(len(logits))]
        for position, vector in request.vectors.items():
            assert np.array_equal(vector, logits[position])
