"""A sweep as a table: columns of keys and figures; CSV, Parquet, the set that nothing beats."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ouroboros.sw.lib.write import replaced, write
from ouroboros.sw.sweep.engine import REFUSED
from ouroboros.sw.sweep.errors import SweepError
from ouroboros.sw.sweep.point import Point

__all__ = ["HEAD", "Goal", "columns", "csv_text", "pareto", "parse_goal", "rows",
           "write_csv", "write_parquet"]

Row = dict[str, Any]
Goal = tuple[str, bool]
"""Column, and whether more of it is better."""
HEAD = "refused"
"""Last column of every table, and so what its CSV file's head line holds."""


def rows(points: Sequence[Point], found: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Keys of the point, then figures; ``refused`` says why there are none."""
    return [{**point, **{key: value for key, value in one.items() if key != REFUSED},
             HEAD: one.get(REFUSED, "")} for point, one in zip(points, found, strict=True)]


def columns(table: Sequence[Row]) -> list[str]:
    """All columns of all rows, in the order of the first that has each; ``refused`` last."""
    names = dict.fromkeys(name for row in table for name in row if name != HEAD)
    return [*names, HEAD]


def csv_text(table: Sequence[Row]) -> str:
    """The table as CSV; what a row does not have is empty."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, columns(table), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: "" if value is None else value for key, value in row.items()}
                     for row in table)
    return out.getvalue()


def write_parquet(path: Path, table: Sequence[Row]) -> None:
    """The table as a Parquet file; columns of numbers stay numbers.

    Raises
    ------
    SweepError
        If pyarrow is not installed.
    FileError
        If the system refuses.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise SweepError(f"{path}: a Parquet file needs pyarrow: install the project with its "
                         "extra 'sweep', or use --csv") from None
    data = {name: [row.get(name) for row in table] for name in columns(table)}
    for name, values in data.items():
        kinds = {type(value) for value in values if value is not None}
        if kinds == {int, float}:
            data[name] = [None if value is None else float(value) for value in values]
        elif len(kinds) > 1:
            data[name] = [None if value is None else str(value) for value in values]
    with replaced(path) as aside:
        pyarrow.parquet.write_table(pyarrow.table(data), aside)


def write_csv(path: Path, table: Sequence[Row]) -> None:
    """The table as a CSV file.

    Raises
    ------
    FileError
        If the system refuses.
    """
    write(path, csv_text(table))


def parse_goal(text: str) -> Goal:
    """A goal such as ``max:output_tokens_per_s`` or ``min:joules_per_output_token``.

    Raises
    ------
    SweepError
        If it is neither.
    """
    how, _, name = text.partition(":")
    if how not in ("max", "min") or not name:
        raise SweepError(f"a goal must be max:COLUMN or min:COLUMN, not {text!r}")
    return name, how == "max"


def pareto(table: Sequence[Row], goals: Sequence[Goal]) -> list[int]:
    """Rows that no other row equals or beats in every goal and beats in one.

    Parameters
    ----------
    table : sequence of rows
        Rows without a number for every goal are left out.

    Raises
    ------
    SweepError
        If no row has a number for a goal.
    """
    for name, _ in goals:
        if not any(isinstance(row.get(name), int | float) for row in table):
            known = ", ".join(c for c in columns(table) if c != HEAD)
            raise SweepError(f"a goal must be a column of numbers of {known}, not {name!r}")
    have = [n for n, row in enumerate(table)
            if all(isinstance(row.get(name), int | float) for name, _ in goals)]
    worth = {n: tuple((1 if more else -1) * table[n][name] for name, more in goals) for n in have}
    return [n for n in have if not any(
        worth[other] != worth[n] and all(a >= b for a, b in zip(worth[other], worth[n],
                                                                strict=True))
        for other in have)]
