"""Texts that end a text: looked for by the host, as they may lie across several tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.models.coder import Coder, TextStream

__all__ = ["StopTexts"]


@dataclass(frozen=True, kw_only=True, slots=True)
class StopTexts:
    """Texts after which nothing is wanted, and the tokenizer that tells when they have come.

    Raises
    ------
    OuroborosError
        If one is empty.
    """

    coder: Coder
    """Of the model."""
    texts: tuple[str, ...]
    """Any of them ends a text."""

    def __post_init__(self) -> None:
        if "" in self.texts:
            raise OuroborosError("stop text must not be empty")

    def reached(self, prompt: Sequence[int], tokens: Sequence[int]) -> bool:
        """Whether one of them is in the text of generated tokens."""
        text = TextStream(self.coder, prompt, self.texts, tokens)
        return text.stopped
