"""The golden decoder against a second decoder: plain loops over plain Python integers."""

import math

import numpy as np
import pytest

from ouroboros.sw.golden.decoder import DecodeError, IntegerDecoder
from ouroboros.sw.quantise.quantise import quantise


class ScalarDecoder:
    """The steps of the scheme, one number at a time; shares no code with the golden model."""

    def __init__(self, model):
        self.model = model
        self.shape = model.shape
        self.keys = [[] for _ in model.layers]
        self.values = [[] for _ in model.layers]

    def step(self, token):
        model, heads = self.model, self.shape.n_heads
        width = self.shape.dim // heads
        position = len(self.keys[0])
        x = [int(v) for v in model.embedding[token]]
        for n, layer in enumerate(model.layers):
            h = self.norm(x, layer.norm1)
            q = self.matrix(h, layer.wq, layer.rq_q, -32768, 32767)
            k = self.matrix(h, layer.wk, layer.rq_k, -32768, 32767)
            self.values[n].append(self.matrix(h, layer.wv, layer.rq_v, -127, 127))
            self.keys[n].append(self.rope(k, width, position))
            q = self.rope(q, width, position)
            o = []
            for head in range(heads):
                o += self.head(layer, n, head, q[head * width:(head + 1) * width])
            delta = self.matrix(o, layer.wo, layer.rq_o)
            x = [self.clip(a + b, -32768, 32767) for a, b in zip(x, delta, strict=True)]
            h = self.norm(x, layer.norm2)
            u = self.matrix(h, layer.w1, layer.rq_1, -128, 127)
            t = self.matrix(h, layer.w3, layer.rq_3, -127, 127)
            f = [self.clip(self.shift(int(layer.gate.silu[a % 256]) * b * layer.gate.mf,
                                      layer.gate.sf))
                 for a, b in zip(u, t, strict=True)]
            delta = self.matrix(f, layer.w2, layer.rq_2)
            x = [self.clip(a + b, -32768, 32767) for a, b in zip(x, delta, strict=True)]
        return self.matrix(self.norm(x, model.norm_final), model.head, model.rq_head)

    def head(self, layer, n, head, q):
        width = len(q)
        start = head * self.shape.n_kv_heads // self.shape.n_heads * width
        scores = [sum(a * b for a, b in zip(q, key[start:start + width], strict=True))
                  for key in self.keys[n]]
        top = max(scores)
        e = []
        for s in scores:
            j = min(self.shift((top - s) * int(layer.me[head]), layer.se), 255)
            e.append(0 if j == 255 else round(127 * 2 ** (-j / 16)))
        den = sum(e)
        bits = len(bin(den)) - 3
        index = (den * 256 // 2**bits) % 256
        reciprocal = round(65535 / (1 + (index + 0.5) / 256))
        return [self.clip(self.shift(sum(w * value[start + c] for w, value in
                                         zip(e, self.values[n], strict=True)) * reciprocal,
                                     16 + bits))
                for c in range(width)]

    def norm(self, x, norm):
        total = sum(v * v for v in x) + self.model.norm_c
        e = 0
        while total // 2**e >= 256:
            e += 2
        index = max(total // 2**e, 64)
        factor = self.shift(round(65535 / math.sqrt((index + 0.5) / 64)) * norm.mg, 16)
        return [self.clip(self.shift(v * factor, norm.sg + (e + 6) // 2)) for v in x]

    def rope(self, x, width, position):
        turned = []
        for i in range(0, len(x), 2):
            c, s = (int(self.model.rope[position, i % width + j]) for j in (0, 1))
            turned += [self.clip(self.shift(x[i] * c - x[i + 1] * s, 20)),
                       self.clip(self.shift(x[i] * s + x[i + 1] * c, 20))]
        return turned

    def matrix(self, x, weights, requant, low=-math.inf, high=math.inf):
        found = []
        for row, m in zip(weights, requant.m, strict=True):
            acc = sum(int(w) * v for w, v in zip(row, x, strict=True))
            found.append(self.clip(self.shift(acc * int(m), requant.s), low, high))
        return found

    @staticmethod
    def shift(value, s):
        return (value + 2**s // 2) // 2**s

    @staticmethod
    def clip(value, low=-127, high=127):
        return max(low, min(high, value))


SHAPES = {
    "grouped queries": {},
    "one head per key": {"n_kv_heads": 4, "tied": False},
    "one key head": {"n_kv_heads": 1, "hidden_dim": 7, "vocab_size": 5},
    "one wide head": {"n_heads": 1, "n_kv_heads": 1, "n_layers": 1},
    "a large epsilon": {"norm_eps": 0.5, "n_layers": 1},
}


@pytest.mark.parametrize("name", SHAPES)
def test_equals_the_scalar_decoder(name, make_checkpoint):
    checkpoint = make_checkpoint(seed=3, **SHAPES[name])
    # A short calibration: later tokens run into every saturation.
    model = quantise(checkpoint, np.array([1, 2, 3]))
    scalar, golden = ScalarDecoder(model), IntegerDecoder(model)
    rng = np.random.default_rng(7)
    for token in rng.integers(0, model.shape.vocab_size, 10).tolist():
        assert golden.step(0, token).tolist() == scalar.step(token)


def test_saturations_are_reached(make_checkpoint):
    seen = {}
    model = quantise(make_checkpoint(seed=3), np.array([1, 2, 3]))
    decoder = IntegerDecoder(model, observer=lambda layer, name, value: seen.setdefault(
        name, []).append(np.abs(value).max()))
    decoder.prefill(0, np.random.default_rng(7).integers(0, 23, 24).tolist())
    for name in ("h1", "h2", "q8", "k8", "f8", "t8"):
        assert max(seen[name]) == 127, name
    assert max(seen["u8"]) == 128


def test_any_split_gives_the_same_logits(make_checkpoint):
    model = quantise(make_checkpoint())
    tokens = np.random.default_rng(1).integers(0, 23, (3, 24)).tolist()
    whole = [IntegerDecoder(model).prefill(0, row) for row in tokens]
    one = IntegerDecoder(model)
    steps = np.array([one.step_batch([5, 6, 9], [row[n] for row in tokens]) for n in range(24)])
    mixed = IntegerDecoder(model)
    first = mixed.run([(2, tokens[2][:7]), (0, tokens[0][:1])])
    second = mixed.run([(0, tokens[0][1:]), (1, tokens[1]), (2, tokens[2][7:])])
    for n in range(3):
        assert (steps[:, n] == whole[n]).all()
    assert (first == np.concatenate([whole[2][:7], whole[0][:1]])).all()
    assert (second == np.concatenate([whole[0][1:], whole[1], whole[2][7:]])).all()
    assert whole[0].dtype == np.int32
    assert whole[0].shape == (24, 23)


def test_sequences_grow_past_the_first_allocation_and_are_freed(make_checkpoint):
    model = quantise(make_checkpoint(seq_len=200, n_layers=1))
    tokens = np.random.default_rng(1).integers(0, 23, 200).tolist()
    decoder = IntegerDecoder(model)
    decoder.prefill(0, tokens[:60])
    rest = np.array([decoder.step(0, token) for token in tokens[60:]])
    assert decoder.length(0) == 200
    decoder.free(0)
    assert decoder.length(0) == 0
    assert (decoder.prefill(0, tokens)[60:] == rest).all()


def test_generate_is_greedy_and_stops(make_checkpoint):
    model = quantise(make_checkpoint())
    found = IntegerDecoder(model).generate(0, [1, 5], 40)
    logits = IntegerDecoder(model).prefill(0, [1, 5, *found][:24])
    assert found == logits[1:1 + len(found)].argmax(axis=1).tolist()
    assert len(found) == 23 or found[-1] == 1


# chunks after sequence 0 holds 20 of 24 tokens, message
REFUSED = [
    ([(0, [1] * 5)], "sequence 0 must have 1 to 24 tokens with at least one new one, not 25"),
    ([(0, [])], "sequence 0 must have 1 to 24 tokens with at least one new one, not 20"),
    ([(1, [3, 23])], "token of sequence 1 must be between 0 and 22, not 23"),
    ([(1, [-1])], "token of sequence 1 must be between 0 and 22, not -1"),
    ([(1, [1]), (1, [2])], "chunks must be of different sequences"),
]


@pytest.mark.parametrize(("chunks", "message"), REFUSED)
def test_refused_tokens_change_nothing(chunks, message, make_checkpoint):
    decoder = IntegerDecoder(quantise(make_checkpoint()))
    decoder.prefill(0, [1] * 20)
    with pytest.raises(DecodeError) as caught:
        decoder.run([(2, [1]), *chunks])
    assert str(caught.value) == message
    assert [decoder.length(seq) for seq in (0, 1, 2)] == [20, 0, 0]
