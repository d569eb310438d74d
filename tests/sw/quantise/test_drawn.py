"""Models with drawn weights: the same for the same seed, and of magnitudes that try a datapath."""

from dataclasses import replace

import numpy as np
import pytest

from ouroboros.sw.golden.decoder import IntegerDecoder
from ouroboros.sw.models.decoder_shape import CheckpointError
from ouroboros.sw.models.scheme import R2
from ouroboros.sw.models.shape import ModelShape
from ouroboros.sw.quantise.drawn import drawn_model, drawn_shape

NARROW = ModelShape(name="narrow", source="here", dim=128, hidden_dim=352, n_layers=40, n_heads=4,
                    n_kv_heads=4, vocab_size=32000)
SATURATED = {"q8": 127, "k8": 127, "v8": 127, "h1": 127, "h2": 127, "u16": 32767, "t16": 32767,
             "f": R2.f_max, "x": R2.residual_limits[1]}
MOST = 0.01
"""Of elements that may saturate."""


def test_shape():
    shape = drawn_shape(NARROW, blocks=2, vocab_size=64)
    assert (shape.dim, shape.hidden_dim, shape.n_layers, shape.vocab_size) == (128, 352, 2, 64)
    with pytest.raises(CheckpointError, match="must be those of a LLaMA-type decoder"):
        drawn_shape(replace(NARROW, gated=False), blocks=1, vocab_size=64)


def test_the_seed_is_all():
    shape = drawn_shape(NARROW, blocks=1, vocab_size=64)
    assert drawn_model(shape, 3).digest == drawn_model(shape, 3).digest
    assert drawn_model(shape, 3).digest != drawn_model(shape, 4).digest


def test_hidden_channels_narrow_the_scheme():
    shape = drawn_shape(replace(NARROW, hidden_dim=8261), blocks=1, vocab_size=8)
    assert drawn_model(shape).scheme == replace(R2, f_bits=11)


def test_magnitudes():
    """Every intermediate is spread over its width and few saturate; every token says another."""
    seen: dict[str, list[np.ndarray]] = {}
    model = drawn_model(drawn_shape(NARROW, blocks=2, vocab_size=64))
    decoder = IntegerDecoder(model, observer=lambda _, name, value: seen.setdefault(
        name, []).append(np.asarray(value).ravel()))
    logits = decoder.prefill(0, list(range(32)))
    assert len({tuple(row) for row in logits.tolist()}) == 32
    for name, top in SATURATED.items():
        values = np.abs(np.concatenate(seen[name]))
        assert (values >= top).mean() < MOST, name
        assert values.max() > top / (200 if name == "x" else 8), name
    assert np.abs(np.concatenate(seen["x"])).max() > 32767
    assert max(map(np.max, seen["ef"])) > 10
