"""How a float model becomes one of a scheme: what the integer model itself does not show."""

from dataclasses import dataclass

from ouroboros.sw.models.integer import QuantModelError
from ouroboros.sw.models.scheme import R2, R, Scheme

__all__ = ["RECIPES", "Recipe", "recipe"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """A scheme, and the choices that the quantiser makes for it."""

    scheme: Scheme
    """The integer definition; operands are narrowed where a sum could wrap."""
    residual_headroom: int
    """The residual format holds this many times the largest value of the calibration."""
    rotated: bool
    """Whether residual and values are turned and the rotary pairs of q and k balanced first
    (``sw.quantise.equivalent``)."""
    scales_per_value: bool
    """Whether V has a scale for every channel, its largest value, not one for every head."""


RECIPES = {
    "R": Recipe(scheme=R, residual_headroom=8, rotated=False, scales_per_value=False),
    "R2": Recipe(scheme=R2, residual_headroom=6, rotated=True, scales_per_value=True),
}
"""By the name of their scheme."""


def recipe(name: str) -> Recipe:
    """The recipe of a scheme by name.

    Raises
    ------
    QuantModelError
        If there is none.
    """
    if name not in RECIPES:
        raise QuantModelError(f"scheme must be one of {[*RECIPES]}, not {name!r}")
    return RECIPES[name]
