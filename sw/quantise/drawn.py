"""An integer model of any shape with drawn weights: what a machine is tried with at full size.

Its numbers mean nothing, but they are of the magnitudes that a real model's have: activations
spread over their widths, few saturate, and every token's logits differ.
"""

import math

import numpy as np
import numpy.typing as npt

from ouroboros.sw.golden.numerics import EXP_STEPS_PER_OCTAVE, LOGIT_FRACTION_BITS, QK_BITS
from ouroboros.sw.models.decoder_shape import DecoderShape
from ouroboros.sw.models.integer import Norm, QuantLayer, QuantModel, Requant, SigmoidGate
from ouroboros.sw.models.scheme import R2, Scheme
from ouroboros.sw.models.shape import ModelShape
from ouroboros.sw.models.special import SpecialTokens
from ouroboros.sw.quantise.quantise import requant_of, rope_table

__all__ = ["drawn_model", "drawn_shape"]

Int8 = npt.NDArray[np.int8]
POSITIONS = 4096
"""Of the longest sequence."""
WEIGHT_MAX = 127
WEIGHT_RMS = WEIGHT_MAX / math.sqrt(3)
"""Of integers that are all as likely."""
INT8_RMS = 32.0
"""Of int8 activations: a quarter of what they hold."""
RESIDUAL_BITS, RESIDUAL_RMS = 8, 6000.0
"""Fraction bits, and what an embedding and each addition to the residual come to: their sums pass
int16."""
GATE_BITS, GATE_RMS = 12, 6000.0
"""Fraction bits of the gate; what gate and up come to."""
SCORE_OCTAVES = 1.5
"""What scores come to, as powers of two."""
LOGIT_RMS = 2.0


def drawn_shape(shape: ModelShape, *, blocks: int, vocab_size: int) -> DecoderShape:
    """So many blocks of a shape, with a vocabulary that costs little.

    Raises
    ------
    CheckpointError
        If it is no LLaMA-type decoder's.
    """
    return DecoderShape(
        name=shape.name, source=shape.source, dim=shape.dim, hidden_dim=shape.hidden_dim,
        n_layers=blocks, n_heads=shape.n_heads, n_kv_heads=shape.n_kv_heads,
        head_dim=shape.head_dim, vocab_size=vocab_size, kind=shape.kind, gated=shape.gated,
        positions=shape.positions, head=shape.head, seq_len=POSITIONS)


def drawn_model(shape: DecoderShape, seed: int = 0, scheme: Scheme = R2) -> QuantModel:
    """A model whose gate is a sigmoid; equal shapes, seeds and schemes make equal ones.

    Its scheme is the one given, narrowed for its hidden channels.

    Raises
    ------
    SchemeError
        If an int32 sum over its hidden channels could wrap.
    """
    rng = np.random.default_rng(seed)
    scheme = scheme.fitted(positions=shape.seq_len, hidden_dim=shape.hidden_dim)
    embedding = rng.normal(0, RESIDUAL_RMS, (shape.vocab_size, shape.dim))
    norm = requant_of("norm", np.array([math.sqrt(shape.dim) * INT8_RMS]))
    one = Norm(mg=int(norm.m[0]), sg=norm.s)
    layers = tuple(_layer(shape, rng, one, scheme.exponent_max)
                   for _ in range(shape.n_layers))
    head, rq_head = _matrix(rng, (shape.vocab_size, shape.dim), INT8_RMS,
                            LOGIT_RMS * 2**LOGIT_FRACTION_BITS)
    return QuantModel(
        shape=shape, scheme=scheme, residual_fraction_bits=RESIDUAL_BITS,
        norm_c=round(shape.dim * shape.norm_eps * 4**RESIDUAL_BITS),
        embedding=np.clip(embedding, -32767, 32767).astype(np.int16), rope=rope_table(shape),
        layers=layers, norm_final=one, head=head, rq_head=rq_head,
        special=SpecialTokens(bos_id=None, stop_ids=()))


def _layer(shape: DecoderShape, rng: np.random.Generator, norm: Norm,
           least_shift: int) -> QuantLayer:
    def matrix(name: str, inputs: float, outputs: float, least: int = 0) -> tuple[Int8, Requant]:
        return _matrix(rng, shape.layer_shapes()[name], inputs, outputs, least)

    wq, rq_q = matrix("wq", INT8_RMS, INT8_RMS * 2**QK_BITS)
    wk, rq_k = matrix("wk", INT8_RMS, INT8_RMS * 2**QK_BITS)
    wv, rq_v = matrix("wv", INT8_RMS, INT8_RMS)
    wo, rq_o = matrix("wo", INT8_RMS, RESIDUAL_RMS)
    w1, rq_1 = matrix("w1", INT8_RMS, GATE_RMS)
    w3, rq_3 = matrix("w3", INT8_RMS, GATE_RMS)
    # Half of all gates let nothing through.
    w2, rq_2 = matrix("w2", GATE_RMS**2 / 2, RESIDUAL_RMS, least_shift)
    score = INT8_RMS**2 * math.sqrt(shape.head_dim)
    softmax = requant_of("scores", np.full(
        shape.n_heads, SCORE_OCTAVES * EXP_STEPS_PER_OCTAVE / score))
    return QuantLayer(
        wq=wq, wk=wk, wv=wv, wo=wo, w1=w1, w2=w2, w3=w3, rq_q=rq_q, rq_k=rq_k, rq_v=rq_v,
        rq_o=rq_o, rq_1=rq_1, rq_3=rq_3, rq_2=rq_2, norm1=norm, norm2=norm, me=softmax.m,
        se=softmax.s, gate=SigmoidGate(fu=GATE_BITS))


def _matrix(rng: np.random.Generator, size: tuple[int, ...], input_rms: float,
            output_rms: float, least_shift: int = 0) -> tuple[Int8, Requant]:
    """Weights (outputs, inputs), and multipliers that differ by channel."""
    outputs, inputs = size
    weights = rng.integers(-WEIGHT_MAX, WEIGHT_MAX + 1, size, np.int8)
    scale = output_rms / (input_rms * WEIGHT_RMS * math.sqrt(inputs))
    spread = rng.uniform(0.75, 1.25, outputs)
    return weights, requant_of("drawn weights", scale * spread, least_shift)
