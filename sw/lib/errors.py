"""The root of the errors a user can cause: a bad file, a bad value, a machine that is too small."""

__all__ = ["FileError", "OuroborosError"]


class OuroborosError(ValueError):
    """One sentence that names what is wrong and where; the command line prints it and exits 2."""


class FileError(OuroborosError):
    """A file that cannot be used; the message names it and, where there is one, the key."""
