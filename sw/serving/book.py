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
    """Cores that share a head: block j of sequence s lies in member ``j % members``."""
    blocks: int
    """Blocks of all sequences that a core holds."""
    sequence_blocks: int
    """Blocks that it holds of a sequence that is alone."""
    ring: bool = False
    """Block j of sequence s lies in member ``(j + s) % members`` instead."""
    static_tokens: int = 0
    """Tokens that a sequence reserves at least."""

    def need(self, tokens: int) -> int:
        """Blocks of a sequence of so many tokens, in the core that has most of them."""
        return -(-self.reserved(tokens) // self.members)

    def holds(self, tokens: int) -> bool:
        """Whether a sequence of so many tokens fits when it is alone."""
        return self.need(tokens) <= self.sequence_blocks

    def free(self, sequences: Iterable[tuple[int, int]]) -> int:
        """Blocks left in the fullest core beside sequences of these ids and lengths.

        Negative if they do not fit.
        """
        return self.blocks - max(self.held(sequences))

    def held(self, sequences: Iterable[tuple[int, int]]) -> list[int]:
        """Blocks of sequences of these ids and lengths, by member: (members,)."""
        held = [0] * self.members
        for sequence, tokens in sequences:
            rounds, more = divmod(self.reserved(tokens), self.members)
            for turn in range(self.members):
                member = (turn + sequence * self.ring) % self.members
                held[member] += rounds + (turn < more)
        return held

    def filled(self, tokens: int) -> int:
        """Blocks in which so many tokens of a sequence lie, in all members together."""
        return -(-tokens // self.block_tokens)

    def reserved(self, tokens: int) -> int:
        """Blocks that a sequence of so many tokens reserves, in all members together."""
        return self.filled(max(tokens, self.static_tokens))
