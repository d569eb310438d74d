"""``ouroboros compare``: two files of results beside each other."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.cli.tables import table
from ouroboros.sw.lib.options import Options, option
from ouroboros.sw.sweep.compare import compare_files

__all__ = ["CompareOptions", "compare"]

SHOWN = 30
"""Differences that are printed without -v."""
WIDEST = 40


@dataclass(frozen=True, kw_only=True)
class CompareOptions(Options):
    """Two files."""

    first: Path = option(placed=True, metavar="A.json")
    """What a command wrote by --json."""
    second: Path = option(placed=True, metavar="B.json")
    """What it wrote another time."""


@command(CompareOptions)
def compare(options: CompareOptions, output: Output) -> dict[str, Any]:
    """Compare two files that one command wrote by --json: every value that differs.

    The largest changes come first.
    """
    found = compare_files(options.first, options.second)
    output.say(f"{found.same:,} values are equal, {len(found.differences):,} differ; "
               f"{len(found.only_first):,} are in the first only, {len(found.only_second):,} in "
               "the second only")
    shown = table("value", "first", "second", "change, %", right=(1, 2, 3), widest={0: WIDEST})
    for n, one in enumerate(found.differences):
        if n >= SHOWN and not output.verbose:
            break
        change = "" if one.change is None else f"{100 * one.change:+.3g}"
        shown.add_row(one.key, *(_short(value) for value in (one.first, one.second)), change)
    if found.differences:
        output.show(shown)
    if len(found.differences) > SHOWN and not output.verbose:
        output.say(f"{len(found.differences) - SHOWN:,} more: -v")
    return found.as_dict()


def _short(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= WIDEST else text[:WIDEST - 2] + ".."
