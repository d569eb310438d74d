"""A float LLaMA-type checkpoint in memory: its weights, its refusals."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields

import numpy as np
import numpy.typing as npt

from ouroboros.sw.models.decoder_shape import CheckpointError, DecoderShape
from ouroboros.sw.models.special import LLAMA2C, SpecialTokens

__all__ = ["Checkpoint", "CheckpointError", "FloatArray", "Layer"]

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Layer:
    """Weights of one transformer block; matrices are (outputs, inputs)."""

    norm1: FloatArray
    """Gain of the norm before attention, (dim,)."""
    wq: FloatArray
    """Query projection, (q_width, dim); rows of a head are interleaved RoPE pairs."""
    wk: FloatArray
    """Key projection, (kv_width, dim); rows of a head are interleaved RoPE pairs."""
    wv: FloatArray
    """Value projection, (kv_width, dim)."""
    wo: FloatArray
    """Output projection, (dim, q_width)."""
    norm2: FloatArray
    """Gain of the norm before the feed-forward layer, (dim,)."""
    w1: FloatArray
    """Gate projection, (hidden_dim, dim)."""
    w2: FloatArray
    """Down projection, (dim, hidden_dim)."""
    w3: FloatArray
    """Up projection, (hidden_dim, dim)."""
    bq: FloatArray | None = None
    """Added to queries before RoPE, (q_width,); None: nothing is."""
    bk: FloatArray | None = None
    """Added to keys before RoPE, (kv_width,); None: nothing is."""
    bv: FloatArray | None = None
    """Added to values, (kv_width,); None: nothing is."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Checkpoint:
    """A float32 LLaMA-type decoder.

    Raises
    ------
    CheckpointError
        If a tensor has the wrong shape, or holds NaN or infinity; the message names it.
    """

    shape: DecoderShape
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
            [self.shape.record(), asdict(self.special), self.tied], sort_keys=True).encode())
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
            found += [(f"layers.{n}.{name}", bias, expected)
                      for name, expected in shape.bias_shapes().items()
                      if (bias := getattr(layer, name)) is not None]
        return found

    @property
    def biased(self) -> bool:
        """Whether a layer adds something to its queries, keys or values."""
        return any(getattr(layer, name) is not None for layer in self.layers
                   for name in self.shape.bias_shapes())

    @property
    def parameter_count(self) -> int:
        """Weights, a tied head counted once."""
        count: int = self.embedding.size + self.final_norm.size
        count += sum(array.size for layer in self.layers for f in fields(layer)
                     if (array := getattr(layer, f.name)) is not None)
        return count + (0 if self.tied else self.head.size)
