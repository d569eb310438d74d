"""What goes wrong when a program is read back, as one sentence."""

from ouroboros.sw.lib.errors import OuroborosError

__all__ = ["ProgramError"]


class ProgramError(OuroborosError):
    """A placed program that cannot be read back, or uses what no model knows."""
