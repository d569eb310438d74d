"""Scheme R2: the golden decoder against a second one, which shares no code with it."""

import dataclasses

import numpy as np
import pytest

from ouroboros.sw.golden import numerics, wide
from ouroboros.sw.golden.decoder import IntegerDecoder
from ouroboros.sw.models.scheme import R2
from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.quantise.recipe import RECIPES

NARROW = dataclasses.replace(R2, exp_bits=7, f_bits=8)
SHAPES = {
    "grouped queries": ({}, R2),
    "one pass": ({}, NARROW),
    "a pass more for one only": ({"n_kv_heads": 4, "tied": False},
                                 dataclasses.replace(R2, f_bits=8)),
    "widths between": ({"n_kv_heads": 1, "hidden_dim": 7, "vocab_size": 5},
                       dataclasses.replace(R2, exp_bits=9, f_bits=10)),
    "a wide head that no Hadamard matrix has": (
        {"dim": 18, "n_heads": 1, "n_kv_heads": 1, "n_layers": 1}, R2),
    "a large epsilon": ({"norm_eps": 0.5, "n_layers": 1}, R2),
}


def louder(model, octaves=11):
    """Every block adds to the residual what is many times too much: it runs into its limits."""
    layers = [dataclasses.replace(
        layer, rq_o=dataclasses.replace(layer.rq_o, s=layer.rq_o.s - octaves),
        rq_2=dataclasses.replace(layer.rq_2, s=max(
            layer.rq_2.s - octaves, model.scheme.exponent_max))) for layer in model.layers]
    return dataclasses.replace(model, layers=tuple(layers))


def models(checkpoint, scheme):
    """As the quantiser makes it, from a text so short that later tokens saturate; and loud."""
    model = quantise(checkpoint, np.array([1, 2, 3]),
                     recipe=dataclasses.replace(RECIPES["R2"], scheme=scheme))
    return model, louder(model)


@pytest.mark.parametrize("name", SHAPES)
def test_equals_the_second_decoder(name, make_checkpoint, plain_decoder):
    changes, scheme = SHAPES[name]
    for model in models(make_checkpoint(seed=3, **changes), scheme):
        assert model.scheme == scheme
        plain, golden = plain_decoder(model), IntegerDecoder(model)
        rng = np.random.default_rng(7)
        for token in rng.integers(0, model.shape.vocab_size, 24).tolist():
            assert golden.step(0, token).tolist() == plain.step(token).tolist()


@pytest.mark.long
def test_equals_the_second_decoder_in_any_pieces(make_checkpoint, plain_decoder):
    checkpoint = make_checkpoint(dim=24, hidden_dim=40, n_heads=3, n_kv_heads=1, vocab_size=61,
                                 seq_len=512, seed=5)
    model = quantise(checkpoint, recipe=RECIPES["R2"])
    tokens = np.random.default_rng(2).integers(0, 61, 512).tolist()
    plain = plain_decoder(model)
    expected = np.array([plain.step(token) for token in tokens])
    for piece in (1, 7, 127, 512):
        golden = IntegerDecoder(model)
        found = np.concatenate([golden.prefill(4, tokens[start:start + piece])
                                for start in range(0, 512, piece)])
        assert np.count_nonzero(found != expected) == 0, piece


def test_every_limit_is_reached(make_checkpoint):
    seen = {}
    for model in models(make_checkpoint(seed=3), R2):
        decoder = IntegerDecoder(model, observer=lambda layer, name, value: seen.setdefault(
            name, []).append((value.min(), value.max())))
        decoder.prefill(0, np.random.default_rng(7).integers(0, 23, 24).tolist())
    reached = {name: (min(low for low, _ in found), max(high for _, high in found))
               for name, found in seen.items()}
    assert reached["x"] == (1 - 2**23, 2**23 - 1)
    # The clip of f, of which one product in thousands needs it, is in test_wide.py.
    assert max(map(abs, reached["f"])) > 1023
    for name in ("h1", "h2", "q8", "k8"):
        assert max(map(abs, reached[name])) == 127, name
    assert reached["ef"][1] > reached["ef"][0] > 0


def floor_of_half(a, s):
    return np.asarray(a, np.int64) >> np.asarray(s)


# What is wrong in the golden decoder, one at a time: where, name, what instead.
FAULTS = {
    "halves of f downwards": (wide, "scale_token", lambda w, ef, bits: np.clip(
        floor_of_half(w, ef[..., None]), 1 - 2**(bits - 1), 2**(bits - 1) - 1)),
    "f not clipped": (wide, "scale_token", lambda w, ef, bits: numerics.rnd(w, ef[..., None])),
    "a wrong exponent": (wide, "exponent", lambda w, bits, exponent=wide.exponent:
                         exponent(w, bits - 1)),
    "no low digit": (wide, "mvm_digits", lambda x, weights, bits: numerics.mvm(
        x >> 6, weights) << 6),
    "a residual of 32 bits": (numerics, "residual_add", lambda x, delta, limits: x + delta),
    "squares of all bits": (numerics, "square_sum", lambda x: (x * x).sum(axis=-1)),
    "sigmoid of 8 and more not 1": (wide, "sigmoid", lambda u16, fu: wide.SIGMOID[np.clip(
        numerics.rnd(u16, fu - 5), 0, 255)]),
}


@pytest.fixture(scope="module")
def expected_once():
    """Logits of the second decoder, by the place of a model in a list that is the same for all."""
    return {}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_comparison_sees_a_fault(fault, make_checkpoint, monkeypatch, expected_once,
                                     plain_decoder):
    where, name, instead = FAULTS[fault]
    checked = [model for scheme in (R2, NARROW)
               for model in models(make_checkpoint(seed=3, seq_len=200), scheme)]
    tokens = np.random.default_rng(7).integers(0, 23, 200).tolist()

    def differs(place, model):
        if place not in expected_once:
            plain = plain_decoder(model)
            expected_once[place] = [plain.step(token).tolist() for token in tokens]
            assert IntegerDecoder(model).prefill(0, tokens).tolist() == expected_once[place]
        with monkeypatch.context() as patch:
            patch.setattr(where, name, instead)
            try:
                return IntegerDecoder(model).prefill(0, tokens).tolist() != expected_once[place]
            except numerics.RangeError:
                return True     # refused: the operand that came of it does not fit

    assert any(differs(place, model) for place, model in enumerate(checked))


def test_r_is_a_case_of_r2(make_checkpoint, plain_decoder):
    """The fields of R in the recipe of R2, without what is done to the weights: R to the bit."""
    checkpoint = make_checkpoint(seed=3)
    tokens = np.array([1, 2, 3])
    model = quantise(checkpoint, tokens)
    reduced = dataclasses.replace(
        RECIPES["R2"], scheme=dataclasses.replace(
            R2, residual_bits=16, exp_bits=7, f_bits=8, gate=model.scheme.gate),
        rotated=False, scales_per_value=False, residual_headroom=8)
    assert quantise(checkpoint, tokens, recipe=reduced).digest == model.digest
    plain, golden = plain_decoder(model), IntegerDecoder(model)
    for token in np.random.default_rng(7).integers(0, 23, 24).tolist():
        assert plain.step(token).tolist() == golden.step(0, token).tolist()
