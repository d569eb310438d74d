"""Text to token ids and back: what all tokenizers offer, whatever file they came from."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from ouroboros.sw.models.special import SpecialTokens

__all__ = ["Coder", "TextStream"]

_BROKEN = "\N{REPLACEMENT CHARACTER}"


class Coder(Protocol):
    """A tokenizer, as all but its reader see it."""

    name: str
    """File it came from; begins every error message."""
    special: SpecialTokens
    """Tokens that begin and end a text; they print nothing."""

    @property
    def pieces(self) -> tuple[bytes, ...]:
        """Text of every token as the file spells it, at least as long as what it stands for."""

    @property
    def digest(self) -> str:
        """Hash of all that decides how text is cut."""

    def encode(self, text: str, *, bos: bool = True) -> list[int]:
        """Token ids of a text, after BOS if the model has one.

        Raises
        ------
        CheckpointError
            If a part of the text has no token.
        """

    def decode(self, tokens: Iterable[int]) -> str:
        """Text of token ids; special tokens print nothing, broken UTF-8 prints as U+FFFD."""

    def check_vocabulary(self, vocab_size: int) -> None:
        """Refuse a tokenizer made for another model."""


class TextStream:
    """Text of tokens as they come: what later tokens cannot change is given out at once.

    Bytes of half a character wait for the other half, as does what may be the beginning of a stop
    text.

    Parameters
    ----------
    coder : Coder
        Whose tokens.
    prompt : sequence of int
        What stands before the text; not given out.
    stops : sequence of str
        Texts that end the text; what comes before the first of them is all of it.
    """

    def __init__(self, coder: Coder, prompt: Sequence[int] = (), stops: Sequence[str] = ()):
        self._coder, self._tokens, self._stops = coder, list(prompt), tuple(stops)
        self._before = len(coder.decode(prompt))
        self._given = 0
        self.stopped = False
        """Whether a stop text has come."""

    @property
    def text(self) -> str:
        """All text so far, up to a stop text."""
        text = self._coder.decode(self._tokens)[self._before:]
        ends = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        return text[:min(ends)] if ends else text

    def feed(self, token: int) -> str:
        """What one more token makes certain."""
        self._tokens.append(token)
        text = self._coder.decode(self._tokens)[self._before:]
        self.stopped = any(stop in text for stop in self._stops)
        if self.stopped:
            return self._give(self.text)
        certain = len(text.rstrip(_BROKEN))
        for stop in self._stops:
            part = next((n for n in range(min(len(stop), len(text)), 0, -1)
                         if text.endswith(stop[:n])), 0)
            certain = min(certain, len(text) - part)
        return self._give(text[:certain])

    def end(self) -> str:
        """What has waited, now that nothing follows."""
        return self._give(self.text)

    def _give(self, text: str) -> str:
        given, self._given = text[self._given:], max(self._given, len(text))
        return given
