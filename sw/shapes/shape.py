"""Dimensions of a language model, without its weights."""

from dataclasses import dataclass
from pathlib import Path

from hw.params.check import at_least
from hw.params.load import ConfigError, load
from sw.perf.errors import PerfError

__all__ = ["SHAPES", "ModelShape", "load_shape"]

SHAPES = Path(__file__).resolve().parent


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelShape:
    """Dimensions of a LLaMA-type decoder.

    Raises
    ------
    ValueError
        If a dimension is impossible.
    """

    name: str
    """Short name, as used on the command line."""
    source: str
    """Where the dimensions come from."""
    dim: int
    """Width of the residual stream; a multiple of ``n_heads``."""
    hidden_dim: int
    """Width of the feed-forward layer."""
    n_layers: int
    """Transformer blocks."""
    n_heads: int
    """Query heads; a multiple of ``n_kv_heads``."""
    n_kv_heads: int
    """Key/value heads."""
    vocab_size: int
    """Tokens in the vocabulary."""

    def __post_init__(self) -> None:
        for name in ("dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size"):
            at_least(name, getattr(self, name), 1)
        if self.dim % self.n_heads:
            raise ValueError(f"dim must be a multiple of n_heads ({self.n_heads}), "
                             f"not {self.dim!r}")
        if self.n_heads % self.n_kv_heads:
            raise ValueError(f"n_heads must be a multiple of n_kv_heads ({self.n_kv_heads}), "
                             f"not {self.n_heads!r}")

    @property
    def head_dim(self) -> int:
        """Channels of one head."""
        return self.dim // self.n_heads

    @property
    def kv_bytes_per_token(self) -> int:
        """K and V of one token in int8, all layers."""
        return 2 * self.n_layers * self.n_kv_heads * self.head_dim

    @property
    def weight_bytes(self) -> int:
        """Weights that the machine holds in int8: all matrices but the embedding."""
        kv = self.n_kv_heads * self.head_dim
        block = (2 * self.dim + 2 * kv + 3 * self.hidden_dim) * self.dim
        return self.n_layers * block + self.vocab_size * self.dim


def load_shape(name_or_path: str) -> ModelShape:
    """Read a shipped shape by name, or any by the path of its TOML file.

    Raises
    ------
    PerfError
        If there is no such shape, or its file is wrong.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = SHAPES / f"{name_or_path}.toml"
        if not path.is_file():
            names = sorted(p.stem for p in SHAPES.glob("*.toml"))
            raise PerfError(f"model must be one of {names} or a path to a .toml file, "
                            f"not {name_or_path!r}")
    try:
        return load(ModelShape, path)
    except ConfigError as error:
        raise PerfError(str(error)) from error
