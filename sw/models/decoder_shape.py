"""Dimensions of a LLaMA-type decoder that can run: what its weights and its arithmetic need."""

import sys
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.models import rope
from ouroboros.sw.models.shape import ModelShape

__all__ = ["CheckpointError", "DecoderShape", "positive"]


class CheckpointError(OuroborosError):
    """A checkpoint or tokenizer file that cannot be used; names the file and the key or tensor."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DecoderShape(ModelShape):
    """Dimensions of a decoder with gated feed-forward layers and RoPE.

    Raises
    ------
    CheckpointError
        If a dimension is impossible.
    """

    name: str = field(default="checkpoint", compare=False)
    """Of no meaning here: a checkpoint is told by its content."""
    source: str = field(default="checkpoint", compare=False)
    """Of no meaning here."""
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
        try:
            ModelShape.__post_init__(self)
        except ValueError as error:
            raise CheckpointError(str(error)) from None
        if (self.kind, self.gated, self.positions, self.head) != ("decoder", True, "rope", True):
            raise CheckpointError("kind, gated, positions and head must be those of a LLaMA-type "
                                  f"decoder, not {self.kind}, {self.gated}, {self.positions} and "
                                  f"{self.head}")
        if self.head_dim % 2:
            raise CheckpointError(f"head_dim must be even for RoPE, not {self.head_dim!r}")

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
            "wq":    (self.q_width, self.dim),
            "wk":    (self.kv_width, self.dim),
            "wv":    (self.kv_width, self.dim),
            "wo":    (self.dim, self.q_width),
            "norm2": (self.dim,),
            "w1":    (self.hidden_dim, self.dim),
            "w2":    (self.dim, self.hidden_dim),
            "w3":    (self.hidden_dim, self.dim),
        }

    def bias_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the arrays that only some models' layers have, by name."""
        return {"bq": (self.q_width,), "bk": (self.kv_width,), "bv": (self.kv_width,)}

    def record(self) -> dict[str, Any]:
        """What tells one shape from another, for JSON; ``from_record`` takes it back."""
        found = asdict(self)
        del found["name"], found["source"]
        return found

    @staticmethod
    def from_record(found: dict[str, Any]) -> "DecoderShape":
        """The shape of a record."""
        scaling = found["rope_scaling"]
        if scaling is not None:
            scaling = rope.scaling_of(scaling)
        return DecoderShape(**found | {"rope_scaling": scaling})


def positive(value: object) -> bool:
    """Whether a value is a positive number that a float can hold."""
    return isinstance(value, int | float) and type(value) is not bool and (
        0 < value <= sys.float_info.max)
