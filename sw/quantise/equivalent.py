"""Checkpoints of the same function whose activations are easier to hold in few bits.

All of it is done once, on the weights; nothing is left of it in the integer model but its numbers.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ouroboros.sw.models.checkpoint import Checkpoint, FloatArray, Layer
from ouroboros.sw.quantise.calibrate import Pairs
from ouroboros.sw.quantise.rotation import rotation

__all__ = ["balanced", "rotated"]

_SEED = 0
"""Of the rotation's signs: one rotation for a dimension."""


def rotated(checkpoint: Checkpoint) -> Checkpoint:
    """Residual stream turned by a Hadamard matrix, the values of every head by another.

    The gains of the norms move into the matrices that follow them, without which a norm would not
    be the same of a turned vector.
    """
    shape = checkpoint.shape
    residual, head = rotation(shape.dim, _SEED), rotation(shape.head_dim, None)

    def reads(weights: FloatArray, gain: FloatArray) -> npt.NDArray[np.float64]:
        return residual.apply(weights.astype(np.float64) * gain)

    def values(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Outputs of every head turned."""
        heads = weights.reshape(shape.n_kv_heads, shape.head_dim, -1).swapaxes(1, 2)
        return head.apply(heads).swapaxes(1, 2).reshape(weights.shape)

    def context(weights: FloatArray) -> npt.NDArray[np.float64]:
        """Inputs of every head turned alike."""
        return head.apply(weights.reshape(shape.dim, shape.n_heads, shape.head_dim)).reshape(
            weights.shape)

    def turn(layer: Layer) -> Layer:
        return Layer(
            wq=_float32(reads(layer.wq, layer.norm1)), wk=_float32(reads(layer.wk, layer.norm1)),
            wv=_float32(values(reads(layer.wv, layer.norm1))),
            wo=_float32(residual.apply_left(context(layer.wo))),
            w1=_float32(reads(layer.w1, layer.norm2)), w3=_float32(reads(layer.w3, layer.norm2)),
            w2=_float32(residual.apply_left(layer.w2)),
            norm1=np.ones_like(layer.norm1), norm2=np.ones_like(layer.norm2))

    return replace(
        checkpoint, embedding=_float32(residual.apply(checkpoint.embedding)),
        layers=tuple(turn(layer) for layer in checkpoint.layers),
        final_norm=np.ones_like(checkpoint.final_norm), tied=False,
        head=_float32(reads(checkpoint.head, checkpoint.final_norm)))


def balanced(checkpoint: Checkpoint, pairs: Pairs) -> Checkpoint:
    """Queries and keys with rotary pairs that reach the same: their product is what it was."""
    shape = checkpoint.shape
    seen = (pairs.q > 0) & (pairs.k > 0)
    factors = np.where(seen, np.sqrt(np.where(seen, pairs.k, 1) / np.where(seen, pairs.q, 1)), 1.0)

    def rows(layer: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        keys = np.repeat(factors[layer], 2, axis=-1)            # (n_kv_heads, head_dim)
        queries = np.repeat(keys, shape.heads_per_kv, axis=0)
        return queries.reshape(-1, 1), keys.reshape(-1, 1)

    def scale(n: int, layer: Layer) -> Layer:
        queries, keys = rows(n)
        return replace(layer, wq=_float32(layer.wq * queries), wk=_float32(layer.wk / keys))

    return replace(checkpoint, layers=tuple(map(scale, range(shape.n_layers), checkpoint.layers)))


def _float32(values: npt.NDArray[np.float64]) -> FloatArray:
    return np.ascontiguousarray(values, np.float32)
