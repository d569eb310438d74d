"""What the engine knows of a request, and of the sequence that it is while it is served."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = ["Request", "Sequence"]


@dataclass(slots=True, eq=False)
class Request:
    """One sequence: its prompt and what became of it."""

    prompt: tuple[int, ...]
    """Token ids, BOS included."""
    limit: int
    """Tokens to generate at most."""
    logits: str = "last"
    """Whose logits are streamed: ``none``, ``last`` (last prompt token and generated tokens) or
    ``all`` (every token)."""
    tokens: list[int] = field(default_factory=list)
    """Generated ids, the stop token included."""
    vectors: dict[int, npt.NDArray[np.int32]] = field(default_factory=dict)
    """Logits by position, (vocab_size,)."""
    finished: str | None = None
    """Why it ended: ``stop``, ``length``, ``context``, ``kv_full`` or ``cancelled``."""
    preemptions: int = 0
    """How often its KV was given up and computed again."""
    start_cycles: dict[int, int] = field(default_factory=dict)
    """Cycle in which a position was first injected."""
    finish_cycles: dict[int, int] = field(default_factory=dict)
    """Cycle in which the result of a position arrived."""
    cancelled: bool = False
    """Set by ``cancel``."""

    def cancel(self) -> None:
        """End the request as soon as its tokens under way are back; their results do not count."""
        self.cancelled = True


@dataclass(slots=True, eq=False)
class Sequence:
    """A request that holds a sequence id and KV."""

    request: Request
    id: int
    next: int = 0
    """Next position to inject."""
    flying: dict[int, int] = field(default_factory=dict)
    """Positions under way; how many sequences had been freed when each was injected."""
    rewind: int | None = None
    """Lowest poisoned position: nothing is injected until it is certain when to send it again."""
    refused_at: int = 0
    """Sequences that had been freed when the first of the refused tokens was injected."""
    leaving: str | None = None
    """Set when it is to be freed: the reason, or ``preempted``."""

    @property
    def length(self) -> int:
        """Tokens of prompt and generated text: positions that may go in."""
        return len(self.request.prompt) + len(self.request.tokens)

    def token(self, position: int) -> int:
        """Id at a position; past the end, where only control tokens lie, any id."""
        prompt, tokens = self.request.prompt, self.request.tokens
        if position < len(prompt):
            return prompt[position]
        return tokens[position - len(prompt)] if position < self.length else 0
