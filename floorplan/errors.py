"""What goes wrong in a floorplan, as one sentence."""

from ouroboros.sw.lib.errors import OuroborosError

__all__ = ["FloorplanError"]


class FloorplanError(OuroborosError):
    """Rules that no layout can obey, or a file that does not belong to the machine."""
