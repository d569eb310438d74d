"""How many KV blocks sequences need, and whether they are there."""

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["KvBook"]


@dataclass(frozen=True, kw_only=True, slots=True)
class KvBook:
    """KV blocks in the fullest core: an estimate, as the machine itself gives them out."""

    block_tokens: int
    """Tokens of a block."""
    members: int
    """Cores that share a head: block j of a sequence lies in member ``j % members``."""
    blocks: int
    """Blocks of all sequences that a core holds."""
    sequence_blocks: int
    """Blocks that it holds of a sequence that is alone."""

    def need(self, tokens: int) -> int:
        """Blocks of a sequence of so many tokens."""
        blocks = -(-tokens // self.block_tokens)
        return -(-blocks // self.members)

    def holds(self, tokens: int) -> bool:
        """Whether a sequence of so many tokens fits when it is alone."""
        return self.need(tokens) <= self.sequence_blocks

    def free(self, lengths: Iterable[int]) -> int:
        """Blocks left beside sequences of these lengths; negative if they do not fit."""
        return self.blocks - sum(map(self.need, lengths))
