"""Tokens with a meaning of their own: what begins a text and what ends it."""

from dataclasses import dataclass

__all__ = ["LLAMA2C", "SpecialTokens"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SpecialTokens:
    """Special tokens of a model."""

    bos_id: int | None
    """Token that begins a text; None: texts begin without one."""
    stop_ids: tuple[int, ...]
    """Tokens after which nothing follows; none: a text ends by its length only."""

    def within(self, vocab_size: int) -> "SpecialTokens":
        """Those that a small vocabulary has."""
        return SpecialTokens(
            bos_id=None if self.bos_id is None else min(self.bos_id, vocab_size - 1),
            stop_ids=tuple(token for token in self.stop_ids if token < vocab_size))


LLAMA2C = SpecialTokens(bos_id=1, stop_ids=(1, 2))
"""Those of llama2.c's files, which do not name them.

A text ends at BOS too, not only at EOS: these models were trained on texts with BOS between them.
"""
