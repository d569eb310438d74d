"""What may be chosen when a model is tiled."""

from dataclasses import dataclass

from ouroboros.sw.tiling.errors import TilingError

__all__ = ["TilingRules"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TilingRules:
    """Rules of tiling and traffic.

    Raises
    ------
    TilingError
        If a value is out of the range stated beside it.
    """

    spares_per_die: int = 4
    """Cores of each die that hold nothing, so that repairs stay local; at least 0."""
    members: int | None = None
    """Cores that share the tokens of a KV head, a power of two; None: as many as fit."""
    kv_to_all_members: bool = False
    """Whether a token's K and V go to every member of its head, as the programs of ``sw.mapper``
    send them (a member that does not own the token's block drops them). Else to the one member that
    keeps them: members take turns, so each gets its share of every token's bytes."""
    prompt_tokens: int = 1
    """With ``generated_tokens``, the mix of prefill and decode that volumes are averaged over; at
    least 0. It matters to an encoder-decoder, where prompt tokens pass the encoder and generated
    ones the decoder; a decoder's blocks and head send the same for both."""
    generated_tokens: int = 1
    """See ``prompt_tokens``; not both 0."""

    def __post_init__(self) -> None:
        for name in ("spares_per_die", "prompt_tokens", "generated_tokens"):
            if getattr(self, name) < 0:
                raise TilingError(f"{name} must be at least 0, not {getattr(self, name)}")
        if not self.prompt_tokens + self.generated_tokens:
            raise TilingError("prompt_tokens and generated_tokens must not both be 0")
        if self.members is not None and (self.members < 1 or self.members & self.members - 1):
            raise TilingError(f"members must be a power of two of at least 1, not {self.members}")

    @property
    def prompt_share(self) -> float:
        """Prompt tokens among all tokens."""
        return self.prompt_tokens / (self.prompt_tokens + self.generated_tokens)
