"""A request with its text and what the machine said of it."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ouroboros.sw.serving import request

__all__ = ["Request"]


@dataclass(slots=True, eq=False, kw_only=True)
class Request(request.Request):
    """One sequence: its prompt and what became of it; times are cycles."""

    prompt: tuple[int, ...]
    """Token ids, BOS included."""
    logits: str = "last"
    """Whose logits are streamed: ``none``, ``last`` (last prompt token and generated tokens) or
    ``all`` (every token)."""
    tokens: list[int] = field(default_factory=list)
    """Generated ids, the stop token included."""
    guesses: list[int] = field(default_factory=list)
    """Ids that may follow."""
    vectors: dict[int, npt.NDArray[np.int32]] = field(default_factory=dict)
    """Logits by position, (vocab_size,)."""
    prompt_tokens: int = field(init=False)
    """Length of ``prompt``."""
    generated: int = field(init=False)
    """Length of ``tokens``."""

    def __post_init__(self) -> None:
        self.prompt_tokens, self.generated = len(self.prompt), len(self.tokens)

    def token(self, position: int) -> int:
        """Id at a position, guessed beyond the text; past that, where only control tokens lie,
        any id.
        """
        if position < len(self.prompt):
            return self.prompt[position]
        n = position - len(self.prompt)
        if n < len(self.tokens):
            return self.tokens[n]
        n -= len(self.tokens)
        return self.guesses[n] if n < len(self.guesses) else 0
