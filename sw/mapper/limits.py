"""What the mapper refuses beside the limits of a block."""

from ouroboros.sw.lib.errors import OuroborosError

__all__ = ["MapperError"]


class MapperError(OuroborosError):
    """A program that cannot be placed where it is asked for; says why."""
