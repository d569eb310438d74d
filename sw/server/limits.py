"""What the server bears of its clients."""

from dataclasses import dataclass

from ouroboros.sw.lib.errors import OuroborosError

__all__ = ["Limits", "ServerError"]


class ServerError(OuroborosError):
    """A server that cannot start, or a machine that has stopped."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Bounds, each checked before anything reaches the machine.

    Raises
    ------
    ServerError
        If one is not positive.
    """

    requests: int = 32
    """Requests at once, those that wait included; more are told 429."""
    body_bytes: int = 1 << 20
    """Of a request."""
    body_s: float = 10.0
    """Until all of a request's body must have come."""
    request_s: float = 600.0
    """Until a request must have ended; then it is given up."""
    drain_s: float = 600.0
    """Until requests under way must have ended once the server is told to stop."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not getattr(self, name) > 0:
                raise ServerError(f"{name} must be above 0, not {getattr(self, name)!r}")
