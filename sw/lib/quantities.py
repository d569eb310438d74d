"""Dataclasses of sourced numbers, each with the unit that its field asks for."""

from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, TypeVar

from ouroboros.hw.params.values import Value

__all__ = ["CORNERS", "Quantities", "at", "quantity"]

CORNERS = ("low", "mid", "high")
"""Of a value's spread: the smallest that its sources leave open, the one chosen, the largest."""

Own = TypeVar("Own", bound="Quantities")


def quantity(unit: str, *, zero: bool = False) -> Any:
    """A field that holds a ``Value`` in this unit, above 0 (or at least 0 if ``zero``)."""
    return field(metadata={"unit": unit, "zero": zero})


def at(value: Value, corner: str) -> float:
    """A value at a corner of ``CORNERS``."""
    return {"low": value.spread[0], "mid": value.mid, "high": value.spread[1]}[corner]


@dataclass(frozen=True, kw_only=True)
class Quantities:
    """Base of dataclasses whose fields are all made by ``quantity``; read by ``hw.params.load``.

    Raises
    ------
    ValueError
        If a value has another unit than its field, or is not positive.
    """

    WORDS: ClassVar[str] = "quantity"
    """What one of the fields is called in errors."""

    def __post_init__(self) -> None:
        for one in fields(self):
            value, unit = getattr(self, one.name), one.metadata["unit"]
            if value.unit != unit:
                raise ValueError(f"unit of {one.name} must be {unit!r}, not {value.unit!r}")
            low = value.spread[0]
            if low < 0 or (low == 0 and not one.metadata["zero"]):
                least = "at least 0" if one.metadata["zero"] else "above 0"
                raise ValueError(f"{one.name} must be {least}, not {low!r}")

    def with_values(self: Own, given: dict[str, float], source: str) -> Own:
        """Some with other values, without a spread.

        Parameters
        ----------
        source : str
            Of all the values given.

        Raises
        ------
        ValueError
            If there is no such field, or its value is not positive.
        """
        known = [one.name for one in fields(self)]
        for name in given:
            if name not in known:
                raise ValueError(f"{self.WORDS} must be one of {', '.join(known)}, not {name!r}")
        return replace(self, **{
            name: replace(getattr(self, name), mid=value, low=None, high=None, source=source)
            for name, value in given.items()})

    def as_dict(self) -> dict[str, Any]:
        """For a file: every value with unit and source."""
        return {one.name: getattr(self, one.name).as_dict() for one in fields(self)}
