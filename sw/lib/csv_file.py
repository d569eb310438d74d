"""CSV files with a head line, read with errors that name file, line and column."""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ouroboros.sw.lib import read
from ouroboros.sw.lib.errors import FileError

__all__ = ["Row", "read_rows"]

Number = TypeVar("Number", int, float)
SHOWN = 60
"""Characters of a value that a message repeats."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a file."""

    where: str
    """File and line, for messages."""
    line: int
    """Number of its last line in the file; the head is line 1."""
    cells: dict[str, str]
    """Text by column, without the space around it."""

    def whole(self, column: str, low: int, high: int) -> int:
        """A whole number, ``low`` to ``high``."""
        return self._number(column, int, "a whole number", low, high)

    def number(self, column: str, low: float, high: float) -> float:
        """A number, ``low`` to ``high``."""
        return self._number(column, float, "a number", low, high)

    def refuse(self, column: str, rule: str) -> FileError:
        """The error that a cell breaks a rule."""
        return FileError(f"{self.where}: {column} must be {rule}, "
                         f"not {self.cells[column]!r:.{SHOWN}}")

    def _number(self, column: str, kind: Callable[[str], Number], words: str, low: Number,
                high: Number) -> Number:
        text = self.cells[column]
        try:
            # Python's int and float also take 1_000 and digits of other scripts.
            if not text.isascii() or "_" in text:
                raise ValueError
            value = kind(text)
        except ValueError:
            raise self.refuse(column, words) from None
        if not low <= value <= high:
            raise self.refuse(column, f"{low:,} to {high:,}" if kind is int else
                              f"{low:g} to {high:g}")
        return value


def read_rows(path: Path, columns: tuple[str, ...], optional: tuple[str, ...] = (), *,
              others: bool = False) -> list[Row]:
    """Rows of a file; lines without any text are left out, and so is a byte order mark.

    Parameters
    ----------
    columns : tuple[str, ...]
        What the head line must name, in any order.
    optional : tuple[str, ...]
        What it may name besides.
    others : bool
        It may name anything else, too.

    Raises
    ------
    FileError
        If the file is no such table; the message names file, and line or column.
    """
    reader = csv.reader(io.StringIO(read.text(path, "a CSV file"), newline=""), strict=True)
    rows: list[Row] = []
    head: list[str] = []
    try:
        for fields in reader:
            cells = [field.strip() for field in fields]
            if not any(cells):
                continue
            where = f"{path}, line {reader.line_num}"
            if not head:
                head = _head(path, cells, columns, optional, others)
            elif len(cells) != len(head):
                raise FileError(f"{where}: must have {len(head)} fields, as the head line has, "
                                f"not {len(cells)}")
            else:
                rows.append(Row(where, reader.line_num, dict(zip(head, cells, strict=True))))
    except csv.Error as error:
        raise FileError(f"{path}, line {reader.line_num}: not CSV: {error}") from None
    if not head:
        _head(path, [], columns, optional, others)
    return rows


def _head(path: Path, found: list[str], columns: tuple[str, ...], optional: tuple[str, ...],
          others: bool) -> list[str]:
    doubled = [name for n, name in enumerate(found) if name in found[:n]]
    if doubled:
        raise FileError(f"{path}: must have each column once, not {doubled[0]!r:.{SHOWN}} twice")
    unknown = [] if others else [name for name in found if name not in columns + optional]
    if unknown or not set(columns) <= set(found):
        may = f" and may have {', '.join(optional)}" if optional else ""
        given = ", ".join(found) or "nothing"
        raise FileError(f"{path}: must have the columns {', '.join(columns)}{may}, "
                        f"not {given:.200}")
    return found
