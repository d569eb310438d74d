"""How far an integer model is from the float model that it was made of."""

import math
from dataclasses import dataclass

__all__ = ["LIMIT_PERCENT", "Loss"]

LIMIT_PERCENT = 5.0
"""Perplexity that may be lost before a user is told."""
_EXPONENT_MAX = 300.0
"""Of figures that stay finite as percentages; what is lost beyond is no model any more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Loss:
    """Integer model against float model, teacher-forced on the same tokens."""

    tokens: int
    """Predictions compared."""
    float_perplexity: float
    """Of the float model."""
    integer_perplexity: float
    """Of the integer model."""
    perplexity_change_percent: float
    """Integer over float, minus one."""
    standard_error_percent: float | None
    """Of the change, from the paired differences of single tokens; None for a single one."""
    kl_nats: float
    """Mean KL divergence of the integer from the float distribution."""
    top1_agreement_percent: float
    """Positions where both models' likeliest token is the same."""

    @property
    def expected_change_percent(self) -> float:
        """Change of perplexity to expect on text of the float model's own: it is exp(KL) - 1.

        Unlike ``perplexity_change_percent`` it does not depend on which token came by chance, so
        that a few hundred predictions tell it to a fraction of a per cent.
        """
        return 100 * (exp(self.kl_nats) - 1)

    def warning(self) -> str | None:
        """What to say where more than ``LIMIT_PERCENT`` is lost; None where it is not."""
        change = self.expected_change_percent
        if change <= LIMIT_PERCENT:
            return None
        return (f"the integer model is far from the float model: {_rounded(change)} % more "
                f"perplexity (limit {LIMIT_PERCENT:g} %), KL divergence {self.kl_nats:.3g} nats, "
                f"same likeliest token in {self.top1_agreement_percent:.0f} % of {self.tokens} "
                "predictions")


def exp(exponent: float) -> float:
    """Exponential, finite also as a percentage."""
    return math.exp(min(exponent, _EXPONENT_MAX))


def _rounded(percent: float) -> str:
    return f"{percent:.1f}" if percent < 1e4 else f"{percent:.1e}"
