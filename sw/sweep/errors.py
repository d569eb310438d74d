"""What is wrong with a sweep."""

from ouroboros.sw.lib.errors import OuroborosError

__all__ = ["SweepError"]


class SweepError(OuroborosError):
    """A sweep cannot be run, or its results not be used."""
