"""What goes wrong in placement, as one sentence."""

from ouroboros.sw.lib.errors import OuroborosError

__all__ = ["PlaceError"]


class PlaceError(OuroborosError):
    """An instance, placement or option that cannot be worked with."""
