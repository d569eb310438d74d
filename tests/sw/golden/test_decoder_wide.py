"""Scheme R2: the golden decoder against a second one, which shares no code with it."""

import dataclasses
import math

import numpy as np
import pytest

from ouroboros.sw.golden import numerics, wide
from ouroboros.sw.golden.decoder import IntegerDecoder
from ouroboros.sw.models.scheme import R2
from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.quantise.recipe import RECIPES


class PlainDecoder:
    """docs/numerics.md, one token at a time, int64 vectors, loops over layers and heads."""

    def __init__(self, model):
        self.model, self.shape = model, model.shape
        self.width = model.shape.head_dim
        self.keys = [[] for _ in model.layers]
        self.values = [[] for _ in model.layers]
        top = 2**model.scheme.exp_bits - 1
        self.exp = [round(top * 2 ** (-j / 16)) for j in range(255)] + [0]
        self.wide = model.scheme.residual_bits == 24
        self.matrices = [{name: getattr(layer, name).astype(np.int64)
                          for name in ("wq", "wk", "wv", "wo", "w1", "w2", "w3")}
                         for layer in model.layers]
        self.classifier = model.head.astype(np.int64)

    def step(self, token):
        x = self.model.embedding[token].astype(np.int64)
        for n, layer in enumerate(self.model.layers):
            x = self.residual(x + self.attention(n, layer, x))
            x = self.residual(x + self.feed_forward(n, layer, x))
        h = self.norm(x, self.model.norm_final)
        return self.times(self.classifier @ h, self.model.rq_head)

    def residual(self, x):
        return bounded(x, 1 - 2**23, 2**23 - 1) if self.wide else bounded(x, -2**15, 2**15 - 1)

    def attention(self, n, layer, x):
        w = self.matrices[n]
        h = self.norm(x, layer.norm1)
        q = bounded(self.times(w["wq"] @ h, layer.rq_q), -2**15, 2**15 - 1)
        k = bounded(self.times(w["wk"] @ h, layer.rq_k), -2**15, 2**15 - 1)
        v = bounded(self.times(w["wv"] @ h, layer.rq_v), -127, 127)
        row = self.model.rope[len(self.keys[n])].astype(np.int64)
        self.keys[n].append(self.turn(k, row))
        self.values[n].append(v)
        q = self.turn(q, row)
        keys, values = np.array(self.keys[n]), np.array(self.values[n])
        o = np.zeros(len(q), np.int64)
        for head in range(self.shape.n_heads):
            place = head // (self.shape.n_heads // self.shape.n_kv_heads) * self.width
            mine = slice(head * self.width, (head + 1) * self.width)
            scores = keys[:, place:place + self.width] @ q[mine]
            steps = [shifted(drop * int(layer.me[head]), layer.se)
                     for drop in (int(scores.max()) - scores).tolist()]
            e = np.array([self.exp[min(step, 255)] for step in steps])
            den = int(e.sum())
            n2 = den.bit_length() - 1
            reciprocal = round(65535 / (1 + (((den << 8 >> n2) & 255) + 0.5) / 256))
            acc = e @ values[:, place:place + self.width]
            o[mine] = bounded(shifted(acc * reciprocal, 16 + n2), -127, 127)
        return self.times(w["wo"] @ o, layer.rq_o)

    def turn(self, x, row):
        found = []
        for place in range(0, len(x), self.width):
            a, b = x[place:place + self.width:2], x[place + 1:place + self.width:2]
            c, s = row[::2], row[1::2]
            pairs = np.array([a * c - b * s, a * s + b * c]).T.reshape(-1)
            found.append(bounded(shifted(pairs, 20), -127, 127))
        return np.concatenate(found)

    def feed_forward(self, n, layer, x):
        w, gate, bits = self.matrices[n], layer.gate, self.model.scheme.f_bits
        h = self.norm(x, layer.norm2)
        u, t = self.times(w["w1"] @ h, layer.rq_1), self.times(w["w3"] @ h, layer.rq_3)
        if self.model.scheme.gate == "table":
            u, t = bounded(u, -128, 127), bounded(t, -127, 127)
            silu = [int(gate.silu[value % 256]) for value in u.tolist()]
            f = bounded(shifted(np.array(silu) * t * gate.mf, gate.sf), -127, 127)
            return self.times(w["w2"] @ f, layer.rq_2)
        u, t = bounded(u, -2**15, 2**15 - 1), bounded(t, -2**15, 2**15 - 1)
        open_ = []
        for i in shifted(u, gate.fu - 5).tolist():
            half = 65536 if abs(i) > 255 else round(65536 / (1 + math.exp(-abs(i) / 32)))
            open_.append(half if i >= 0 else 65536 - half)
        product = shifted(np.array(open_) * t * u, 16)
        ef = max(0, int(abs(product).max()).bit_length() - (bits - 1))
        f = bounded(shifted(product, ef), 1 - 2**(bits - 1), 2**(bits - 1) - 1)
        acc = w["w2"] @ f
        return shifted(acc * layer.rq_2.m, layer.rq_2.s - ef)

    def norm(self, x, norm):
        total = self.model.norm_c
        for z in abs(x).tolist():
            total += z * z if z < 2**15 else ((z + 128) >> 8) ** 2 << 16
        e = max(0, total.bit_length() - 8)
        e += e % 2
        index = max(total >> e, 64)
        y = round(65535 / math.sqrt((index + 0.5) / 64))
        factor = shifted(y * norm.mg, 16)
        return bounded(shifted(x * factor, norm.sg + (e + 6) // 2), -127, 127)

    @staticmethod
    def times(acc, requant):
        assert abs(acc).max() < 2**31
        return shifted(acc * requant.m, requant.s)


def shifted(value, s):
    return (value + (1 << s >> 1)) >> s


def bounded(value, low, high):
    return np.minimum(np.maximum(value, low), high)


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
def test_equals_the_second_decoder(name, make_checkpoint):
    changes, scheme = SHAPES[name]
    for model in models(make_checkpoint(seed=3, **changes), scheme):
        assert model.scheme == scheme
        plain, golden = PlainDecoder(model), IntegerDecoder(model)
        rng = np.random.default_rng(7)
        for token in rng.integers(0, model.shape.vocab_size, 24).tolist():
            assert golden.step(0, token).tolist() == plain.step(token).tolist()


def test_equals_the_second_decoder_in_any_pieces(make_checkpoint):
    checkpoint = make_checkpoint(dim=24, hidden_dim=40, n_heads=3, n_kv_heads=1, vocab_size=61,
                                 seq_len=512, seed=5)
    model = quantise(checkpoint, recipe=RECIPES["R2"])
    tokens = np.random.default_rng(2).integers(0, 61, 512).tolist()
    plain = PlainDecoder(model)
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
def test_the_comparison_sees_a_fault(fault, make_checkpoint, monkeypatch, expected_once):
    where, name, instead = FAULTS[fault]
    checked = [model for scheme in (R2, NARROW)
               for model in models(make_checkpoint(seed=3, seq_len=200), scheme)]
    tokens = np.random.default_rng(7).integers(0, 23, 200).tolist()

    def differs(place, model):
        if place not in expected_once:
            plain = PlainDecoder(model)
            expected_once[place] = [plain.step(token).tolist() for token in tokens]
            assert IntegerDecoder(model).prefill(0, tokens).tolist() == expected_once[place]
        with monkeypatch.context() as patch:
            patch.setattr(where, name, instead)
            try:
                return IntegerDecoder(model).prefill(0, tokens).tolist() != expected_once[place]
            except numerics.RangeError:
                return True     # refused: the operand that came of it does not fit

    assert any(differs(place, model) for place, model in enumerate(checked))


def test_r_is_a_case_of_r2(make_checkpoint):
    """The fields of R in the recipe of R2, without what is done to the weights: R to the bit."""
    checkpoint = make_checkpoint(seed=3)
    tokens = np.array([1, 2, 3])
    model = quantise(checkpoint, tokens)
    reduced = dataclasses.replace(
        RECIPES["R2"], scheme=dataclasses.replace(
            R2, residual_bits=16, exp_bits=7, f_bits=8, gate=model.scheme.gate),
        rotated=False, scales_per_value=False, residual_headroom=8)
    assert quantise(checkpoint, tokens, recipe=reduced).digest == model.digest
    plain, golden = PlainDecoder(model), IntegerDecoder(model)
    for token in np.random.default_rng(7).integers(0, 23, 24).tolist():
        assert plain.step(token).tolist() == golden.step(0, token).tolist()
