"""The quantiser: every integer stands for the float it should, and what does not fit is refused."""

import dataclasses
import math

import numpy as np
import pytest

from ouroboros.sw.golden.decoder import IntegerDecoder
from ouroboros.sw.models.checkpoint import Checkpoint
from ouroboros.sw.models.float_llama import FloatLlama
from ouroboros.sw.models.integer import POSITIONS_MAX, QuantModelError
from ouroboros.sw.models.special import SpecialTokens
from ouroboros.sw.models.tokenizer import Tokenizer
from ouroboros.sw.quantise import quantise as quantiser
from ouroboros.sw.quantise.calibrate import (
    calibrate,
    sample_calibration,
    split_tokens,
    text_calibration,
)
from ouroboros.sw.quantise.equivalent import rotated
from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.quantise.recipe import RECIPES

TOKENS = np.random.default_rng(0).integers(0, 23, (20, 24))


def test_scales_are_percentiles_per_head(make_checkpoint):
    checkpoint = make_checkpoint()
    seen = {}

    def observe(layer, name, value):
        seen.setdefault((layer, name), []).append(value)

    model = FloatLlama(checkpoint, batch=20, observer=observe)
    model.forward(TOKENS)
    scales = calibrate(checkpoint, TOKENS)
    assert scales.tokens == 480

    def percentile(values):
        return np.percentile(np.abs(values), 99.99) / 127

    for layer in range(2):
        for name in ("h1", "h2", "u", "t", "f"):
            expected = percentile(seen[layer, name][0])
            assert getattr(scales, name)[layer] == pytest.approx(expected)
        for name, heads in (("q", 4), ("k", 2), ("v", 2)):
            for head in range(heads):
                expected = percentile(seen[layer, name][0][:, :, head])
                assert getattr(scales, name)[layer, head] == pytest.approx(expected)
    assert scales.h == pytest.approx(percentile(seen[-1, "h"][0]))
    residual = [v for (_, name), v in seen.items() if name.startswith("x")]
    assert scales.residual_max.max() == pytest.approx(
        max(np.abs(v).max() for vs in residual for v in vs))


def real(requant):
    return requant.m / 2.0**requant.s


def test_integers_stand_for_the_floats(make_checkpoint):
    checkpoint = make_checkpoint(tied=False)
    scales = calibrate(checkpoint, TOKENS)
    model = quantise(checkpoint, TOKENS)
    ulp = 2.0**-model.residual_fraction_bits
    for n, (layer, floats) in enumerate(zip(model.layers, checkpoint.layers, strict=True)):
        v = np.repeat(scales.v[n], 8)
        # matrix, requant, float weights, scale of the inputs, scale of the outputs
        for matrix, requant, weights, inputs, outputs in (
            (layer.wq, layer.rq_q, floats.wq * floats.norm1, scales.h1[n],
             np.repeat(scales.q[n], 4)[:, None] / 64),
            (layer.wk, layer.rq_k, floats.wk * floats.norm1, scales.h1[n],
             np.repeat(scales.k[n], 4)[:, None] / 64),
            (layer.wv, layer.rq_v, floats.wv * floats.norm1, scales.h1[n],
             np.repeat(scales.v[n], 4)[:, None]),
            (layer.wo, layer.rq_o, floats.wo, v, ulp),
            (layer.w1, layer.rq_1, floats.w1 * floats.norm2, scales.h2[n], scales.u[n]),
            (layer.w3, layer.rq_3, floats.w3 * floats.norm2, scales.h2[n], scales.t[n]),
            (layer.w2, layer.rq_2, floats.w2, scales.f[n], ulp),
        ):
            exact = weights * inputs / outputs
            steps = np.abs(exact).max(axis=1, keepdims=True) / 127
            assert np.abs(matrix * real(requant)[:, None] - exact).max() < 0.51 * steps.max()
            assert np.abs(matrix.astype(int)).max(axis=1).tolist() == [127] * len(matrix)
            assert 32768 <= requant.m.max() <= 65535
        per_octave = scales.q[n] * np.repeat(scales.k[n], 2) * math.log2(math.e) / 2 * 16
        assert layer.me / 2.0**layer.se == pytest.approx(per_octave, rel=1e-3)
        assert layer.norm1.mg / 2.0**layer.norm1.sg == pytest.approx(4 / scales.h1[n], rel=1e-4)
        gate = np.array([-128, -1, 0, 1, 127])
        u = gate * scales.u[n]
        product = layer.gate.silu[gate & 255] * float(layer.gate.mf) / 2.0**layer.gate.sf
        expected = u / (1 + np.exp(-u)) * scales.t[n] / scales.f[n]
        assert product == pytest.approx(expected, rel=1e-3, abs=1e-3)
        assert np.abs(layer.gate.silu.astype(int)).max() == 32767
    assert np.abs(model.embedding * ulp - checkpoint.embedding).max() <= ulp / 2
    widest = max(scales.residual_max.max(), np.abs(checkpoint.embedding).max())
    assert 32767 / 2 < 8 * widest / ulp <= 32767
    assert model.norm_c == round(16 * 1e-5 / ulp**2)
    head = checkpoint.head * checkpoint.final_norm * scales.h * 4096
    error = np.abs(model.head * real(model.rq_head)[:, None] - head).max()
    assert error < 0.51 * np.abs(head).max() / 127
    assert model.rope[5, 2:4].tolist() == [round(16384 * math.cos(0.05)),
                                           round(16384 * math.sin(0.05))]


def test_sequences_are_cut_to_the_model():
    assert [row.tolist() for row in split_tokens([1, 2, 3, 4, 5], 2)] == [[1, 2], [3, 4], [5]]
    assert [len(row) for row in split_tokens(TOKENS[:2], 16)] == [16, 8, 16, 8]
    for tokens in ([], [1.5], np.zeros((1, 1, 1), int)):
        with pytest.raises(QuantModelError, match=r"^tokens must be a list or a table of at "):
            split_tokens(tokens, 4)


def test_text_calibration_starts_every_sequence_with_bos():
    t = Tokenizer([(b"?", 0.0)] * 3 + [(b"<0x%02X>" % n, 0.0) for n in range(256)] + [(b" ", 0.0)])
    tokens = text_calibration(t, "abcdefg", 4)
    assert tokens.tolist() == [1, 259, 100, 101, 1, 102, 103, 104, 1, 105, 106]
    assert len(text_calibration(t, "x" * 9999, 9999)) == 2048 + 5
    with pytest.raises(QuantModelError) as caught:
        text_calibration(t, " \n", 4)
    assert str(caught.value) == "calibration text must not be empty"


def test_text_calibration_of_a_model_without_bos():
    pieces = [(b"?", 0.0)] * 3 + [(b"<0x%02X>" % n, 0.0) for n in range(256)] + [(b" ", 0.0)]
    t = Tokenizer(pieces, special=SpecialTokens(bos_id=None, stop_ids=()))
    assert text_calibration(t, "abc", 4).tolist() == [259, 100, 101, 102]
    t = Tokenizer(pieces, special=SpecialTokens(bos_id=2, stop_ids=()))
    assert text_calibration(t, "abc", 3).tolist() == [2, 259, 100, 2, 101, 102]


def test_sampled_text_begins_as_the_model_says(make_checkpoint):
    def first(bos_id):
        special = SpecialTokens(bos_id=bos_id, stop_ids=())
        return sample_calibration(make_checkpoint(special=special))[:, 0]

    assert set(first(5).tolist()) == {5}
    assert len(set(first(None).tolist())) > 10


def test_tiny_embeddings_lose_nothing(make_checkpoint):
    """All weights of the residual stream 2000 times smaller: the same steps, the same loss."""
    plain = make_checkpoint(tied=False, norm_eps=1e-5)
    tiny = scaled(plain, embedding=2.0**-11, wo=2.0**-11, w2=2.0**-11)
    tiny = dataclasses.replace(tiny, shape=dataclasses.replace(tiny.shape, norm_eps=1e-5 / 4**11))
    ours, theirs = quantise(tiny, TOKENS), quantise(plain, TOKENS)
    assert ours.residual_fraction_bits == theirs.residual_fraction_bits + 11 > 15
    assert (ours.embedding == theirs.embedding).all()
    assert ours.norm_c == theirs.norm_c
    found = IntegerDecoder(ours).prefill(0, TOKENS[0].tolist())
    assert (found == IntegerDecoder(theirs).prefill(0, TOKENS[0].tolist())).all()


def test_eps_fits_its_parameter(make_checkpoint):
    """It limits the fraction bits where nothing else does: two 16-bit parameters hold it."""
    checkpoint = scaled(make_checkpoint(norm_eps=0.01), embedding=2.0**-11, wo=2.0**-11,
                        w2=2.0**-11)
    model = quantise(checkpoint, TOKENS)
    assert model.residual_fraction_bits == 17
    assert model.norm_c == round(16 * 0.01 * 4**17) < 2**32 < 16 * 0.01 * 4**18


def test_positions_without_end_cost_no_memory(make_checkpoint, monkeypatch):
    long = make_checkpoint(n_layers=1, seq_len=2**31 - 1)
    model = quantise(long, TOKENS)
    assert model.shape.seq_len == len(model.rope) == POSITIONS_MAX
    # In chunks, of which the last is not whole.
    monkeypatch.setattr(quantiser, "_ROPE_CHUNK", 10)
    short = quantise(make_checkpoint(n_layers=1), TOKENS)
    assert (short.rope == model.rope[:24]).all()


def test_default_calibration_is_the_models_own_text(make_checkpoint):
    checkpoint = make_checkpoint()
    assert quantise(checkpoint).digest == quantise(
        checkpoint, sample_calibration(checkpoint, 0)).digest
    assert quantise(checkpoint, seed=1).digest != quantise(checkpoint).digest


def scaled(checkpoint, **factors):
    """A checkpoint with some of its tensors multiplied."""
    layers = [dataclasses.replace(layer, **{
        name: getattr(layer, name) * np.float32(factor)
        for name, factor in factors.items() if hasattr(layer, name)})
        for layer in checkpoint.layers]
    top = {name: getattr(checkpoint, name) * np.float32(factor)
           for name, factor in factors.items() if hasattr(checkpoint, name)}
    return Checkpoint(**{
        field.name: getattr(checkpoint, field.name) for field in dataclasses.fields(checkpoint)
    } | top | {"layers": tuple(layers)})


def test_dead_weights_quantise_to_zero(make_checkpoint):
    model = quantise(scaled(make_checkpoint(), wq=0, w1=0), TOKENS)
    assert not model.layers[0].rq_q.m.any()
    assert not model.layers[0].wq.any()


BITS = "residual_fraction_bits must"
FACTOR = (r"what a sum is multiplied by must be between 3\.55e-15 and 65535, the widths of "
          r"multiplier and shift, not")
REFUSED = [
    ({"embedding": 1e6}, {}, (
        r"residual stream must be at most 4096 in text of the calibration, an int16 with room for "
        r"8 times that, not \S+ after layers\.1\.w2: weights are too large")),
    ({}, {"residual_fraction_bits": 23}, f"{BITS} be between 0 and 22, not 23"),
    ({}, {"residual_fraction_bits": -1}, f"{BITS} be between 0 and 22, not -1"),
    ({}, {"residual_fraction_bits": 14},
     (rf"{BITS} leave room for a residual of \S+ after layers\.\d\.w2 and an embedding of \S+, "
      "not 14: it would saturate")),
    ({"head": 5e4}, {}, r"lm\.weight: logits must fit 32 bits with 12 of fraction, not reach \d+"),
    ({"head": 1e9}, {}, rf"lm\.weight: {FACTOR} \S+e\+08"),
    ({"head": 1e-19}, {}, rf"lm\.weight: {FACTOR} \S+e-20"),
    ({"wq": 1e5, "wk": 1e5}, {}, rf"scores of layers\.0\.wq and h\.0\.k: {FACTOR} \S+e\+07"),
]


@pytest.mark.parametrize(("factors", "options", "message"), REFUSED)
def test_what_does_not_fit_is_refused(factors, options, message, make_checkpoint):
    checkpoint = dataclasses.replace(
        scaled(make_checkpoint(tied=False), **factors), name="a.bin",
        labels={"head": "lm.weight", "layers.0.wk": "h.0.k"})
    with pytest.raises(QuantModelError, match=f"^a\\.bin: {message}$"):
        quantise(checkpoint, TOKENS, **options)


def test_formats_of_r2_hold_what_the_calibration_reaches(make_checkpoint):
    checkpoint = make_checkpoint(tied=False)
    model = quantise(checkpoint, TOKENS, recipe=RECIPES["R2"])
    turned = rotated(checkpoint)
    scales = calibrate(turned, TOKENS)
    widest = max(scales.residual_max.max(), np.abs(turned.embedding).max())
    room = 6 * widest * 2.0**model.residual_fraction_bits
    embedding = np.abs(turned.embedding).max() * 2.0**model.residual_fraction_bits
    assert room <= 2**23 - 1
    assert embedding <= 32767
    assert room > 2**22 or embedding > 16383
    for n, layer in enumerate(model.layers):
        assert 16383 / 2 < scales.u_max[n] * 2.0**layer.gate.fu <= 32767 / 2
        # The step of the down projection is that of u * t: it tells ft.
        steps = np.abs(turned.layers[n].w2).max(axis=1) / 127 * 2.0**model.residual_fraction_bits
        ft = np.log2(steps / real(layer.rq_2)) - layer.gate.fu
        assert ft == pytest.approx(np.round(ft[0]), abs=1e-3)
        assert 16383 / 2 < scales.t_max[n] * 2.0**np.round(ft[0]) <= 32767 / 2
        v = scales.v_max[n] / 127
        exact = turned.layers[n].wv * scales.h1[n] / v[:, None]
        assert np.abs(layer.wv * real(layer.rq_v)[:, None] - exact).max() < (
            0.51 * np.abs(exact).max() / 127)


R2_REFUSED = [
    ({"w1": 3e3}, {}, (r"h\.0\.gate: its output must be at most 512 in text of the calibration, "
                       r"an int16 with room for 2 times that, not \S+e\+03")),
    ({"w3": 1e5}, {}, (r"layers\.0\.w3: its output must be at most 16384 in text of the "
                       r"calibration, an int16 with room for 2 times that, not \S+e\+05")),
    ({"w2": 1e7}, {}, (r"residual stream must be at most 1398101 in text of the calibration, an "
                       r"int24 with room for 6 times that, not \S+ after layers\.1\.w2: weights "
                       "are too large")),
    ({}, {"residual_fraction_bits": 20},
     (rf"{BITS} leave room for a residual of \S+ after layers\.\d\.w2 and an embedding of \S+, "
      "not 20: it would saturate")),
    ({}, {"positions": 25}, "positions must be between 1 and seq_len = 24, not 25"),
]


@pytest.mark.parametrize(("factors", "options", "message"), R2_REFUSED)
def test_what_r2_does_not_hold_is_refused(factors, options, message, make_checkpoint):
    checkpoint = dataclasses.replace(
        scaled(make_checkpoint(tied=False), **factors), name="a.bin",
        labels={"layers.0.w1": "h.0.gate"})
    with pytest.raises(QuantModelError, match=f"^a\\.bin: {message}$"):
        quantise(checkpoint, TOKENS, recipe=RECIPES["R2"], **options)


def test_fewer_positions_leave_wider_exponentials(make_checkpoint):
    checkpoint = make_checkpoint(n_layers=1, seq_len=5000)
    whole = quantise(checkpoint, TOKENS, recipe=RECIPES["R2"])
    short = quantise(checkpoint, TOKENS, recipe=RECIPES["R2"], positions=4129)
    assert (whole.scheme.exp_bits, short.scheme.exp_bits) == (11, 12)
    assert (len(whole.rope), len(short.rope), short.shape.seq_len) == (5000, 4129, 4129)
