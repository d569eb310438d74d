"""The quantiser: from a float checkpoint and the scales of a calibration to the integers."""

import math
from collections.abc import Callable
from dataclasses import replace
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
from ouroboros.sw.models.decoder_shape import DecoderShape
from ouroboros.sw.models.integer import (
    POSITIONS_MAX,
    Norm,
    QuantLayer,
    QuantModel,
    QuantModelError,
    Requant,
    SigmoidGate,
    TableGate,
)
from ouroboros.sw.models.scheme import SIGMOID_FRACTION_BITS, Gate, SchemeError
from ouroboros.sw.quantise.calibrate import (
    Calibration,
    Float64,
    Progress,
    Tokens,
    calibrate,
    rotary_pairs,
    sample_calibration,
)
from ouroboros.sw.quantise.equivalent import balanced, rotated
from ouroboros.sw.quantise.recipe import RECIPES, Recipe

__all__ = ["check_supported", "quantise", "requant_of", "rope_table"]

GATE_HEADROOM = 2
"""int16 gate and up hold this many times their largest value of the calibration."""
_FRACTION_BITS_MAX = 15
"""Of gate and up: more would leave no room for 1."""
_WIDEST_DOT = 133_144
"""Inputs above which an int32 partial sum of int8 products could wrap."""
_ROPE_CHUNK = 4096
"""Positions whose angles are held as floats at a time."""
_EMBEDDING_MAX = 32767
"""Largest value of an embedding row."""
_NORM_C_BITS = 32
"""Width of the constant that a norm adds to the sum of squares."""


def quantise(checkpoint: Checkpoint, calibration_tokens: Tokens | None = None, *,
             recipe: Recipe = RECIPES["R"], residual_fraction_bits: int | None = None,
             positions: int | None = None, seed: int = 0,
             progress: Progress | None = None) -> QuantModel:
    """The integer model of a checkpoint.

    Parameters
    ----------
    calibration_tokens : int array (n,) or (sequences, n), optional
        Text that sets the scales; sampled from the model itself when absent.
    recipe : Recipe
        Scheme, and how the float model is prepared for it.
    residual_fraction_bits : int, optional
        Fraction bits of the residual stream; from the calibration when absent.
    positions : int, optional
        Longest sequence that the integer model takes; that of the checkpoint when absent. The
        scheme's exponentials are the wider the fewer there are.
    seed : int
        Of the sampled calibration text.
    progress : callable (done, total), optional
        Called after every calibration sequence.

    Raises
    ------
    QuantModelError
        If a multiplier, shift or sum does not fit its width, or an activation of the calibration
        would saturate that must not; the message names the checkpoint, its tensor and the value.
    """
    check_supported(checkpoint)
    try:
        if calibration_tokens is None:
            calibration_tokens = sample_calibration(checkpoint, seed)
        prepared = checkpoint
        if recipe.rotated:
            prepared = rotated(checkpoint)
            prepared = balanced(prepared, rotary_pairs(prepared, calibration_tokens, progress))
        scales = calibrate(prepared, calibration_tokens, progress)
        return _integers(prepared, scales, recipe, residual_fraction_bits, positions)
    except (QuantModelError, SchemeError) as error:
        raise QuantModelError(f"{checkpoint.name}: {error}") from None


def check_supported(checkpoint: Checkpoint) -> None:
    """Refuse by name what a float model may have and the integer model does not."""
    name = checkpoint.name
    if checkpoint.biased:
        raise QuantModelError(f"{name}: attention must have no bias (q, k or v), as the integer "
                              "model adds none")
    shape = checkpoint.shape
    if shape.q_width != shape.dim:
        raise QuantModelError(
            f"{name}: {checkpoint.label('head_dim')} must be {checkpoint.label('dim')} / "
            f"{checkpoint.label('n_heads')} = {shape.dim / shape.n_heads:g} for the integer model, "
            f"not {shape.head_dim}")


def _integers(checkpoint: Checkpoint, scales: Calibration, recipe: Recipe, wanted: int | None,
              positions: int | None) -> QuantModel:
    longest = checkpoint.shape.seq_len
    if positions is not None and not 1 <= positions <= longest:
        raise QuantModelError(f"positions must be between 1 and {checkpoint.label('seq_len')} = "
                              f"{longest}, not {positions}")
    shape = replace(checkpoint.shape, seq_len=min(positions or longest, POSITIONS_MAX))
    for name in ("dim", "hidden_dim"):
        if getattr(shape, name) >= _WIDEST_DOT:
            raise QuantModelError(f"{name} must be below {_WIDEST_DOT}, or an int32 sum could "
                                  f"wrap, not {getattr(shape, name)}")
    recipe = replace(recipe, scheme=recipe.scheme.fitted(
        positions=shape.seq_len, hidden_dim=shape.hidden_dim))
    bits = _residual_bits(checkpoint, scales, recipe, wanted)
    head, head_step = _rows(checkpoint.head.astype(np.float64) * checkpoint.final_norm)
    rq_head = requant_of(checkpoint.label("head"), scales.h * head_step * 2**LOGIT_FRACTION_BITS)
    _check_logits(checkpoint.label("head"), head, rq_head)
    return QuantModel(
        shape=shape,
        scheme=recipe.scheme,
        residual_fraction_bits=bits,
        norm_c=round(shape.dim * shape.norm_eps * 4**bits),
        embedding=np.rint(checkpoint.embedding.astype(np.float64) * 2**bits).astype(np.int16),
        rope=rope_table(shape),
        layers=tuple(_layer(checkpoint, n, scales, recipe, bits) for n in range(shape.n_layers)),
        norm_final=_norm(checkpoint.label("final_norm"), shape, recipe, scales.h),
        head=head,
        rq_head=rq_head,
        special=checkpoint.special,
    )


def _layer(checkpoint: Checkpoint, n: int, scales: Calibration, recipe: Recipe,
           bits: int) -> QuantLayer:
    shape, layer = checkpoint.shape, checkpoint.layers[n]

    def label(*names: str) -> str:
        return " and ".join(checkpoint.label(f"layers.{n}.{name}") for name in names)

    def per_channel(steps: Float64) -> Float64:
        return np.repeat(steps, shape.head_dim)

    def matrix(name: str, weights: npt.NDArray[Any], inputs: float, outputs: float | Float64,
               least_shift: int = 0) -> tuple[npt.NDArray[np.int8], Requant]:
        rows, step = _rows(weights.astype(np.float64))
        return rows, requant_of(label(name), inputs * step / outputs, least_shift)

    residual = 2.0**-bits
    gain1, gain2 = layer.norm1.astype(np.float64), layer.norm2.astype(np.float64)
    v_step = _value_steps(scales, n) if recipe.scales_per_value else per_channel(scales.v[n])
    wq, rq_q = matrix("wq", layer.wq * gain1, scales.h1[n], per_channel(scales.q[n]) / 2**QK_BITS)
    wk, rq_k = matrix("wk", layer.wk * gain1, scales.h1[n], per_channel(scales.k[n]) / 2**QK_BITS)
    wv, rq_v = matrix("wv", layer.wv * gain1, scales.h1[n], v_step)
    v_of_head = np.repeat(v_step.reshape(shape.n_kv_heads, -1), shape.heads_per_kv, axis=0)
    wo, rq_o = matrix("wo", layer.wo * v_of_head.reshape(-1), 1.0, residual)
    gate, u_step, t_step, f_step = _GATES[recipe.scheme.gate](label("w1"), label("w3"), scales, n)
    w1, rq_1 = matrix("w1", layer.w1 * gain2, scales.h2[n], u_step)
    w3, rq_3 = matrix("w3", layer.w3 * gain2, scales.h2[n], t_step)
    w2, rq_2 = matrix("w2", layer.w2, f_step, residual, recipe.scheme.exponent_max)
    k_of_head = np.repeat(scales.k[n], shape.heads_per_kv)
    softmax = requant_of(
        f"scores of {label('wq', 'wk')}", scales.q[n] * k_of_head * math.log2(math.e)
        / math.sqrt(shape.head_dim) * EXP_STEPS_PER_OCTAVE)
    return QuantLayer(
        wq=wq, wk=wk, wv=wv, wo=wo, w1=w1, w2=w2, w3=w3, rq_q=rq_q, rq_k=rq_k, rq_v=rq_v,
        rq_o=rq_o, rq_1=rq_1, rq_3=rq_3, rq_2=rq_2,
        norm1=_norm(label("norm1"), shape, recipe, scales.h1[n]),
        norm2=_norm(label("norm2"), shape, recipe, scales.h2[n]),
        me=softmax.m, se=softmax.s, gate=gate)


def _value_steps(scales: Calibration, n: int) -> Float64:
    steps = scales.v_max[n] / 127
    return np.where(steps > 0, steps, 1.0)


def _table_gate(w1: str, w3: str, scales: Calibration,
                n: int) -> tuple[TableGate, float, float, float]:
    """Constants of a gate, and the steps of gate, up and their product."""
    silu, silu_step = _silu_table(scales.u[n])
    product = requant_of(f"product of {w1} and {w3}",
                       np.array([silu_step * scales.t[n] / scales.f[n]]))
    gate = TableGate(silu=silu, mf=int(product.m[0]), sf=product.s)
    return gate, scales.u[n], scales.t[n], scales.f[n]


def _sigmoid_gate(w1: str, w3: str, scales: Calibration,
                  n: int) -> tuple[SigmoidGate, float, float, float]:
    """As ``_table_gate``; the step of the product is that of exponent 0."""
    fu = _fraction_bits(w1, scales.u_max[n], SIGMOID_FRACTION_BITS)
    ft = _fraction_bits(w3, scales.t_max[n], 0)
    return SigmoidGate(fu=fu), 2.0**-fu, 2.0**-ft, 2.0**-(fu + ft)


_GATES: dict[Gate, Callable[..., tuple[TableGate | SigmoidGate, float, float, float]]] = {
    Gate.TABLE: _table_gate, Gate.SIGMOID: _sigmoid_gate}


def _fraction_bits(name: str, largest: float, least: int) -> int:
    """Of an int16 with head-room above the largest value of the calibration."""
    room = 32767 / GATE_HEADROOM
    bits = _FRACTION_BITS_MAX if largest == 0 else math.floor(math.log2(room / largest))
    if bits < least:
        raise QuantModelError(
            f"{name}: its output must be at most {room / 2**least:.0f} in text of the calibration, "
            f"an int16 with room for {GATE_HEADROOM} times that, not {largest:.3g}")
    return min(bits, _FRACTION_BITS_MAX)


def _rows(weights: Float64) -> tuple[npt.NDArray[np.int8], Float64]:
    """Symmetric int8 rows and their steps; a row of zeros has step 0."""
    step = np.abs(weights).max(axis=1) / 127
    divisor = np.where(step > 0, step, 1.0)[:, None]
    return np.clip(np.rint(weights / divisor), -127, 127).astype(np.int8), step


def requant_of(name: str, scale: Float64, least_shift: int = 0) -> Requant:
    """Multipliers and the common shift of real factors (channels,).

    Raises
    ------
    QuantModelError
        Names the tensor, if they do not fit.
    """
    largest = float(scale.max())
    if largest == 0:
        return Requant(m=np.zeros(scale.shape, np.uint16), s=least_shift)
    s = 15 - math.floor(math.log2(largest))
    if not least_shift <= s <= SHIFT_MAX:
        raise QuantModelError(
            f"{name}: what a sum is multiplied by must be between {2.0**(15 - SHIFT_MAX):.3g} and "
            f"{65535 / 2**least_shift:.5g}, the widths of multiplier and shift, not {largest:.3g}")
    return Requant(m=np.minimum(np.rint(scale * 2.0**s), 65535).astype(np.uint16), s=s)


def _norm(name: str, shape: DecoderShape, recipe: Recipe, step: float) -> Norm:
    requant = requant_of(name, np.array([math.sqrt(shape.dim) / step]))
    # The sum of squares adds (e + 6) / 2, with e even and at most bits - 8, rounded up.
    bits = (shape.dim << 2 * (recipe.scheme.residual_bits - 1)).bit_length()
    widest = requant.s + (max(0, bits - 7) // 2 * 2 + 6) // 2
    if widest > SHIFT_MAX:
        raise QuantModelError(f"{name}: its output is too small: the shift for the largest "
                              f"residual must be at most {SHIFT_MAX}, not {widest}")
    return Norm(mg=int(requant.m[0]), sg=requant.s)


def rope_table(shape: DecoderShape) -> npt.NDArray[np.int16]:
    """Cosines and sines of every position, in Q1.14: (seq_len, head_dim)."""
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


def _residual_bits(checkpoint: Checkpoint, scales: Calibration, recipe: Recipe,
                   wanted: int | None) -> int:
    embedding = float(np.abs(checkpoint.embedding).max())
    widest = max(embedding, float(scales.residual_max.max()))
    shape, room = checkpoint.shape, recipe.residual_headroom
    largest = recipe.scheme.residual_limits[1]
    # More would not fit eps as it is added to the sum of squares.
    most = math.floor((_NORM_C_BITS - math.log2(max(shape.dim * shape.norm_eps, 1e-9)) - 0.1) / 2)
    if wanted is None:
        wanted = most
        # Rows of the embedding are int16 whatever the residual is.
        for value, top in ((widest * room, largest), (embedding, _EMBEDDING_MAX)):
            if value > 0:
                wanted = min(wanted, math.floor(math.log2(top / value)))
        if wanted < 0:
            raise QuantModelError(
                f"residual stream must be at most {largest / room:.0f} in text of the "
                f"calibration, an int{recipe.scheme.residual_bits} with room for {room} times "
                f"that, not {widest:.3g} after {_residual_place(checkpoint, scales)}: weights are "
                "too large")
    if not 0 <= wanted <= most:
        raise QuantModelError(f"residual_fraction_bits must be between 0 and {most}, not {wanted}")
    if widest * 2**wanted > largest or embedding * 2**wanted > _EMBEDDING_MAX:
        raise QuantModelError(
            f"residual_fraction_bits must leave room for a residual of {widest:.3g} after "
            f"{_residual_place(checkpoint, scales)} and an embedding of {embedding:.3g}, not "
            f"{wanted}: it would saturate")
    return wanted


def _residual_place(checkpoint: Checkpoint, scales: Calibration) -> str:
    """Tensor after which the residual is largest in the calibration."""
    place = int(scales.residual_max.argmax())
    return checkpoint.label("embedding" if place == 0 else f"layers.{place - 1}.w2")


def _check_logits(name: str, head: npt.NDArray[np.int8], requant: Requant) -> None:
    worst = int(np.abs(head.astype(np.int64)).sum(axis=1).max()) * 127
    top = worst * int(requant.m.max()) >> requant.s
    if top >= 2**31 - 1:
        raise QuantModelError(f"{name}: logits must fit 32 bits with {LOGIT_FRACTION_BITS} of "
                              f"fraction, not reach {top}")
