"""Tables in which figures are never cut, and words go on in the next line."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.measure import Measurement
from rich.table import Table

from ouroboros.sw.lib.text import Console

__all__ = ["cell", "print_whole", "table"]

WIDEST = 1000
"""Columns that no table needs."""


def table(*columns: str, title: str = "", right: Iterable[int] = (),
          widest: Mapping[int, int] | None = None) -> Table:
    """An empty table whose columns do not break words of figures.

    Parameters
    ----------
    columns : str
        Titles.
    right : Iterable[int]
        Columns of figures.
    widest : Mapping[int, int], optional
        Characters of columns of words at most, by column; what is longer takes more lines.
    """
    found = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False,
                  collapse_padding=True, show_edge=False)
    figures = {*right}
    for n, name in enumerate(columns):
        found.add_column(name, justify="right" if n in figures else "left", overflow="fold",
                         max_width=(widest or {}).get(n))
    return found


def cell(value: Any, form: str) -> str:
    """A figure in a format such as ``,.1f``; empty where there is none."""
    return "" if value is None else format(value, form)


def print_whole(table: Table) -> None:
    """Print a table at its full width: figures are never cut, also where output is piped."""
    console = Console()
    width = Measurement.get(console, console.options.update(max_width=WIDEST), table).maximum
    Console(width=max(console.width, width)).print(table)
