"""From a float checkpoint to the integer model: static scales from calibration, then the integers.

A scale is the float value of one integer step. Scales are the 99.99th percentile of the absolute
values over the calibration tokens, divided by 127: per head for q, per key/value head for k and v,
per tensor otherwise. They are not rounded to powers of two.
"""

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ouroboros.sw.golden.numerics import (
    EXP_STEPS_PER_OCTAVE,
    LOGIT_FRACTION_BITS,
    QK_BITS,
    ROPE_FRACTION_BITS,
    SHIFT_MAX,
)
from ouroboros.sw.models.checkpoint import Checkpoint
from ouroboros.sw.models.coder import Coder
from ouroboros.sw.models.decoder_shape import DecoderShape
from ouroboros.sw.models.float_llama import FloatLlama
from ouroboros.sw.models.integer import (
    POSITIONS_MAX,
    Norm,
    QuantLayer,
    QuantModel,
    QuantModelError,
    Requant,
)

__all__ = ["Calibration", "Tokens", "calibrate", "quantise", "sample_calibration", "split_tokens",
           "text_calibration"]

Float64 = npt.NDArray[np.float64]
Tokens = npt.NDArray[np.integer[Any]]
Progress = Callable[[int, int], None]

CALIBRATION_TOKENS = 2048
"""Tokens of a calibration that is sampled from the model itself."""
PERCENTILE = 99.99
"""Of the absolute values that a scale covers."""
RESIDUAL_HEADROOM = 8
"""The residual format holds this many times the largest value of the calibration."""
_WIDEST_DOT = 133_144
"""Inputs above which an int32 partial sum of int8 products could wrap."""
_ROPE_CHUNK = 4096
"""Positions whose angles are held as floats at a time."""
_NORM_C_BITS = 32
"""Width of the constant that a norm adds to the sum of squares."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Calibration:
    """Static scales of every activation of a model."""

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
    residual_max: float
    """Largest absolute value of the residual stream (not a scale)."""
    tokens: int
    """Tokens seen."""


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
    length = min(checkpoint.shape.seq_len, 512)
    batch = max(1, math.ceil(tokens / length))
    return FloatLlama(checkpoint, batch=batch).sample(length, (seed, 0))


def text_calibration(tokenizer: Coder, text: str, seq_len: int,
                     tokens: int = CALIBRATION_TOKENS) -> Tokens:
    """The first tokens (n,) of a text; every sequence that they are cut into starts with BOS.

    There is none before them where the model has none. ``seq_len`` is at least 2.
    """
    if not text.strip():
        raise QuantModelError("calibration text must not be empty")
    # A token is at most as long as the longest piece: no more text than needed is encoded.
    longest = max(map(len, tokenizer.pieces))
    found = tokenizer.encode(text[:tokens * longest], bos=False)[:tokens]
    begin = [] if tokenizer.special.bos_id is None else [tokenizer.special.bos_id]
    run = seq_len - len(begin)
    return np.concatenate([np.array([*begin, *found[start:start + run]])
                           for start in range(0, len(found), run)])


def calibrate(checkpoint: Checkpoint, tokens: Tokens,
              progress: Progress | None = None) -> Calibration:
    """Run the float model over tokens and take the scale of every activation."""
    shape = checkpoint.shape
    seen: dict[tuple[int, str], list[npt.NDArray[np.float32]]] = defaultdict(list)
    residual_max = 0.0

    def observe(layer: int, name: str, value: npt.NDArray[np.floating[Any]]) -> None:
        nonlocal residual_max
        if name.startswith("x"):
            residual_max = max(residual_max, float(np.abs(value).max()))
            return
        # Heads apart for q, k and v, whose shape is (batch, n, heads, head_dim).
        groups = value.shape[2] if name in ("q", "k", "v") else 1
        grouped = np.moveaxis(value, 2, 0) if groups > 1 else value
        seen[layer, name].append(np.abs(grouped).reshape(groups, -1).astype(np.float32))

    model = FloatLlama(checkpoint, observer=observe)
    sequences = split_tokens(tokens, shape.seq_len)
    for n, sequence in enumerate(sequences):
        model.reset()
        model.forward(sequence[None, :])
        if progress is not None:
            progress(n + 1, len(sequences))

    def scales(layer: int, name: str) -> Float64:
        values = np.concatenate(seen.pop((layer, name)), axis=1)
        found = np.percentile(values.astype(np.float64), PERCENTILE, axis=1) / 127
        # An activation that is always zero needs a scale, any scale.
        return np.where(found > 0, found, 1.0)

    def stack(name: str) -> Float64:
        return np.stack([scales(layer, name) for layer in range(shape.n_layers)])

    return Calibration(
        h1=stack("h1")[:, 0], q=stack("q"), k=stack("k"), v=stack("v"), h2=stack("h2")[:, 0],
        u=stack("u")[:, 0], t=stack("t")[:, 0], f=stack("f")[:, 0], h=float(scales(-1, "h")[0]),
        residual_max=residual_max, tokens=sum(map(len, sequences)))


def quantise(checkpoint: Checkpoint, calibration_tokens: Tokens | None = None, *,
             residual_fraction_bits: int | None = None, seed: int = 0,
             progress: Progress | None = None) -> QuantModel:
    """The integer model of a checkpoint.

    Parameters
    ----------
    calibration_tokens : int array (n,) or (sequences, n), optional
        Text that sets the scales; sampled from the model itself when absent.
    residual_fraction_bits : int, optional
        Fraction bits of the residual stream; from the calibration when absent.
    seed : int
        Of the sampled calibration text.
    progress : callable (done, total), optional
        Called after every calibration sequence.

    Raises
    ------
    QuantModelError
        If a multiplier, shift or sum does not fit its width, or the residual would saturate; the
        message names the checkpoint and its tensor.
    """
    try:
        return _quantise(checkpoint, calibration_tokens, residual_fraction_bits, seed, progress)
    except QuantModelError as error:
        raise QuantModelError(f"{checkpoint.name}: {error}") from None


def _quantise(checkpoint: Checkpoint, calibration_tokens: Tokens | None, wanted: int | None,
              seed: int, progress: Progress | None) -> QuantModel:
    if calibration_tokens is None:
        calibration_tokens = sample_calibration(checkpoint, seed)
    scales = calibrate(checkpoint, calibration_tokens, progress)
    shape = replace(checkpoint.shape, seq_len=min(checkpoint.shape.seq_len, POSITIONS_MAX))
    for name in ("dim", "hidden_dim"):
        if getattr(shape, name) >= _WIDEST_DOT:
            raise QuantModelError(f"{name} must be below {_WIDEST_DOT}, or an int32 sum could "
                                  f"wrap, not {getattr(shape, name)}")
    bits = _residual_bits(checkpoint, scales, wanted)
    head, head_step = _rows(checkpoint.head.astype(np.float64) * checkpoint.final_norm)
    rq_head = _requant(checkpoint.label("head"), scales.h * head_step * 2**LOGIT_FRACTION_BITS)
    _check_logits(checkpoint.label("head"), head, rq_head)
    return QuantModel(
        shape=shape,
        residual_fraction_bits=bits,
        norm_c=round(shape.dim * shape.norm_eps * 4**bits),
        embedding=np.rint(checkpoint.embedding.astype(np.float64) * 2**bits).astype(np.int16),
        rope=_rope_table(shape),
        layers=tuple(_layer(checkpoint, n, scales, bits) for n in range(shape.n_layers)),
        norm_final=_norm(checkpoint.label("final_norm"), shape, scales.h),
        head=head,
        rq_head=rq_head,
        special=checkpoint.special,
    )


def _layer(checkpoint: Checkpoint, n: int, scales: Calibration, bits: int) -> QuantLayer:
    shape, layer = checkpoint.shape, checkpoint.layers[n]

    def label(*names: str) -> str:
        return " and ".join(checkpoint.label(f"layers.{n}.{name}") for name in names)

    def per_channel(steps: Float64) -> Float64:
        return np.repeat(steps, shape.head_dim)

    def matrix(name: str, weights: npt.NDArray[Any], inputs: float,
               outputs: float | Float64) -> tuple[npt.NDArray[np.int8], Requant]:
        rows, step = _rows(weights.astype(np.float64))
        return rows, _requant(label(name), inputs * step / outputs)

    residual = 2.0**-bits
    gain1, gain2 = layer.norm1.astype(np.float64), layer.norm2.astype(np.float64)
    wq, rq_q = matrix("wq", layer.wq * gain1, scales.h1[n], per_channel(scales.q[n]) / 2**QK_BITS)
    wk, rq_k = matrix("wk", layer.wk * gain1, scales.h1[n], per_channel(scales.k[n]) / 2**QK_BITS)
    wv, rq_v = matrix("wv", layer.wv * gain1, scales.h1[n], per_channel(scales.v[n]))
    v_of_head = np.repeat(scales.v[n], shape.heads_per_kv)
    wo, rq_o = matrix("wo", layer.wo * per_channel(v_of_head), 1.0, residual)
    w1, rq_1 = matrix("w1", layer.w1 * gain2, scales.h2[n], scales.u[n])
    w3, rq_3 = matrix("w3", layer.w3 * gain2, scales.h2[n], scales.t[n])
    w2, rq_2 = matrix("w2", layer.w2, scales.f[n], residual)
    k_of_head = np.repeat(scales.k[n], shape.heads_per_kv)
    softmax = _requant(f"scores of {label('wq', 'wk')}", scales.q[n] * k_of_head * math.log2(math.e)
                       / math.sqrt(shape.head_dim) * EXP_STEPS_PER_OCTAVE)
    silu, silu_step = _silu_table(scales.u[n])
    product = _requant(f"product of {label('w1', 'w3')}",
                       np.array([silu_step * scales.t[n] / scales.f[n]]))
    return QuantLayer(
        wq=wq, wk=wk, wv=wv, wo=wo, w1=w1, w2=w2, w3=w3, rq_q=rq_q, rq_k=rq_k, rq_v=rq_v,
        rq_o=rq_o, rq_1=rq_1, rq_3=rq_3, rq_2=rq_2,
        norm1=_norm(label("norm1"), shape, scales.h1[n]),
        norm2=_norm(label("norm2"), shape, scales.h2[n]),
        me=softmax.m, se=softmax.s, silu=silu, mf=int(product.m[0]), sf=product.s)


def _rows(weights: Float64) -> tuple[npt.NDArray[np.int8], Float64]:
    """Symmetric int8 rows and their steps; a row of zeros has step 0."""
    step = np.abs(weights).max(axis=1) / 127
    divisor = np.where(step > 0, step, 1.0)[:, None]
    return np.clip(np.rint(weights / divisor), -127, 127).astype(np.int8), step


def _requant(name: str, scale: Float64) -> Requant:
    """Multipliers and the common shift of real factors."""
    largest = float(scale.max())
    if largest == 0:
        return Requant(m=np.zeros(scale.shape, np.uint16), s=0)
    s = 15 - math.floor(math.log2(largest))
    if not 0 <= s <= SHIFT_MAX:
        raise QuantModelError(
            f"{name}: what a sum is multiplied by must be between {2.0**(15 - SHIFT_MAX):.3g} and "
            f"65535, the widths of multiplier and shift, not {largest:.3g}")
    return Requant(m=np.minimum(np.rint(scale * 2.0**s), 65535).astype(np.uint16), s=s)


def _norm(name: str, shape: DecoderShape, step: float) -> Norm:
    requant = _requant(name, np.array([math.sqrt(shape.dim) / step]))
    # The sum of squares adds (e + 6) / 2, with e even and at most bits - 8, rounded up.
    bits = (shape.dim << 30).bit_length()
    widest = requant.s + (max(0, bits - 7) // 2 * 2 + 6) // 2
    if widest > SHIFT_MAX:
        raise QuantModelError(f"{name}: its output is too small: the shift for the largest "
                              f"residual must be at most {SHIFT_MAX}, not {widest}")
    return Norm(mg=int(requant.m[0]), sg=requant.s)


def _rope_table(shape: DecoderShape) -> npt.NDArray[np.int16]:
    table = np.empty((shape.seq_len, shape.head_dim), np.int16)
    for start in range(0, shape.seq_len, _ROPE_CHUNK):
        positions = np.arange(start, min(start + _ROPE_CHUNK, shape.seq_len))
        angle = np.outer(positions, shape.rope_frequencies)
        pairs = np.stack([np.cos(angle), np.sin(angle)], axis=-1).reshape(len(positions), -1)
        table[positions] = np.rint(pairs * 2**ROPE_FRACTION_BITS)
    return table


def _silu_table(step: float) -> tuple[npt.NDArray[np.int16], float]:
    """Table indexed by the gate in two's complement, and its step: the largest value is 32767."""
    gate = np.arange(256).astype(np.uint8).astype(np.int8) * step
    value = gate * 0.5 * (1 + np.tanh(0.5 * gate))
    table_step = float(np.abs(value).max()) / 32767
    return np.rint(value / table_step).astype(np.int16), table_step


def _residual_bits(checkpoint: Checkpoint, scales: Calibration, wanted: int | None) -> int:
    widest = max(float(np.abs(checkpoint.embedding).max()), scales.residual_max)
    shape = checkpoint.shape
    # More would not fit eps as it is added to the sum of squares.
    most = math.floor((_NORM_C_BITS - math.log2(max(shape.dim * shape.norm_eps, 1e-9)) - 0.1) / 2)
    if wanted is None:
        room = 32767 / (widest * RESIDUAL_HEADROOM) if widest > 0 else 2.0**15
        wanted = min(most, math.floor(math.log2(room)))
        if wanted < 0:
            raise QuantModelError(
                f"residual stream must be at most {32767 / RESIDUAL_HEADROOM:.0f} in text of the "
                f"calibration, an int16 with room for {RESIDUAL_HEADROOM} times that, not "
                f"{widest:.3g}: weights are too large")
    if not 0 <= wanted <= most:
        raise QuantModelError(f"residual_fraction_bits must be between 0 and {most}, not {wanted}")
    if widest * 2**wanted > 32767:
        raise QuantModelError(f"residual_fraction_bits must leave room for a residual of "
                              f"{widest:.3g}, not {wanted}: it would saturate")
    return wanted


def _check_logits(name: str, head: npt.NDArray[np.int8], requant: Requant) -> None:
    worst = int(np.abs(head.astype(np.int64)).sum(axis=1).max()) * 127
    top = worst * int(requant.m.max()) >> requant.s
    if top >= 2**31 - 1:
        raise QuantModelError(f"{name}: logits must fit 32 bits with {LOGIT_FRACTION_BITS} of "
                              f"fraction, not reach {top}")
