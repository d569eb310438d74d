"""The report of a regression as a page."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ouroboros.tb.regress.cases import Met
from ouroboros.tb.regress.coverage import Line
from ouroboros.tb.regress.run import Row

__all__ = ["write_page"]


def write_page(path: Path, rows: Sequence[Row], cases: Sequence[Met], lines: Sequence[Line],
               missing: Sequence[tuple[Line, str]]) -> None:
    """Table of runs, failures, cases, coverage by file, and each line that is not reached."""
    files = []
    for name, part in groupby(lines, key=lambda line: line.file):
        held = list(part)
        files.append({
            "name": name, "lines": len(held), "reached": sum(not line.unreached for line in held),
            **{key: sum(getattr(line, key) for line in held)
               for key in ("branches", "bits", "toggled")},
            "taken": sum(line.reached for line in held)})
    made = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True,
                       undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(made.get_template("page.html.j2").render(
        rows=rows, cases=cases, files=files, missing=missing))
