"""Rotary position embedding: by which angle each pair of a head turns at each position.

Ref: Su et al., RoFormer, 2021, eq. 15; Chen et al., Extending Context Window of Large Language
Models via Positional Interpolation, 2023 (``linear``); Llama Team, The Llama 3 Herd of Models,
2024, whose reference code has the ramp of ``llama3``.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["LinearScaling", "Llama3Scaling", "PairScaling", "Scaling", "frequencies",
           "scaling_of"]

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class LinearScaling:
    """All positions divided by a factor."""

    factor: float
    """At least 1."""

    def scaled(self, plain: Float64) -> Float64:
        """Angles per position of a model that was trained with ``plain`` ones."""
        return plain / self.factor


@dataclass(frozen=True, kw_only=True, slots=True)
class Llama3Scaling:
    """Slow pairs by a factor slower, fast pairs as they were, a ramp between them."""

    factor: float
    """At least 1."""
    low_freq_factor: float
    """Pairs with fewer turns than this in the original context are slow."""
    high_freq_factor: float
    """Pairs with more turns than this in the original context are fast; above the low one."""
    original_positions: int
    """Longest text of the first training."""

    def scaled(self, plain: Float64) -> Float64:
        """Angles per position of a model that was first trained with ``plain`` ones."""
        turns = self.original_positions * plain / (2 * math.pi)
        ramp = (turns - self.low_freq_factor) / (self.high_freq_factor - self.low_freq_factor)
        fast = np.clip(ramp, 0, 1)
        return (1 - fast) * plain / self.factor + fast * plain


@dataclass(frozen=True, kw_only=True, slots=True)
class PairScaling:
    """Every pair by a factor of its own, as a GGUF file has it."""

    factors: tuple[float, ...]
    """By pair, (head_dim / 2,); positive."""

    def scaled(self, plain: Float64) -> Float64:
        """Angles per position of a model that was first trained with ``plain`` ones."""
        return plain / np.array(self.factors)


Scaling = LinearScaling | Llama3Scaling | PairScaling
"""How a model was made to read texts longer than those of its first training."""


def scaling_of(record: Mapping[str, Any]) -> Scaling:
    """The scaling of a record: of JSON, which has lists for tuples."""
    kinds = (LinearScaling, Llama3Scaling, PairScaling)
    kind, = (one for one in kinds if {field.name for field in fields(one)} == set(record))
    found: Scaling = kind(**{name: tuple(value) if isinstance(value, list) else value
                             for name, value in record.items()})
    return found


def frequencies(theta: float, head_dim: int, scaling: Scaling | None = None) -> Float64:
    """Angle per position of every pair of a head, (head_dim / 2,)."""
    plain: Float64 = theta ** (-np.arange(0, head_dim, 2) / head_dim)
    return plain if scaling is None else scaling.scaled(plain)
