"""What of hw/ the runs have reached: Verilator's counts, told of the lines of Python.

Verilator counts branches of processes and edges of each bit. The emitted Verilog says behind a line
which line of Python it comes from, so both are added up by that.
"""

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ouroboros.sw.lib.errors import OuroborosError

__all__ = ["REASONS", "ROOT", "CoverageError", "Line", "explained", "lines_of", "load_reasons",
           "points"]

ROOT = Path(__file__).resolve().parents[2]
REASONS = Path(__file__).with_name("unreached.toml")
_POINT = re.compile(r"C '(.*)' (\d+)$")
_COMMENT = re.compile(r"// (hw/\S+\.py):(\d+)")


class CoverageError(OuroborosError):
    """An entry of ``unreached.toml`` is not of the sources as they are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A line of Python that became Verilog."""

    file: str
    """Below the project's root."""
    number: int
    """From 1."""
    branches: int
    """Branches of processes that it became, over all modules."""
    reached: int
    """Those that some run took."""
    bits: int
    """Edges, up and down, of all bits that it became."""
    toggled: int
    """Those that some run has seen."""

    @property
    def text(self) -> str:
        """What stands there."""
        return (ROOT / self.file).read_text().splitlines()[self.number - 1].strip()

    @property
    def unreached(self) -> bool:
        """Nothing of it was: no branch taken, and no bit toggled."""
        return not self.reached and not self.toggled


def points(text: str) -> Iterable[tuple[str, int, str, int]]:
    """File, line, kind (``line``, ``branch``, ``toggle``), count of each of Verilator's points."""
    for row in text.splitlines():
        if match := _POINT.match(row):
            keys = dict(pair.split("\x02", 1) for pair in match[1].split("\x01") if pair)
            yield keys["f"], int(keys["l"]), keys["page"].split("/")[0][2:], int(match[2])


def lines_of(files: Iterable[Path]) -> tuple[Line, ...]:
    """Lines of hw/ of all files of coverage together, in the order of files and lines."""
    hits: dict[tuple[str, int, str, int], int] = defaultdict(int)
    seen: dict[str, dict[int, tuple[str, int]]] = {}
    for file in files:
        count: dict[tuple[str, int, str], int] = defaultdict(int)
        for source, line, kind, number in points(file.read_text(errors="replace")):
            count[source, line, kind] += 1
            hits[source, line, kind, count[source, line, kind]] += number
    found: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for (source, line, kind, _), number in hits.items():
        places = seen.setdefault(source, _places(Path(source)))
        at = places.get(max((n for n in places if n <= line), default=0))
        if at is not None:
            totals = found[at]
            first = 2 if kind == "toggle" else 0
            totals[first] += 1
            totals[first + 1] += number > 0
    return tuple(Line(file=file, number=number, branches=a, reached=b, bits=c, toggled=d)
                 for (file, number), (a, b, c, d) in sorted(found.items()))


def load_reasons(path: Path = REASONS) -> dict[tuple[str, str], str]:
    """Why lines are not reached, by file and text of the line.

    Raises
    ------
    CoverageError
        If a file or line is not there, or a reason is missing.
    """
    found = {}
    for n, entry in enumerate(tomllib.loads(path.read_text())["line"]):
        if set(entry) != {"file", "line", "reason"} or not all(entry.values()):
            raise CoverageError(f"{path.name}, entry {n + 1} must have file, line and reason")
        source = ROOT / entry["file"]
        if not source.is_file() or entry["line"] not in map(str.strip,
                                                            source.read_text().splitlines()):
            raise CoverageError(f"{path.name}, entry {n + 1}: line must be one of {entry['file']}, "
                                f"not {entry['line']!r}; take the entry out if it is gone")
        found[entry["file"], entry["line"]] = entry["reason"]
    return found


def explained(lines: Iterable[Line], reasons: dict[tuple[str, str], str],
              ) -> tuple[tuple[Line, str], ...]:
    """Lines that nothing has reached, each with its reason; "" if there is none."""
    return tuple((line, reasons.get((line.file, line.text), "")) for line in lines
                 if line.unreached)


def _places(source: Path) -> dict[int, tuple[str, int]]:
    """Python file and line by line of Verilog that has a comment."""
    return {n: (match[1], int(match[2]))
            for n, line in enumerate(source.read_text().splitlines(), 1)
            if (match := _COMMENT.search(line))}
