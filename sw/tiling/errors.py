"""What goes wrong in tiling, as one sentence."""

from ouroboros.sw.lib.errors import OuroborosError

__all__ = ["TilingError"]


class TilingError(OuroborosError):
    """A model that does not fit a machine, or rules that cannot be followed."""
