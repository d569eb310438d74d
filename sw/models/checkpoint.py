"""A float LLaMA-type checkpoint in memory: its shape, its weights, its refusals."""

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields

import numpy as np
import numpy.typing as npt

from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.models import rope
from ouroboros.sw.models.special import LLAMA2C, SpecialTokens

__all__ = ["Checkpoint", "CheckpointError", "FloatArray", "Layer", "Shape",
           "positive"]

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
    rope_scaling: rope.Scaling | None = None
    """How the angles of the rotary position embedding were stretched, if they were."""

    def __post_init__(self) -> None:
        for name in ("dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size",
                     "seq_len"):
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value < 2**31:
                raise CheckpointError(f"{name} must be between 1 and {2**31 - 1}, not {value!r}")
        for name in ("norm_eps", "rope_theta"):
            value = getattr(self, name)
            if not positive(value):
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

    @property
    def rope_frequencies(self) -> npt.NDArray[np.float64]:
        """Angle per position of every pair of a head, (head_dim / 2,)."""
        return rope.frequencies(self.rope_theta, self.head_dim, self.rope_scaling)

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


def positive(value: object) -> bool:
    """Whether a value is a positive number that a float can hold."""
    return isinstance(value, int | float) and type(value) is not bool and (
        0 < value <= sys.float_info.max)


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
    special: SpecialTokens = LLAMA2C
    """Tokens that begin and end a text."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """What its file calls dimensions and tensors, where it has names of its own."""
    name: str = field(default="checkpoint")
    """Where it came from; begins every error message."""

    def __post_init__(self) -> None:
        shape = self.shape
        if len(self.layers) != shape.n_layers:
            raise CheckpointError(
                f"{self.name}: layers must be {shape.n_layers}, not {len(self.layers)}")
        for what, tokens in (("bos_id", (self.special.bos_id,)),
                             ("stop_ids", self.special.stop_ids)):
            for token in tokens:
                if token is not None and not 0 <= token < shape.vocab_size:
                    raise CheckpointError(
                        f"{self.name}: {what} must be below vocab_size = {shape.vocab_size}, "
                        f"not {token}")
        for name, tensor, expected in self._tensors():
            label = self.label(name)
            if tensor.dtype != np.float32:
                raise CheckpointError(
                    f"{self.name}: tensor {label} must be float32, not {tensor.dtype}")
            if tensor.shape != expected:
                raise CheckpointError(
                    f"{self.name}: tensor {label} must have shape {expected}, not {tensor.shape}")
            if not np.isfinite(tensor).all():
                raise CheckpointError(f"{self.name}: tensor {label} holds NaN or infinity")

    def label(self, name: str) -> str:
        """What the file calls a dimension or a tensor (``dim``, ``layers.0.wq``)."""
        return self.labels.get(name, name)

    @property
    def digest(self) -> str:
        """Hash of all that was read: whatever files it came from, equal ones have equal digests."""
        total = hashlib.sha256(json.dumps(
            [asdict(self.shape), asdict(self.special), self.tied], sort_keys=True).encode())
        for name, tensor, _ in self._tensors():
            total.update(f"{name}\n".encode())
            total.update(np.ascontiguousarray(tensor).data)
        return total.hexdigest()

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
