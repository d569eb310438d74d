"""The float reference decoder: what the integer model approximates, and where its scales come from.

Ref: Touvron et al., LLaMA, 2023; the arithmetic order is llama2.c's.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ouroboros.sw.models.checkpoint import Checkpoint, CheckpointError

__all__ = ["FloatLlama", "Observer"]

Array = npt.NDArray[np.floating[Any]]
Tokens = npt.NDArray[np.integer[Any]]
Observer = Callable[[int, str, Array], None]
"""Called with layer (-1 outside the blocks), name and value of every intermediate."""


class FloatLlama:
    """A float LLaMA-type decoder over a batch of sequences in step with each other.

    Parameters
    ----------
    checkpoint : Checkpoint
        Weights. The gains of the norms are folded into the matrices that follow, as the integer
        model does, so that the observed norm outputs are those it quantises.
    batch : int
        Sequences decoded together.
    dtype : numpy dtype
        Arithmetic; float64 makes sampled text the same on every machine.
    """

    def __init__(self, checkpoint: Checkpoint, *, batch: int = 1,
                 dtype: npt.DTypeLike = np.float64, observer: Observer | None = None):
        self.shape = checkpoint.shape
        self.special = checkpoint.special
        self.batch = batch
        self.position = 0
        self._observer = observer
        self._dtype = dtype
        self._embedding = checkpoint.embedding.astype(dtype)
        self._head = (checkpoint.head * checkpoint.final_norm).astype(dtype)
        self._layers = [{
            "wq": (layer.wq * layer.norm1).astype(dtype),
            "wk": (layer.wk * layer.norm1).astype(dtype),
            "wv": (layer.wv * layer.norm1).astype(dtype),
            "wo": layer.wo.astype(dtype),
            "w1": (layer.w1 * layer.norm2).astype(dtype),
            "w2": layer.w2.astype(dtype),
            "w3": (layer.w3 * layer.norm2).astype(dtype),
            **{name: 0 if bias is None else bias.astype(dtype)
               for name, bias in (("bq", layer.bq), ("bk", layer.bk), ("bv", layer.bv))},
        } for layer in checkpoint.layers]
        self._k: list[Array] = []
        self._v: list[Array] = []
        self.reset()

    def reset(self) -> None:
        """Forget every sequence."""
        empty = np.zeros((self.batch, self.shape.n_kv_heads, 0, self.shape.head_dim), self._dtype)
        self.position = 0
        self._k = [empty] * self.shape.n_layers
        self._v = [empty] * self.shape.n_layers

    def forward(self, tokens: Tokens) -> Array:
        """Logits (batch, n, vocab) of the next n tokens (batch, n) of every sequence."""
        tokens = np.asarray(tokens)
        batch, count = tokens.shape
        self._check(tokens)
        shape = self.shape
        positions = self.position + np.arange(count)
        cos, sin = self._rope_rows(positions)
        allowed = np.arange(self.position + count)[None, :] <= positions[:, None]
        x = self._embedding[tokens]
        self._observe(-1, "x", x)
        for n, layer in enumerate(self._layers):
            h = self._observe(n, "h1", self._norm(x))
            q = (h @ layer["wq"].T + layer["bq"]).reshape(
                batch, count, shape.n_heads, shape.head_dim)
            k = (h @ layer["wk"].T + layer["bk"]).reshape(
                batch, count, shape.n_kv_heads, shape.head_dim)
            v = (h @ layer["wv"].T + layer["bv"]).reshape(
                batch, count, shape.n_kv_heads, shape.head_dim)
            q = self._observe(n, "q", _rotate(q, cos, sin)).transpose(0, 2, 1, 3)
            k = self._observe(n, "k", _rotate(k, cos, sin)).transpose(0, 2, 1, 3)
            v = self._observe(n, "v", v).transpose(0, 2, 1, 3)
            self._k[n] = np.concatenate([self._k[n], k], axis=2)
            self._v[n] = np.concatenate([self._v[n], v], axis=2)
            context = self._attend(q, self._k[n], self._v[n], allowed)
            x = self._observe(n, "x_mid", x + context @ layer["wo"].T)
            h = self._observe(n, "h2", self._norm(x))
            u = self._observe(n, "u", h @ layer["w1"].T)
            t = self._observe(n, "t", h @ layer["w3"].T)
            f = self._observe(n, "f", _silu(u) * t)
            x = self._observe(n, "x", x + f @ layer["w2"].T)
        self.position += count
        h = self._observe(-1, "h", self._norm(x))
        logits: Array = h @ self._head.T
        return logits

    def sample(self, count: int, seed: int | tuple[int, ...]) -> npt.NDArray[np.int64]:
        """Sequences (batch, count) that start with BOS and go on as the model has it.

        A model without BOS starts with any token.
        """
        self.reset()
        rng = np.random.default_rng(seed)
        tokens = np.zeros((self.batch, count), np.int64)
        first = self.special.bos_id
        tokens[:, 0] = rng.integers(self.shape.vocab_size, size=self.batch) if first is None \
            else first
        for n in range(1, count):
            logits = self.forward(tokens[:, n - 1:n])[:, 0].astype(np.float64)
            weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
            ladder = np.cumsum(weights, axis=-1)
            draw = rng.random((self.batch, 1)) * ladder[:, -1:]
            tokens[:, n] = np.minimum((ladder <= draw).sum(axis=-1), self.shape.vocab_size - 1)
        self.reset()
        return tokens

    def greedy(self, prompt: list[int], count: int) -> list[int]:
        """The ``count`` likeliest tokens after a prompt, ending early where the model ends."""
        if self.batch != 1:
            raise ValueError(f"batch must be 1 for greedy text, not {self.batch!r}")
        self.reset()
        logits = self.forward(np.array([prompt]))
        found: list[int] = []
        while len(found) < count:
            found.append(int(logits[0, -1].argmax()))
            if found[-1] in self.special.stop_ids or self.position == self.shape.seq_len:
                break
            logits = self.forward(np.array([found[-1:]]))
        return found

    def _check(self, tokens: Tokens) -> None:
        shape = self.shape
        if tokens.shape[0] != self.batch:
            raise CheckpointError(
                f"tokens must have {self.batch} sequences, not {tokens.shape[0]}")
        if self.position + tokens.shape[1] > shape.seq_len:
            raise CheckpointError(f"sequence must be at most seq_len = {shape.seq_len} tokens, "
                                  f"not {self.position + tokens.shape[1]}")
        wrong = tokens[(tokens < 0) | (tokens >= shape.vocab_size)]
        if wrong.size:
            raise CheckpointError(
                f"tokens must be between 0 and {shape.vocab_size - 1}, not {wrong[0]}")

    def _rope_rows(self, positions: npt.NDArray[np.int64]) -> tuple[Array, Array]:
        angle = np.outer(positions, self.shape.rope_frequencies)
        return np.cos(angle).astype(self._dtype), np.sin(angle).astype(self._dtype)

    def _norm(self, x: Array) -> Array:
        mean_square = (x * x).mean(axis=-1, keepdims=True)
        normed: Array = x / np.sqrt(mean_square + self.shape.norm_eps)
        return normed

    def _attend(self, q: Array, k: Array, v: Array, allowed: npt.NDArray[np.bool_]) -> Array:
        """Context (batch, n, q_width) of queries (batch, heads, n, head_dim)."""
        batch, heads, count, head_dim = q.shape
        kv_heads = k.shape[1]
        grouped = q.reshape(batch, kv_heads, heads // kv_heads, count, head_dim)
        scores = grouped @ k[:, :, None].swapaxes(-1, -2) / np.sqrt(head_dim).astype(q.dtype)
        scores = np.where(allowed, scores, -np.inf)
        # The bound keeps the weights out of the subnormal numbers, which are very slow.
        drop = np.maximum(scores - scores.max(axis=-1, keepdims=True), -80)
        weights = np.exp(drop) * allowed
        weights /= weights.sum(axis=-1, keepdims=True)
        context = (weights @ v[:, :, None]).reshape(batch, heads, count, head_dim)
        joined: Array = context.transpose(0, 2, 1, 3).reshape(batch, count, heads * head_dim)
        return joined

    def _observe(self, layer: int, name: str, value: Array) -> Array:
        if self._observer is not None:
            self._observer(layer, name, value)
        return value


def _rotate(x: Array, cos: Array, sin: Array) -> Array:
    """Rotate interleaved pairs of (batch, n, heads, head_dim) by the angles (n, head_dim / 2)."""
    real, imag = x[..., 0::2], x[..., 1::2]
    cos, sin = cos[:, None], sin[:, None]
    turned = np.empty_like(x)
    turned[..., 0::2] = real * cos - imag * sin
    turned[..., 1::2] = real * sin + imag * cos
    return turned


def _silu(u: Array) -> Array:
    # tanh never overflows, unlike exp(-u).
    gate: Array = 0.5 * (1 + np.tanh(0.5 * u))
    return u * gate
