"""What users can get wrong about baselines."""

from ouroboros.sw.lib.errors import OuroborosError

__all__ = ["BaselineError"]


class BaselineError(OuroborosError):
    """A model, traffic or points that a baseline cannot take."""
