"""Two files of results beside each other: every figure that both have, and what differs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ouroboros.sw.lib import json_file
from ouroboros.sw.sweep.errors import SweepError

__all__ = ["Comparison", "Difference", "compare_files"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """A value that is not the same in both."""

    key: str
    """Dotted; the place in a list in brackets."""
    first: Any
    """In the first file."""
    second: Any
    """In the second."""

    @property
    def change(self) -> float | None:
        """Second over first, less 1; None: one is no number, or the first is 0."""
        values = self.first, self.second
        if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
            return None
        return self.second / self.first - 1 if self.first else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Two files."""

    differences: tuple[Difference, ...]
    """Largest change first; then what is no number, in the order of the first file."""
    same: int
    """Values that are equal."""
    only_first: tuple[str, ...]
    """Keys that the second has not."""
    only_second: tuple[str, ...]
    """Keys that the first has not."""

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {"same": self.same, "only_first": list(self.only_first),
                "only_second": list(self.only_second), "differences": [
                    {"key": one.key, "first": one.first, "second": one.second,
                     "change": one.change} for one in self.differences]}


def compare_files(first: Path, second: Path) -> Comparison:
    """Compare what two runs of one command wrote by ``--json``.

    Raises
    ------
    FileError
        If a file cannot be read.
    SweepError
        If they are of different commands, or of none.
    """
    held = [json_file.read_object(path) for path in (first, second)]
    marks = [one.get("schema") for one in held]
    for path, mark in zip((first, second), marks, strict=True):
        if not isinstance(mark, str) or not mark.startswith("ouroboros-"):
            raise SweepError(f"{path}: must be what an ouroboros command wrote by --json; key "
                             "'schema' is missing or another's")
    if marks[0] != marks[1]:
        raise SweepError(f"{second}: schema must be {marks[0]!r}, that of {first}, not "
                         f"{marks[1]!r}")
    one, other = (_flat(value, "") for value in held)
    differing = [Difference(key=key, first=one[key], second=other[key])
                 for key in one if key in other and not _equal(one[key], other[key])]
    differing.sort(key=lambda d: -abs(d.change) if d.change is not None else math.inf)
    return Comparison(
        differences=tuple(differing), same=len(one.keys() & other.keys()) - len(differing),
        only_first=tuple(key for key in one if key not in other),
        only_second=tuple(key for key in other if key not in one))


def _equal(one: Any, other: Any) -> bool:
    return bool(one == other and isinstance(one, bool) == isinstance(other, bool))


def _flat(value: Any, key: str) -> dict[str, Any]:
    """Leaves by dotted key; lists of named or keyed rows by their names."""
    if isinstance(value, Mapping):
        parts = {f"{key}.{name}" if key else str(name): part for name, part in value.items()}
    elif isinstance(value, list):
        named = all(isinstance(part, Mapping) and "name" in part for part in value)
        parts = {f"{key}[{part['name'] if named else n}]": part for n, part in enumerate(value)}
    else:
        return {key: value}
    return {leaf: item for name, part in parts.items() for leaf, item in _flat(part, name).items()}
