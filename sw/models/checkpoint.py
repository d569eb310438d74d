"""A float LLaMA-type checkpoint in memory: its shape, its weights, its refusals."""

import math
from dataclasses import dataclass, field, fields

import numpy as np
import numpy.typing as npt

from ouroboros.sw.lib.errors import OuroborosError

__all__ = ["Checkpoint", "CheckpointError", "FloatArray", "Layer", "Shape"]

FloatArray = npt.NDArray[np.float32]


class CheckpointError(OuroborosError):
    """A checkpoint or tokenizer file that cannot be used; names the file and the key or tensor."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """Dimensions of a LLaMA-type decoder.

    Raises
    ------
    CheckpointError
        If a dimension is impossible.
    """

    dim: int
    """Width of the residual stream; a multiple of ``n_heads``."""
    hidden_dim: int
    """Width of the feed-forward layer; at least 1."""
    n_layers: int
    """Transformer blocks; at least 1."""
    n_heads: int
    """Query heads; at least 1."""
    n_kv_heads: int
    """Key/value heads; divides ``n_heads``."""
    vocab_size: int
    """Tokens in the vocabulary; at least 1."""
    seq_len: int
    """Longest sequence, in tokens; at least 1."""
    norm_eps: float = 1e-5
    """Added to the mean square in RMSNorm; positive."""
    rope_theta: float = 10000.0
    """Base of the rotary position embedding; positive."""

    def __post_init__(self) -> None:
        for name in ("dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size",
                     "seq_len"):
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value < 2**31:
                raise CheckpointError(f"{name} must be between 1 and {2**31 - 1}, not {value!r}")
        for name in ("norm_eps", "rope_theta"):
            value = getattr(self, name)
            if type(value) not in (int, float) or not math.isfinite(value) or value <= 0:
                raise CheckpointError(f"{name} must be a positive number, not {value!r}")
        if self.dim % self.n_heads:
            raise CheckpointError(
                f"dim must be a multiple of n_heads = {self.n_heads}, not {self.dim!r}")
        if self.n_heads % self.n_kv_heads:
            raise CheckpointError(
                f"n_kv_heads must divide n_heads = {self.n_heads}, not {self.n_kv_heads!r}")
        if self.head_dim % 2:
            raise CheckpointError(
                f"head_dim = dim / n_heads must be even for RoPE, not {self.head_dim!r}")

    @property
    def head_dim(self) -> int:
        """Elements of one head."""
        return self.dim // self.n_heads

    @property
    def kv_dim(self) -> int:
        """Elements of the keys (or values) of one token in one layer."""
        return self.head_dim * self.n_kv_heads

    @property
    def heads_per_kv(self) -> int:
        """Query heads that share one key/value head."""
        return self.n_heads // self.n_kv_heads

    def layer_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the arrays of one layer, by name."""
        return {
            "norm1": (self.dim,),
            "wq":    (self.dim, self.dim),
            "wk":    (self.kv_dim, self.dim),
            "wv":    (self.kv_dim, self.dim),
            "wo":    (self.dim, self.dim),
            "norm2": (self.dim,),
            "w1":    (self.hidden_dim, self.dim),
            "w2":    (self.dim, self.hidden_dim),
            "w3":    (self.hidden_dim, self.dim),
        }


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Layer:
    """Weights of one transformer block; matrices are (outputs, inputs)."""

    norm1: FloatArray
    """Gain of the norm before attention, (dim,)."""
    wq: FloatArray
    """Query projection, (dim, dim); rows of a head are interleaved RoPE pairs."""
    wk: FloatArray
    """Key projection, (kv_dim, dim); rows of a head are interleaved RoPE pairs."""
    wv: FloatArray
    """Value projection, (kv_dim, dim)."""
    wo: FloatArray
    """Output projection, (dim, dim)."""
    norm2: FloatArray
    """Gain of the norm before the feed-forward layer, (dim,)."""
    w1: FloatArray
    """Gate projection, (hidden_dim, dim)."""
    w2: FloatArray
    """Down projection, (dim, hidden_dim)."""
    w3: FloatArray
    """Up projection, (hidden_dim, dim)."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Checkpoint:
    """A float32 LLaMA-type decoder.

    Raises
    ------
    CheckpointError
        If a tensor has the wrong shape, or holds NaN or infinity; the message names it.
    """

    shape: Shape
    """Its dimensions."""
    embedding: FloatArray
    """Token embedding, (vocab_size, dim)."""
    layers: tuple[Layer, ...]
    """Blocks, first to last."""
    final_norm: FloatArray
    """Gain of the last norm, (dim,)."""
    head: FloatArray
    """Classifier, (vocab_size, dim); the same array as ``embedding`` when tied."""
    tied: bool
    """Whether the head is the embedding."""
    bos_id: int = 1
    """Token that starts a sequence."""
    name: str = field(default="checkpoint")
    """Where it came from; begins every error message."""

    def __post_init__(self) -> None:
        shape = self.shape
        if len(self.layers) != shape.n_layers:
            raise CheckpointError(
                f"{self.name}: layers must be {shape.n_layers}, not {len(self.layers)}")
        if not 0 <= self.bos_id < shape.vocab_size:
            raise CheckpointError(
                f"{self.name}: bos_id must be below vocab_size = {shape.vocab_size}, "
                f"not {self.bos_id}")
        for label, tensor, expected in self._tensors():
            if tensor.dtype != np.float32:
                raise CheckpointError(
                    f"{self.name}: tensor {label} must be float32, not {tensor.dtype}")
            if tensor.shape != expected:
                raise CheckpointError(
                    f"{self.name}: tensor {label} must have shape {expected}, not {tensor.shape}")
            if not np.isfinite(tensor).all():
                raise CheckpointError(f"{self.name}: tensor {label} holds NaN or infinity")

    def _tensors(self) -> list[tuple[str, FloatArray, tuple[int, ...]]]:
        shape = self.shape
        table = (shape.vocab_size, shape.dim)
        found = [("embedding", self.embedding, table), ("final_norm", self.final_norm,
                 (shape.dim,)), ("head", self.head, table)]
        for n, layer in enumerate(self.layers):
            found += [(f"layers.{n}.{name}", getattr(layer, name), expected)
                      for name, expected in shape.layer_shapes().items()]
        return found

    @property
    def parameter_count(self) -> int:
        """Weights, a tied head counted once."""
        count: int = self.embedding.size + self.final_norm.size
        count += sum(getattr(layer, f.name).size for layer in self.layers for f in fields(layer))
        return count + (0 if self.tied else self.head.size)
