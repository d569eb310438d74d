"""A published figure beside the model's, and the file that published ones are read from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ouroboros.sw.lib.json_file import read_object
from ouroboros.sw.tier.errors import TierError

__all__ = ["STATUS", "Bar", "Bars", "Group", "read_bars"]

STATUS = ("derived", "fitted", "held out", "not comparable")
"""derived: no published bar was used; fitted: this one was; held out: others of its kind were; not
comparable: no model with the published constants can give it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """One figure."""

    name: str
    """What it is."""
    ours: float
    """The model's."""
    published: float | None = None
    """The publication's, if a file of bars is given or its text says it."""
    status: str = "derived"
    """Of ``STATUS``."""
    note: str = ""
    """What else is to be known."""

    @property
    def error(self) -> float | None:
        """Relative; none without a published figure."""
        return None if self.published is None else self.ours / self.published - 1

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {"name": self.name, "ours": self.ours, "published": self.published,
                "error": self.error, "status": self.status, "note": self.note}


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Figures of one kind, and how far off they may be."""

    title: str
    """What they are."""
    bars: tuple[Bar, ...]
    """The figures."""
    most: float
    """Error that each may have."""
    mean: float | None = None
    """Mean error that they may have, if that is limited."""
    words: tuple[str, ...] = ()
    """What is to be said about them."""
    limited: str = "each"
    """``each``, ``mean`` or ``none``: what the limits hold for."""

    @property
    def errors(self) -> list[float]:
        """Of all that were not fitted and can be compared, without sign."""
        return [abs(bar.error) for bar in self.bars
                if bar.error is not None and bar.status in ("derived", "held out")]

    @property
    def mean_error(self) -> float | None:
        """Of these."""
        return sum(self.errors) / len(self.errors) if self.errors else None

    @property
    def holds(self) -> bool | None:
        """Whether they are as near as they shall be; none where nothing can be compared."""
        if not self.errors or self.limited == "none" or self.mean_error is None:
            return None
        each = self.limited != "each" or max(self.errors) <= self.most
        return each and (self.mean is None or self.mean_error <= self.mean)

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {"title": self.title, "bars": [bar.as_dict() for bar in self.bars],
                "most_allowed": self.most if self.limited == "each" else None,
                "mean_allowed": self.mean,
                "most_error": max(self.errors, default=None), "mean_error": self.mean_error,
                "holds": self.holds, "words": list(self.words)}


@dataclass(frozen=True, slots=True)
class Bars:
    """A file of bars, or none."""

    path: Path | None
    """Which."""
    table: dict[str, Any]
    """What it holds."""

    def at(self, *keys: str | int) -> Any:
        """A value by its keys; none without a file.

        Raises
        ------
        TierError
            If the file has no such key.
        """
        if self.path is None:
            return None
        found: Any = self.table
        for n, key in enumerate(keys):
            try:
                found = found[key]
            except (KeyError, IndexError, TypeError):
                where = ".".join(map(str, keys[:n + 1]))
                raise TierError(f"{self.path}: must have the key {where} (docs/tier.md says what "
                                f"a file of bars holds)") from None
        return found

    def number(self, *keys: str | int) -> float | None:
        """A number above 0; none without a file, or where the publication has no bar."""
        found = self.at(*keys)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int | float) or not found > 0:
            raise TierError(f"{self.path}: {'.'.join(map(str, keys))} must be a number above 0, "
                            f"not {found!r}")
        return float(found)

    def numbers(self, count: int, *keys: str | int) -> Sequence[float | None]:
        """A list of them."""
        return [self.number(*keys, n) for n in range(count)]


def read_bars(path: Path | None) -> Bars:
    """A JSON file of bars, as docs/tier.md says; none gives figures of the model alone."""
    return Bars(None, {}) if path is None else Bars(path, read_object(path, TierError))
