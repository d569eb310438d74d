"""Which weights a stage takes, by name: a block has no values, the mapper looks them up."""

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Channels", "Matrix", "Param", "Piece", "Run", "width"]


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive channels of a tensor, and what fills them up to a word."""

    first: int
    """First channel."""
    count: int
    """Channels."""
    padding: int = 0
    """Zeros that follow."""


Channels = tuple[Run, ...]
"""Channels side by side."""


def width(channels: Iterable[Run]) -> int:
    """Channels, padding included."""
    return sum(run.count + run.padding for run in channels)


@dataclass(frozen=True, slots=True)
class Param:
    """Numbers in a core's parameter memory: the multipliers of a tensor's outputs, or constants."""

    name: str
    """q, k, v, o, gate, up, down, head: of that tensor's outputs; exp, silu, norm1, norm2,
    norm_final: constants of those steps; sigmoid: the shift of GATE alone; high: the weight of a
    high digit."""
    layer: int
    """Transformer block; -1 for the head, the final norm and high digits."""
    channels: Channels = ()
    """Outputs; for exp the query head."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows and columns of one tensor."""

    tensor: str
    """q, k, v, o, gate, up, down or head."""
    layer: int
    """Transformer block; -1 for the head."""
    outputs: Channels
    """Output channels."""
    inputs: Channels
    """Input channels."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """What one MVM of a core multiplies by: pieces with the same inputs, outputs one after the
    other.
    """

    pieces: tuple[Piece, ...]
    """In the order of outputs."""

    @property
    def outputs(self) -> int:
        """Outputs, padding included."""
        return sum(width(piece.outputs) for piece in self.pieces)

    @property
    def inputs(self) -> int:
        """Inputs, padding included."""
        return width(self.pieces[0].inputs)
