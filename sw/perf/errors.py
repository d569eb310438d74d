"""What goes wrong in the performance models, as one sentence."""

from ouroboros.sw.lib.errors import OuroborosError

__all__ = ["PerfError"]


class PerfError(OuroborosError):
    """A program, model or option that a performance model cannot work with."""
