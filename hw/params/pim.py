"""Parameters of a rank of memory with processing units (PIM)."""

from dataclasses import dataclass

from ouroboros.hw.params.check import between, power_of_two
from ouroboros.hw.params.dram import DDR4_3200, POSTPONED, DramTiming

__all__ = ["BURST_BYTES", "RANK", "SCORE_BITS", "PimParams"]

BURST_BYTES = 8
"""Bytes of a column, and of a chip's part of a burst; int8 products of one MAC."""
SCORE_BITS = 24
"""Of a chip's part of a score on its way to the rank."""
SCORES_A_GROUP = 8
"""Scores that fill whole bursts: 3 bursts of 8 bytes."""
SPREAD_MAX = 4
"""Banks that share a token of V at most: accumulators of a bank are as many times fewer."""
DIM_MAX = 1 << (SCORE_BITS - 1 - 14)
"""Head dimension up to which a score fits: |k q| <= 2**14."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PimParams:
    """A rank: chips side by side on the data bus, banks in each, a processing unit at each bank.

    Heads lie over ``head_chips`` chips, so ``slots`` heads are worked on at once. In chip c of a
    head lie the dimensions d with ``d % head_chips == c % head_chips``, in order, 8 a column.

    K of token t lies in bank ``t % banks``, its columns one after the other. Of V ``spread`` banks
    share a token: column k of it lies in bank ``(t % step_tokens) * spread + k % spread``.

    Raises
    ------
    ValueError
        If a value is out of the range stated beside it, or the organisation cannot exist: chips
        that heads do not divide, bursts that are not whole, a buffer below what one step moves.
    """

    timing: DramTiming = DDR4_3200
    chips: int = 8
    """Chips of 8 bits on the data bus; 1, 2, 4 or 8."""
    groups: int = 4
    """Bank groups; 2, 4 or 8."""
    banks: int = 16
    """Banks of a chip; 8, 16 or 32. Bank b is of group ``b % groups``."""
    columns: int = 128
    """Columns of 8 bytes of a row; a power of two, 2 to 1024."""
    rows: int = 64
    """Rows of a bank; 2 to 65536. Whoever simulates pays for each."""
    head_chips: int = 4
    """Chips that share a head (N_hc); divides ``chips``."""
    head_dim: int = 128
    """Dimension of a head; a power of two, up to 512: int24 scores."""
    queries: int = 1
    """Queries of a KV head that are worked on at once (N_cmr); 1, 2, 4 or 8."""
    context: int = 8192
    """Tokens that the score memory holds; a multiple of ``banks``, up to 131072."""
    result_depth: int = 8
    """Steps of scores that a chip's result buffer holds; a power of two, at least 2."""
    refresh_batch: int = 1
    """Refreshes that are put off until they are done one after the other; 1 to 8."""
    weight_depth: int = 16
    """Steps of weights that a chip's shared buffer holds; a power of two, at least 2."""

    def __post_init__(self) -> None:
        for name, low, high in (("chips", 1, 8), ("groups", 2, 8), ("banks", 8, 32),
                                ("columns", 2, 1024), ("head_chips", 1, 8), ("queries", 1, 8),
                                ("head_dim", BURST_BYTES, DIM_MAX), ("result_depth", 2, 64),
                                ("weight_depth", 2, 64)):
            between(name, getattr(self, name), low, high)
            power_of_two(name, getattr(self, name))
        between("refresh_batch", self.refresh_batch, 1, POSTPONED)
        between("rows", self.rows, 2, 1 << 16)
        between("context", self.context, self.banks, 1 << 17)
        if self.chips % self.head_chips:
            raise ValueError(f"head_chips must divide chips = {self.chips}, not {self.head_chips}")
        if self.banks < 2 * self.groups:
            raise ValueError(f"banks must be at least 2 a group, not {self.banks} in {self.groups}")
        if self.head_dim % (BURST_BYTES * self.head_chips):
            raise ValueError(f"head_dim must fill whole columns of {self.head_chips} chips: "
                             f"a multiple of {BURST_BYTES * self.head_chips}, not {self.head_dim}")
        if self.context % self.banks:
            raise ValueError(f"context must be a multiple of banks = {self.banks}, "
                             f"not {self.context}")
        if self.columns % (self.token_columns * self.queries):
            raise ValueError(f"columns of a row must hold whole queries of {self.token_columns} x "
                             f"{self.queries} columns, not {self.columns}")

    @property
    def slots(self) -> int:
        """Heads that are worked on at once."""
        return self.chips // self.head_chips

    @property
    def token_columns(self) -> int:
        """Columns that a token's K, or V, takes in a chip."""
        return self.head_dim // (BURST_BYTES * self.head_chips)

    @property
    def spread(self) -> int:
        """Banks that share a token of V."""
        return min(SPREAD_MAX, self.token_columns)

    @property
    def step_tokens(self) -> int:
        """Tokens of V that lie at one place of all banks."""
        return self.banks // self.spread

    @property
    def value_columns(self) -> int:
        """Columns that a token of V takes in one bank."""
        return self.token_columns // self.spread

    @property
    def accumulators(self) -> int:
        """int32 accumulators of a bank."""
        return self.queries * self.value_columns * BURST_BYTES

    @property
    def score_unit_tokens(self) -> int:
        """Tokens of a step of scores: one in each bank."""
        return self.banks

    @property
    def score_unit_macs(self) -> int:
        """MACs of a step of scores."""
        return self.token_columns

    @property
    def score_unit_bursts(self) -> int:
        """Bursts in which a step of scores leaves the chips."""
        return self.queries * self.banks * SCORE_BITS // (8 * BURST_BYTES)

    @property
    def value_unit_tokens(self) -> int:
        """Tokens of a step of weights: whole bursts, and whole places of all banks."""
        return max(BURST_BYTES, self.step_tokens)

    @property
    def value_unit_macs(self) -> int:
        """MACs of a step of weights."""
        return self.value_columns * self.value_unit_tokens // self.step_tokens

    @property
    def value_unit_bursts(self) -> int:
        """Bursts in which a step of weights comes to the chips."""
        return self.queries * self.value_unit_tokens // BURST_BYTES

    @property
    def sum_bursts(self) -> int:
        """Bursts in which all accumulators leave the chips: two int32 a chip and burst."""
        return self.banks * self.accumulators // 2

    @property
    def query_bursts(self) -> int:
        """Bursts in which the queries come to the shared buffers."""
        return self.queries * self.token_columns

    def score_units(self, tokens: int) -> int:
        """Steps of scores of so many tokens."""
        return -(-tokens // self.score_unit_tokens)

    def value_units(self, tokens: int) -> int:
        """Steps of weights of so many tokens."""
        return -(-tokens // self.value_unit_tokens)

    def key_rows(self, tokens: int) -> int:
        """Rows that K of so many tokens takes."""
        return -(-self.score_units(tokens) * self.score_unit_macs // self.columns)

    def value_rows(self, tokens: int) -> int:
        """Rows that V of so many tokens takes."""
        return -(-self.value_units(tokens) * self.value_unit_macs // self.columns)


RANK = PimParams()
"""A rank of the third paper at INT8: 8 chips of 16 banks, two heads of dimension 128 at once."""
