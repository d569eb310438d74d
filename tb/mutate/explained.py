"""Survivors that are explained, one by one: ``survivors.toml``."""

import re
import tomllib
from pathlib import Path

from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.tb.mutate.netlist import Mutant

__all__ = ["ROOT", "SURVIVORS", "ExplainedError", "explain", "load_explained"]

ROOT = Path(__file__).resolve().parents[2]
SURVIVORS = Path(__file__).with_name("survivors.toml")


class ExplainedError(OuroborosError):
    """An entry of ``survivors.toml`` is not of the sources as they are."""


def load_explained(path: Path = SURVIVORS) -> dict[tuple[str, str], str]:
    """Reasons, by the line of Python (``hw/noc/port.py: m.d.comb += ...``) and change.

    Lines stand there by their text, since their numbers move with every edit.

    Raises
    ------
    ExplainedError
        If a file or line is not there, or a reason is missing.
    """
    found = {}
    for n, entry in enumerate(tomllib.loads(path.read_text())["survivor"]):
        where = f"{path.name}, entry {n + 1}"
        if set(entry) != {"file", "line", "change", "reason"} or not all(entry.values()):
            raise ExplainedError(f"{where} must have file, line, change and reason")
        source = ROOT / entry["file"]
        if not source.is_file() or entry["line"] not in map(str.strip,
                                                            source.read_text().splitlines()):
            raise ExplainedError(f"{where}: line must be one of {entry['file']}, not "
                                 f"{entry['line']!r}; take the entry out if it is gone")
        found[f"{entry['file']}: {entry['line']}", entry["change"]] = entry["reason"]
    return found


def explain(mutant: Mutant, reasons: dict[tuple[str, str], str]) -> tuple[str, str]:
    """The line of Python that a mutant changes, and why nobody notices; "" if unknown."""
    file, _, number = mutant.place.partition(":")
    source = ROOT / file
    if not number or not source.is_file():
        return mutant.place, ""
    line = f"{file}: {source.read_text().splitlines()[int(number) - 1].strip()}"
    return line, reasons.get((line, change(mutant)), "")


def change(mutant: Mutant) -> str:
    """What is changed, in words that stay the same while the module's source does.

    Cells of one line have the same kind often enough, so the cell's own name is needed.
    """
    cell = re.search(r"-cell (\S+)", mutant.options)
    name = cell[1].removeprefix("\\") if cell else ""
    return f"{mutant.mode} {mutant.cell}.{mutant.port} {name} in {mutant.module}"
