"""What an operator may choose of the policy: one object for every driver of the scheduler."""

from dataclasses import dataclass

from ouroboros.sw.lib.errors import OuroborosError

__all__ = ["FIRST", "GRAINS", "ServingError", "ServingOptions"]

GRAINS = ("token", "sequence")
FIRST = ("decode", "prompt")


class ServingError(OuroborosError):
    """Settings that no scheduler can work with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ServingOptions:
    """Policy; the defaults are first come, first served, token by token.

    Raises
    ------
    ServingError
        If a value is out of range; the message names it.
    """

    window: int | None = None
    """Most tokens under way at once; 1 sends them one at a time."""
    headroom_blocks: int = 1
    """Blocks kept free for decode growth when a sequence is admitted: the threshold."""
    static_tokens: int = 0
    """Tokens that every sequence reserves at least when it is admitted, as a static KV cache does;
    0: as many as it has."""
    grain: str = "token"
    """``token``: tokens of all sequences follow each other. ``sequence``: a prompt goes in when
    nothing is under way, and nothing else goes in before all of it is back."""
    first: str = "decode"
    """Which tokens go first where both could: those of ``decode`` or of a ``prompt``."""
    chunk_tokens: int | None = None
    """Prompt tokens of a sequence before the next sequence's prompt has its turn; None: all."""
    swap_cost: float | None = None
    """What it costs to move a KV block to the host or back, in tokens computed: the cheaper of
    moving and computing again is done. None: KV cannot be moved."""

    speculate: int = 0
    """Tokens that are guessed of each sequence at most, beyond what is known of it: they go in
    where nothing else can. What they say counts only if they were right. 0: none."""

    def __post_init__(self) -> None:
        for name, least in (("window", 1), ("headroom_blocks", 0), ("static_tokens", 0),
                            ("chunk_tokens", 1), ("swap_cost", 0), ("speculate", 0)):
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise ServingError(f"{name} must be at least {least}, not {value!r}")
        for name, known in (("grain", GRAINS), ("first", FIRST)):
            if getattr(self, name) not in known:
                raise ServingError(f"{name} must be one of {', '.join(known)}, not "
                                   f"{getattr(self, name)!r}")
        if self.speculate and (self.grain == "sequence" or self.swap_cost is not None):
            raise ServingError("speculate must be 0 with grain 'sequence', which leaves no slot "
                               f"empty, and with swap_cost, not {self.speculate!r}")
        if self.grain == "sequence" and self.chunk_tokens is not None:
            raise ServingError("chunk_tokens must not be given with grain 'sequence': a prompt is "
                               "one unit there")
