"""A second decoder, written from docs/numerics.md, which shares no code with the golden one."""

import math

import numpy as np
import pytest


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


@pytest.fixture(scope="session")
def plain_decoder():
    """The class, for models of any scheme."""
    return PlainDecoder
