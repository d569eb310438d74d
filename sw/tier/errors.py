"""What users can get wrong about a memory tier."""

from ouroboros.sw.lib.errors import OuroborosError

__all__ = ["TierError"]


class TierError(OuroborosError):
    """An organisation that cannot exist, a pool that is too small, a trace that does not fit."""
