"""The host of a run: which token goes in next, and what it is told of those that are back."""

from collections.abc import Sequence
from typing import Protocol

from ouroboros.sw.program.image import Token

__all__ = ["Host", "Prompt"]


class Host(Protocol):
    """Decides; the machine says when. Cycles count from the first flit that may go in."""

    def next(self, now: int) -> Token | None:
        """The token that goes in now, as the first stages have room; None: not before more is
        back.
        """

    def credit(self, counter: int) -> None:
        """A slot of the first stages is free again."""

    def back(self, number: int, now: int) -> None:
        """All that the machine says of a token is there; tokens are numbered as they went in."""


class Prompt:
    """A host that sends tokens that it knows.

    Parameters
    ----------
    tokens : sequence of Token
        In order.
    """

    def __init__(self, tokens: Sequence[Token]):
        self._left = iter(tokens)

    def next(self, now: int) -> Token | None:
        """See ``Host``."""
        return next(self._left, None)

    def credit(self, counter: int) -> None:
        """See ``Host``."""

    def back(self, number: int, now: int) -> None:
        """See ``Host``."""
