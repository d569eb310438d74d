"""A request, and the sequence that it is while it is served: lengths and times, no text."""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

__all__ = ["AnyRequest", "Request", "Sequence"]


@dataclass(slots=True, eq=False, kw_only=True)
class Request:
    """What the policy knows of a request; times are in the caller's unit."""

    prompt_tokens: int
    """Length of the prompt, BOS included."""
    limit: int
    """Tokens to generate at most."""
    generated: int = 0
    """Tokens generated so far, the stop token included."""
    finished: str | None = None
    """Why it ended: ``stop``, ``length``, ``context``, ``kv_full`` or ``cancelled``."""
    preemptions: int = 0
    """How often its KV was given up and computed again."""
    start_times: dict[int, int] = field(default_factory=dict)
    """When a position was first injected; empty where there is no clock."""
    finish_times: dict[int, int] = field(default_factory=dict)
    """When the result of a position arrived; empty where there is no clock."""
    cancelled: bool = False
    """Set by ``cancel``."""

    @property
    def length(self) -> int:
        """Tokens of prompt and generated text: positions that may go in."""
        return self.prompt_tokens + self.generated

    def cancel(self) -> None:
        """End the request as soon as its tokens under way are back; their results do not count."""
        self.cancelled = True


AnyRequest = TypeVar("AnyRequest", bound=Request)
"""The caller's own kind of request."""


@dataclass(slots=True, eq=False)
class Sequence(Generic[AnyRequest]):
    """A request that holds a sequence id and KV."""

    request: AnyRequest
    """What it computes."""
    id: int
    """Sequence id in the machine."""
    next: int = 0
    """Next position to inject."""
    flying: dict[int, int] = field(default_factory=dict)
    """Positions under way; how many sequences had been freed when each was injected."""
    rewind: int | None = None
    """Lowest refused position: nothing is injected until it is certain when to send it again."""
    refused_at: int = 0
    """Sequences that had been freed when the first of the refused tokens was injected."""
    leaving: str | None = None
    """Set when it is to be freed: the reason, or ``preempted``."""

    @property
    def decodes(self) -> bool:
        """Whether the next token to inject is a generated one."""
        return self.next >= self.request.prompt_tokens
