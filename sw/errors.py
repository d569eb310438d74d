"""The root of the errors a user can cause: a bad file, a bad value, a machine that is too small."""

__all__ = ["OuroborosError"]


class OuroborosError(ValueError):
    """One sentence that names what is wrong and where; the command line prints it and exits 2."""
