"""Errors of the network's host side."""

from ouroboros.sw.lib.errors import OuroborosError

__all__ = ["NocError"]


class NocError(OuroborosError):
    """Options, faults, routes or tables that the network cannot have."""
