"""How heads lie over chips, and whether sums and weights keep up with the banks.

A head lies over ``chips_of_a_head`` chips (N_hc): its scores are partial sums of that many, added
in the rank's buffer. Fewer chips send fewer partial sums, but a bank then reads more of one head.

Ref: CHIME, ISCA 2026 (L3, arXiv 2504.17584): T_comm = L g N_chips / B_rank against
T_comp = L E ceil(g / N_cmr) / (B_bank N_bank N_hc); no bubbles where T_comm <= T_comp.
"""

import math
from dataclasses import dataclass

from ouroboros.sw.models.shape import ModelShape
from ouroboros.sw.tier.errors import TierError
from ouroboros.sw.tier.technology import Technology

__all__ = ["RESULT_BYTES", "Organisation", "largest"]

RESULT_BYTES = 1024
"""Of a bank's result buffer: four-byte sums of the widest head at one chip a head and eight
queries."""
QUERIES = 8
"""Multiplier sets of a bank's unit, at most."""


@dataclass(frozen=True, kw_only=True)
class Organisation:
    """A model's heads in ranks of a technology.

    Raises
    ------
    TierError
        If a head cannot lie so.
    """

    technology: Technology
    """Of the ranks."""
    shape: ModelShape
    """The model."""
    chips_of_a_head: int
    """N_hc."""
    element_bytes: int = 2
    """Of K and V."""
    score_bytes: float = 2
    """Of a partial sum on the rank's bus."""
    weight_bytes: float = 2
    """Of a weight that is sent back."""

    def __post_init__(self) -> None:
        chips, n = int(self.technology.of("chips")), self.chips_of_a_head
        if n < 1 or chips % n:
            raise TierError(f"chips_of_a_head must divide the {chips} chips of a rank, not {n}: "
                            f"take one of {', '.join(map(str, self.choices))}")
        if self.shape.head_dim % n:
            raise TierError(f"chips_of_a_head must divide head_dim ({self.shape.head_dim}) of "
                            f"{self.shape.name}, not {n}: take one of "
                            f"{', '.join(map(str, self.choices))}")
        if self.context_bytes > RESULT_BYTES:
            raise TierError(
                f"result buffer of a bank must hold {self.context_bytes} bytes (sums of "
                f"{self.shape.head_dim} channels of {self.queries} queries with {n} chips a "
                f"head), not {RESULT_BYTES}: put a head over more chips")

    @property
    def choices(self) -> list[int]:
        """Numbers of chips that a head may lie over."""
        chips = int(self.technology.of("chips"))
        return [n for n in range(1, chips + 1)
                if chips % n == 0 and self.shape.head_dim % n == 0]

    @property
    def group(self) -> int:
        """Queries that share K and V."""
        return self.shape.n_heads // self.shape.n_kv_heads

    @property
    def queries(self) -> int:
        """Of them that a bank's unit takes at once."""
        return min(self.group, QUERIES)

    @property
    def context_bytes(self) -> int:
        """A bank's sums of the context: tokens lie over a quarter of the banks, channels over
        four.
        """
        return self.shape.head_dim // (4 * self.chips_of_a_head) * self.queries * 4

    def compute_s(self, efficiency: float) -> float:
        """Of score or context of all queries of a K and V head, for each token of its context.

        The chips of a rank that one head does not lie over work on other heads, so the time is the
        rank's, for one head.
        """
        read = self.shape.head_dim * self.element_bytes * math.ceil(self.group / QUERIES)
        return read / (self.technology.rank_bytes_per_s * efficiency)

    def exchange_s(self, sent: float) -> float:
        """Of partial scores to the buffer, or weights back: likewise, for each token.

        Parameters
        ----------
        sent : float
            Bytes of each: every chip of the head sends a sum of its channels for each query, and
            needs all weights.
        """
        return self.group * sent * self.chips_of_a_head / (self.technology.of("bus_gb_s") * 1e9)

    def head_s(self, efficiency: float, *, pipelined: bool = True) -> float:
        """Score and context of a K and V head, for each token of its context."""
        compute = self.compute_s(efficiency)
        both = (self.exchange_s(self.score_bytes), self.exchange_s(self.weight_bytes))
        return sum(max(compute, one) if pipelined else compute + one for one in both)

    def stall(self, efficiency: float) -> float:
        """Time over that of the banks alone: 1 where they never wait for the rank's bus."""
        return self.head_s(efficiency) / (2 * self.compute_s(efficiency))

    def free_of_bubbles(self, efficiency: float) -> bool:
        """Whether the banks never wait for the rank's bus."""
        most = max(self.score_bytes, self.weight_bytes)
        return self.exchange_s(most) <= self.compute_s(efficiency) * (1 + 1e-9)


def largest(technology: Technology, shape: ModelShape, efficiency: float, *,
            element_bytes: int = 2, score_bytes: float = 2,
            weight_bytes: float = 2) -> Organisation:
    """A head over as many chips as the bus keeps up with; over one if it never does."""
    tried = [Organisation(technology=technology, shape=shape, chips_of_a_head=n,
                          element_bytes=element_bytes, score_bytes=score_bytes,
                          weight_bytes=weight_bytes)
             for n in range(int(technology.of("chips")), 0, -1)
             if technology.of("chips") % n == 0 and shape.head_dim % n == 0
             and _fits(technology, shape, n)]
    return next((one for one in tried if one.free_of_bubbles(efficiency)), tried[-1])


def _fits(technology: Technology, shape: ModelShape, chips: int) -> bool:
    try:
        Organisation(technology=technology, shape=shape, chips_of_a_head=chips)
    except TierError:
        return False
    return True
