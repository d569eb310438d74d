"""The next token from streamed logits: drawn by the host, where greedy is not what is asked for.

Ref: Fan et al., Hierarchical Neural Story Generation, 2018 (top-k); Holtzman et al., The Curious
Case of Neural Text Degeneration, 2020 (top-p).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ouroboros.sw.golden.numerics import LOGIT_FRACTION_BITS
from ouroboros.sw.lib.errors import OuroborosError

__all__ = ["Logits", "Sampling", "next_token"]

Logits = npt.NDArray[np.int32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """How tokens are drawn.

    A draw depends on nothing but the logits, the seed, the request's number and the position: not
    on what else is served, nor on the order in which tokens come back.

    Raises
    ------
    OuroborosError
        If a value is out of range.
    """

    temperature: float
    """Divides the logits; positive."""
    top_k: int | None = None
    """Only so many of the likeliest tokens are drawn from, the lowest ids of equal ones."""
    top_p: float | None = None
    """Only the likeliest tokens are drawn from that have this probability together."""
    seed: int = 0
    """Of all draws."""

    def __post_init__(self) -> None:
        if not 0 < self.temperature < float("inf"):
            raise OuroborosError(f"temperature must be positive, not {self.temperature!r}")
        if self.top_k is not None and self.top_k < 1:
            raise OuroborosError(f"top_k must be at least 1, not {self.top_k!r}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise OuroborosError(f"top_p must be above 0 and at most 1, not {self.top_p!r}")
        if self.seed < 0:
            raise OuroborosError(f"seed must be at least 0, not {self.seed!r}")

    def probabilities(self, logits: Logits) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
        """Tokens that may come, likeliest first, and their probabilities, both (n,)."""
        ids = np.argsort(-logits.astype(np.int64), kind="stable")[:self.top_k]
        values = logits[ids] / 2.0**LOGIT_FRACTION_BITS
        weights = np.exp((values - values[0]) / self.temperature)
        weights /= weights.sum()
        if self.top_p is not None:
            # As many as it takes; the last of them crosses the bound.
            count = int(np.searchsorted(np.cumsum(weights), self.top_p - 1e-12)) + 1
            ids, weights = ids[:count], weights[:count] / weights[:count].sum()
        return ids, weights

    def choose(self, logits: Logits, request: int, position: int) -> int:
        """The token after ``position`` of a request, from its logits (vocab_size,)."""
        ids, weights = self.probabilities(logits)
        ladder = np.cumsum(weights)
        draw = np.random.default_rng((self.seed, request, position)).random() * ladder[-1]
        return int(ids[min(int(np.searchsorted(ladder, draw, side="right")), len(ids) - 1)])


def next_token(sampling: Sampling | None, logits: Logits, request: int, position: int) -> int:
    """The token after ``position``: drawn, or without sampling the likeliest, as the machine's."""
    return int(logits.argmax()) if sampling is None else sampling.choose(logits, request, position)
