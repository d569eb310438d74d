"""A second room for KV: pools at a machine's edge, with lanes that each read for one token."""

from dataclasses import dataclass, field

__all__ = ["PoolBook"]


@dataclass(slots=True, kw_only=True)
class PoolBook:
    """Tokens that sequences reserve in pools, whole lengths at once, and sequences by lane."""

    pools: int
    """How many."""
    lanes: int
    """Of a pool; numbered through."""
    room: int
    """Tokens of each pool."""
    reserved: list[int] = field(default_factory=list)
    """By pool."""
    count: list[int] = field(default_factory=list)
    """Sequences by lane."""
    busy: set[int] = field(default_factory=set)
    """Lanes that take no token now: whoever drives the scheduler says so."""

    def __post_init__(self) -> None:
        self.reserved = self.reserved or [0] * self.pools
        self.count = self.count or [0] * self.pools * self.lanes

    def holds(self, tokens: int) -> bool:
        """Whether a sequence of so many tokens fits an empty pool."""
        return self.pools > 0 and tokens <= self.room

    def take(self, tokens: int) -> int | None:
        """A lane for a sequence: that with the fewest, of the pool with most room; None: full."""
        pool = max(range(self.pools), key=lambda n: self.room - self.reserved[n], default=None)
        if pool is None or self.room - self.reserved[pool] < tokens:
            return None
        self.reserved[pool] += tokens
        lane = min(range(pool * self.lanes, (pool + 1) * self.lanes), key=self.count.__getitem__)
        self.count[lane] += 1
        return lane

    def give(self, lane: int, tokens: int) -> None:
        """A sequence leaves."""
        self.reserved[lane // self.lanes] -= tokens
        self.count[lane] -= 1
