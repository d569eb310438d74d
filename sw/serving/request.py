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
    priority: int = 0
    """Those of a higher one are admitted and served first, and give way last."""
    deadline: int | None = None
    """When it is given up; None: never."""
    generated: int = 0
    """Tokens generated so far, the stop token included."""
    finished: str | None = None
    """Why it ended: ``stop``, ``length``, ``context``, ``kv_full``, ``cancelled`` or
    ``deadline``."""
    preemptions: int = 0
    """How often its KV was given up, to be computed again or brought back."""
    swaps: int = 0
    """How often of these its KV went to the host."""
    saved: int = 0
    """Tokens whose KV lies with the host now."""
    recomputed: int = 0
    """Tokens that were computed more than once, each time but the first: they cost energy."""
    arrival: int | None = None
    """When it was submitted, if the caller has a clock; so are the following."""
    admitted: int | None = None
    """When it first became a sequence."""
    start_times: dict[int, int] = field(default_factory=dict)
    """When a position was first injected; empty where there is no clock."""
    finish_times: dict[int, int] = field(default_factory=dict)
    """When the result of a position arrived; empty where there is no clock."""
    token_times: list[int] = field(default_factory=list)
    """When each generated token was known; empty where there is no clock."""
    ahead: int = 0
    """Tokens beyond ``length`` that are guessed, and may go in."""
    guessed: int = 0
    """Guesses that went in."""
    confirmed: int = 0
    """Those that were right: tokens whose result was under way before it was known that they are
    the text's."""
    computed: set[int] = field(default_factory=set)
    """Positions that have been computed."""
    cancelled: str | None = None
    """Set by ``cancel``: what ``finished`` will be."""

    @property
    def length(self) -> int:
        """Tokens of prompt and generated text: positions that may go in."""
        return self.prompt_tokens + self.generated

    def cancel(self, why: str = "cancelled") -> None:
        """End the request as soon as its tokens under way are back; their results do not count."""
        self.cancelled = self.cancelled or why


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
    fill: int = 0
    """Positions below were known when it was admitted: its prompt, or all its text so far."""
    turn: int = 0
    """Turn of its prompt, where prompts take turns: the lowest goes first."""
    restore: bool = False
    """Its KV has to be brought back from the host before anything else goes in."""
    flying: dict[int, int] = field(default_factory=dict)
    """Positions under way; how many sequences had been freed when each was injected."""
    rewind: int | None = None
    """Lowest refused position: nothing is injected until it is certain when to send it again."""
    refused_at: int = 0
    """Sequences that had been freed when the first of the refused tokens was injected."""
    lane: int | None = None
    """Of the pool that its KV lies in; None: the machine's."""
    leaving: str | None = None
    """Set when it is to be freed: the reason, or ``preempted``, ``swapped``."""

    @property
    def decodes(self) -> bool:
        """Whether the next token to inject is a generated one."""
        return self.next >= self.request.prompt_tokens

    @property
    def ready(self) -> bool:
        """Whether there is a token that may go in."""
        return (not self.leaving and self.rewind is None and not self.restore
                and self.next < self.request.length)

    @property
    def guesses(self) -> bool:
        """Whether there is a guess that may go in."""
        return (not self.leaving and self.rewind is None and not self.restore
                and self.request.length <= self.next < self.request.length + self.request.ahead)

    @property
    def kept(self) -> int:
        """Tokens whose KV the machine has, once nothing of it is under way."""
        return self.next if self.rewind is None else min(self.next, self.rewind)

    @property
    def filling(self) -> bool:
        """Whether a part of what was known at its admission is under way, and more may follow."""
        return (any(position < self.fill for position in self.flying)
                or (self.ready and 0 < self.next < self.fill))
