"""Numbers from outside: each with its unit, its spread and its source, read by one loader."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from ouroboros.hw.params.load import ConfigError, build, read_toml

__all__ = ["Value", "read_values"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """A number that no code derives. In TOML: ``{ mid = 3.3, unit = "mm2", source = ".." }``.

    Raises
    ------
    ValueError
        If it is no number, its spread does not hold it, or its source is empty.
    """

    UNIT: ClassVar[str] = ""
    """What ``unit`` must be; anything if empty."""

    mid: float
    """In ``unit``."""
    unit: str
    """For example ``um``, ``pJ/bit``; ``1`` for a ratio."""
    source: str
    """Publication, command, or reason."""
    low: float | None = None
    """Smallest that the sources leave open; ``mid`` if none is given."""
    high: float | None = None
    """Largest; likewise."""
    note: str = ""
    """What it is, where its name does not say."""

    def __post_init__(self) -> None:
        if not math.isfinite(self.mid):
            raise ValueError(f"mid must be a number, not {self.mid!r}")
        low, high = self.spread
        if not low <= self.mid <= high:
            raise ValueError(f"mid must be low to high ({low:g} to {high:g}), not {self.mid!r}")
        if not self.source.strip():
            raise ValueError("source must say where the value comes from, not be empty")
        if self.UNIT and self.unit != self.UNIT:
            raise ValueError(f"unit must be {self.UNIT!r}, not {self.unit!r}")

    @property
    def spread(self) -> tuple[float, float]:
        """From the smallest to the largest that the sources leave open."""
        return (self.mid if self.low is None else self.low,
                self.mid if self.high is None else self.high)

    def as_dict(self) -> dict[str, Any]:
        """For a file: what is given."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in found.items() if value not in (None, "")}


def read_values(path: Path) -> dict[str, Value]:
    """Values of a TOML file by dotted key.

    Raises
    ------
    ConfigError
        If the file cannot be read, or an entry is no value; the message names file and key.
    """
    return dict(_values(read_toml(path), path.name, ""))


def _values(table: Mapping[str, Any], where: str, prefix: str) -> list[tuple[str, Value]]:
    found: list[tuple[str, Value]] = []
    for name, entry in table.items():
        if not isinstance(entry, Mapping):
            raise ConfigError(f"{where}: {prefix}{name} must be a table of mid, unit and source, "
                              f"not {entry!r}")
        if any(isinstance(item, Mapping) for item in entry.values()):
            found += _values(entry, where, f"{prefix}{name}.")
        else:
            found.append((prefix + name, build(Value, entry, where=f"{where}.{prefix}{name}")))
    return found
