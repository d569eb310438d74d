"""Static scales from calibration: which text, and what the float model's activations reach on it.

A scale is the float value of one integer step. Scales are the 99.99th percentile of the absolute
values over the calibration tokens, divided by 127: per head for q, per key/value head for k and v,
per tensor otherwise. They are not rounded to powers of two.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ouroboros.sw.models.checkpoint import Checkpoint
from ouroboros.sw.models.coder import Coder
from ouroboros.sw.models.float_llama import FloatLlama
from ouroboros.sw.models.integer import QuantModelError
from ouroboros.sw.quantise.percentile import Percentile

__all__ = ["CALIBRATION_TOKENS", "SEQUENCE_TOKENS", "Calibration", "Float64", "Pairs", "Progress",
           "Tokens", "calibrate", "cut", "first_tokens", "rotary_pairs", "sample_calibration",
           "split_tokens", "text_calibration"]

Float64 = npt.NDArray[np.float64]
Tokens = npt.NDArray[np.integer[Any]]
Progress = Callable[[int, int], None]
"""Called with what is done and what there is to do."""

CALIBRATION_TOKENS = 2048
"""Tokens of a calibration that is sampled from the model itself."""
SEQUENCE_TOKENS = 512
"""Longest sequence of a calibration: outliers of a sequence's begin are seen several times."""
PERCENTILE = 99.99
"""Of the absolute values that a scale covers."""
PAIR_PERCENTILE = 99.9
"""Of the absolute values of a rotary pair, which are far fewer."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Calibration:
    """Static scales of every activation of a model, and the largest values of some."""

    h1: Float64
    """Output of the norm before attention, (n_layers,)."""
    q: Float64
    """Queries after RoPE, (n_layers, n_heads)."""
    k: Float64
    """Keys after RoPE, (n_layers, n_kv_heads)."""
    v: Float64
    """Values, (n_layers, n_kv_heads)."""
    h2: Float64
    """Output of the norm before the feed-forward layer, (n_layers,)."""
    u: Float64
    """Gate before SiLU, (n_layers,)."""
    t: Float64
    """Up, (n_layers,)."""
    f: Float64
    """SiLU(gate) * up, (n_layers,)."""
    h: float
    """Output of the last norm."""
    residual_max: Float64
    """Largest absolute value of the residual stream (not a scale) as it enters the first block
    and leaves each, (n_layers + 1,)."""
    v_max: Float64
    """Largest absolute value of the values (not a scale), (n_layers, kv_width)."""
    u_max: Float64
    """Largest absolute value of the gate (not a scale), (n_layers,)."""
    t_max: Float64
    """Largest absolute value of up (not a scale), (n_layers,)."""
    tokens: int
    """Tokens seen."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Pairs:
    """What the rotary pairs of every key/value head reach, (n_layers, n_kv_heads, pairs)."""

    q: Float64
    """Over all its queries."""
    k: Float64
    """Its keys."""


def split_tokens(tokens: Tokens, seq_len: int) -> list[Tokens]:
    """Sequences of at most ``seq_len`` tokens from a list or from a (sequences, n) array."""
    tokens = np.asarray(tokens)
    if tokens.dtype.kind not in "iu" or tokens.size == 0 or tokens.ndim > 2:
        raise QuantModelError(
            "tokens must be a list or a table of at least one integer token id, "
            f"not {tokens.dtype} of shape {tokens.shape}")
    return [row[start:start + seq_len] for row in np.atleast_2d(tokens)
            for start in range(0, tokens.shape[-1], seq_len)]


def sample_calibration(checkpoint: Checkpoint, seed: int = 0,
                       tokens: int = CALIBRATION_TOKENS) -> npt.NDArray[np.int64]:
    """Tokens (sequences, n) that the float model itself writes."""
    length = min(checkpoint.shape.seq_len, SEQUENCE_TOKENS)
    batch = max(1, math.ceil(tokens / length))
    return FloatLlama(checkpoint, batch=batch).sample(length, (seed, 0))


def text_calibration(tokenizer: Coder, text: str, seq_len: int,
                     tokens: int = CALIBRATION_TOKENS) -> Tokens:
    """The first tokens (n,) of a text; every sequence that they are cut into starts with BOS.

    There is none before them where the model has none. ``seq_len`` is at least 2.
    """
    if not text.strip():
        raise QuantModelError("calibration text must not be empty")
    return np.concatenate(cut(tokenizer, first_tokens(tokenizer, text, tokens),
                              min(seq_len, SEQUENCE_TOKENS)))


def first_tokens(tokenizer: Coder, text: str, count: int) -> list[int]:
    """At most ``count`` tokens that a text begins with, without BOS."""
    # A token is at most as long as the longest piece: no more text than needed is encoded.
    longest = max(map(len, tokenizer.pieces))
    return tokenizer.encode(text[:count * longest], bos=False)[:count]


def cut(tokenizer: Coder, tokens: list[int], length: int) -> list[Tokens]:
    """Sequences of at most ``length`` tokens, each with BOS before it if there is one."""
    begin = [] if tokenizer.special.bos_id is None else [tokenizer.special.bos_id]
    run = length - len(begin)
    return [np.array([*begin, *tokens[start:start + run]]) for start in range(0, len(tokens), run)]


def calibrate(checkpoint: Checkpoint, tokens: Tokens,
              progress: Progress | None = None) -> Calibration:
    """Run the float model over tokens and take the scale of every activation."""
    shape = checkpoint.shape
    sequences = split_tokens(tokens, min(shape.seq_len, SEQUENCE_TOKENS))
    count = sum(map(len, sequences))
    percentiles: dict[tuple[int, str], Percentile] = {}
    largest: dict[tuple[int, str], Float64] = {}

    def observe(layer: int, name: str, value: npt.NDArray[np.floating[Any]]) -> None:
        if name.startswith("x"):
            _keep_largest(largest, (layer, "x"), np.abs(value).max())
            return
        if name in ("u", "t"):
            _keep_largest(largest, (layer, name), np.abs(value).max())
        elif name == "v":
            _keep_largest(largest, (layer, name), np.abs(value).max(axis=(0, 1)).reshape(-1))
        # Heads apart for q, k and v, whose shape is (batch, n, heads, head_dim).
        groups = value.shape[2] if name in ("q", "k", "v") else 1
        grouped = np.moveaxis(value, 2, 0) if groups > 1 else value
        rows = np.abs(grouped).reshape(groups, -1).astype(np.float32)
        if (layer, name) not in percentiles:
            per_token = rows.shape[1] // value.shape[1]
            percentiles[layer, name] = Percentile(count * per_token, PERCENTILE)
        percentiles[layer, name].add(rows)

    _run(checkpoint, sequences, observe, progress)

    def scales(layer: int, name: str) -> Float64:
        found = percentiles[layer, name].result() / 127
        # An activation that is always zero needs a scale, any scale.
        return np.where(found > 0, found, 1.0)

    def stack(name: str) -> Float64:
        return np.stack([scales(layer, name) for layer in range(shape.n_layers)])

    def tops(name: str) -> Float64:
        return np.stack([largest[layer, name] for layer in range(shape.n_layers)])

    return Calibration(
        h1=stack("h1")[:, 0], q=stack("q"), k=stack("k"), v=stack("v"), h2=stack("h2")[:, 0],
        u=stack("u")[:, 0], t=stack("t")[:, 0], f=stack("f")[:, 0], h=float(scales(-1, "h")[0]),
        residual_max=np.array([largest[layer, "x"] for layer in range(-1, shape.n_layers)]),
        v_max=tops("v"), u_max=tops("u"), t_max=tops("t"), tokens=count)


def rotary_pairs(checkpoint: Checkpoint, tokens: Tokens,
                 progress: Progress | None = None) -> Pairs:
    """Run the float model over tokens and see what the rotary pairs of q and k reach."""
    shape = checkpoint.shape
    sequences = split_tokens(tokens, min(shape.seq_len, SEQUENCE_TOKENS))
    count = sum(map(len, sequences))
    # Of a key/value head, both elements of a pair, all tokens and its query heads.
    percentiles = {(layer, name): Percentile(2 * count * heads, PAIR_PERCENTILE)
                   for layer in range(shape.n_layers)
                   for name, heads in (("q", shape.heads_per_kv), ("k", 1))}

    def observe(layer: int, name: str, value: npt.NDArray[np.floating[Any]]) -> None:
        if (layer, name) in percentiles:
            rows = np.abs(value).reshape(-1, shape.n_kv_heads, value.shape[2] // shape.n_kv_heads,
                                         shape.head_dim // 2, 2)
            rows = rows.transpose(1, 3, 0, 2, 4).reshape(shape.kv_width // 2, -1)
            percentiles[layer, name].add(rows.astype(np.float32))

    _run(checkpoint, sequences, observe, progress)
    q, k = (np.stack([percentiles[layer, name].result() for layer in range(shape.n_layers)])
            .reshape(shape.n_layers, shape.n_kv_heads, -1) for name in ("q", "k"))
    return Pairs(q=q, k=k)


def _run(checkpoint: Checkpoint, sequences: list[Tokens],
         observe: Callable[[int, str, npt.NDArray[np.floating[Any]]], None],
         progress: Progress | None) -> None:
    model = FloatLlama(checkpoint, observer=observe)
    for n, sequence in enumerate(sequences):
        model.reset()
        model.forward(sequence[None, :])
        if progress is not None:
            progress(n + 1, len(sequences))


def _keep_largest(found: dict[tuple[int, str], Any], key: tuple[int, str], value: Any) -> None:
    found[key] = np.maximum(found.get(key, 0.0), value)
