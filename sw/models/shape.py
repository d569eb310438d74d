"""Dimensions of a language model, without its weights."""

from dataclasses import dataclass
from pathlib import Path

from ouroboros.hw.params.check import at_least
from ouroboros.hw.params.load import ConfigError, load
from ouroboros.sw.lib.errors import OuroborosError

__all__ = ["ALIASES", "KINDS", "POSITIONS", "SHAPES", "ModelShape", "ShapeError",
           "load_shape"]

SHAPES = Path(__file__).resolve().parent / "shapes"
KINDS = ("decoder", "encoder", "encoder-decoder")
ALIASES = {"llama-30b": "llama-33b", "llama-32b": "llama-33b"}
"""Other names that publications give the same model."""
POSITIONS = ("rope", "learned", "alibi", "relative")


class ShapeError(OuroborosError):
    """There is no such model, or the file of its dimensions is wrong."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelShape:
    """Dimensions of a transformer; the defaults are those of a LLaMA-type decoder.

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
    """Width of the residual stream."""
    hidden_dim: int
    """Width of the feed-forward layer."""
    n_layers: int
    """Transformer blocks; of the encoder where there are both."""
    n_heads: int
    """Query heads; a multiple of ``n_kv_heads``."""
    n_kv_heads: int
    """Key/value heads."""
    vocab_size: int
    """Tokens in the vocabulary."""
    head_dim: int = 0
    """Channels of one head; 0 stands for ``dim / n_heads``."""
    kind: str = "decoder"
    """decoder (causal attention), encoder (attention both ways), encoder-decoder."""
    n_decoder_layers: int = 0
    """Blocks of the decoder of an encoder-decoder, each with attention to the encoder; else 0."""
    gated: bool = True
    """Whether the feed-forward layer has a gate beside its up projection."""
    positions: str = "rope"
    """rope: rotates Q and K; learned: a row for each position, added to the embedding; alibi,
    relative: biases of the scores."""
    position_rows: int = 0
    """Rows of the learned positions; else 0."""
    head: bool = True
    """Whether there is a head over the vocabulary."""
    tied_head: bool = False
    """Whether the head's weights are the embedding's. The machine holds them either way."""

    def __post_init__(self) -> None:
        for name in ("dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size"):
            at_least(name, getattr(self, name), 1)
        for name in ("head_dim", "n_decoder_layers", "position_rows"):
            at_least(name, getattr(self, name), 0)
        for name, value, known in (("kind", self.kind, KINDS),
                                   ("positions", self.positions, POSITIONS)):
            if value not in known:
                raise ValueError(f"{name} must be one of {known}, not {value!r}")
        if not self.head_dim:
            if self.dim % self.n_heads:
                raise ValueError(f"dim must be a multiple of n_heads ({self.n_heads}), "
                                 f"not {self.dim!r}")
            object.__setattr__(self, "head_dim", self.dim // self.n_heads)
        if self.n_heads % self.n_kv_heads:
            raise ValueError(f"n_heads must be a multiple of n_kv_heads ({self.n_kv_heads}), "
                             f"not {self.n_heads!r}")
        if (self.kind == "encoder-decoder") != bool(self.n_decoder_layers):
            raise ValueError(f"n_decoder_layers must be positive for an encoder-decoder and 0 "
                             f"for others, not {self.n_decoder_layers!r} for kind {self.kind!r}")
        if (self.positions == "learned") != bool(self.position_rows):
            raise ValueError(f"position_rows must be positive for learned positions and 0 for "
                             f"others, not {self.position_rows!r} for {self.positions!r}")
        if self.tied_head and not self.head:
            raise ValueError("tied_head must be false where head is false, not True")

    @property
    def q_width(self) -> int:
        """Channels of all query heads: inputs of the projection."""
        return self.n_heads * self.head_dim

    @property
    def kv_width(self) -> int:
        """Channels of all key heads, or of all value heads."""
        return self.n_kv_heads * self.head_dim

    @property
    def attention_layers(self) -> int:
        """Attention layers that hold K and V; decoder blocks beside an encoder have two."""
        return self.n_layers + 2 * self.n_decoder_layers

    @property
    def kv_bytes_per_token(self) -> int:
        """K and V of one token in int8, all attention layers."""
        return 2 * self.attention_layers * self.kv_width

    @property
    def block_bytes(self) -> int:
        """Weights of one block (of the encoder) in int8."""
        return (2 * self.q_width + 2 * self.kv_width
                + (3 if self.gated else 2) * self.hidden_dim) * self.dim

    @property
    def weight_bytes(self) -> int:
        """Weights that the machine holds in int8: all matrices but the embedding."""
        cross = 2 * (self.q_width + self.kv_width) * self.dim
        return (self.n_layers * self.block_bytes
                + self.n_decoder_layers * (self.block_bytes + cross)
                + self.head * self.vocab_size * self.dim)

    @property
    def parameters(self) -> int:
        """Elements of all matrices, embedding and learned positions included.

        Without the vectors (norms, biases): a publication's figure is up to a per cent larger.
        """
        tables = self.vocab_size + self.position_rows - self.tied_head * self.vocab_size
        return self.weight_bytes + tables * self.dim


def load_shape(name_or_path: str) -> ModelShape:
    """Read a shipped shape by name, or any by the path of its TOML file.

    Raises
    ------
    ShapeError
        If there is no such shape, or its file is wrong.
    """
    path = Path(ALIASES.get(name_or_path, name_or_path))
    if path.suffix != ".toml":
        path = SHAPES / f"{path}.toml"
        if not path.is_file():
            names = sorted(p.stem for p in SHAPES.glob("*.toml"))
            raise ShapeError(f"model must be one of {names} or a path to a .toml file, "
                            f"not {name_or_path!r}")
    try:
        return load(ModelShape, path)
    except ConfigError as error:
        raise ShapeError(str(error)) from error
