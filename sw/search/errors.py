"""What goes wrong in the search of mappings, as one sentence."""

from ouroboros.sw.lib.errors import OuroborosError

__all__ = ["SearchError"]


class SearchError(OuroborosError):
    """An instance, mapping or option that cannot be worked with."""
