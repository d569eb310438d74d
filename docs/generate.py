"""Writes what is made from code: ``python -m ouroboros.docs.generate``, or ``make docs``.

Pages below ``docs/generated``, the table of blocks, the outputs in the tour, the index of decisions
in ``DECISIONS.md``, and the list of files in the README of every folder.
"""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from ouroboros.docs.blocks import blocks_page
from ouroboros.docs.pages import PAGES
from ouroboros.docs.text import first_sentence, item
from ouroboros.docs.tour import STEPS

__all__ = ["ROOT", "decisions", "folders", "made", "main"]

ROOT = Path(__file__).resolve().parents[1]
FILES = re.compile(r"(?<=<!-- files -->\n).*?(?=<!-- end -->)", re.DOTALL)
"""What a folder's README has between these marks is made from the docstrings of its files."""
SHOWN = re.compile(r"(?<=<!-- tour: )(\w+)( -->\n).*?(?=<!-- end -->)", re.DOTALL)
"""What the tour has between these marks is the output of that step."""
OUTPUT = re.compile(r"(?<=<!-- output: )([^\n]+)( -->\n).*?(?=<!-- end -->)", re.DOTALL)
"""What the README has between these marks is what the command prints first."""
HEADLINE = re.compile(r"\S.* tokens/s ")
OUTPUT_LINES = 15
HEADING = re.compile(r"^## (\d+)\. (.+)\n\n\*(\d{4}-\d\d-\d\d)(?:; (.+))?\*$", re.MULTILINE)
"""A decision: number, title, date, and a mark where another replaced it."""
INDEX = """\
# Decisions

Numbered and dated; what was chosen, why, what was refused. The texts stand by area in
`docs/decisions`; the network's own, with their proofs, in `docs/network.md`. A mark in italics says
where a later one replaced or extended an earlier one. This index is made by `make docs`.
"""
NETWORK = """\
- No circle of channels: XY on each class, classes entered in one order
  ([network](docs/network.md#xy))
- Claims: who finds no credit waits for a channel of its own
  ([network](docs/network.md#multicast))
"""


def main() -> None:
    """Write every file whose text has changed, and say which."""
    for path, make in made():
        text = make()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(path.relative_to(ROOT))


def made() -> Iterator[tuple[Path, Callable[[], str]]]:
    """Every file that is made from code, with what gives its text as it should be."""
    for name, page in PAGES.items():
        yield ROOT / "docs" / "generated" / name, page
    yield ROOT / "docs" / "blocks.md", blocks_page
    yield ROOT / "docs" / "tour.md", _tour
    yield ROOT / "DECISIONS.md", _index
    yield ROOT / "README.md", _front
    for folder in folders():
        if (folder / "README.md").exists():
            yield folder / "README.md", partial(_readme, folder)


def folders() -> list[Path]:
    """Every folder of ``hw``, ``sw``, ``tb`` and ``floorplan`` that holds files of the project."""
    return sorted({path.parent for part in ("hw", "sw", "tb", "floorplan")
                   for path in (ROOT / part).rglob("*.*")
                   if path.is_file() and "__pycache__" not in path.parts})


def decisions() -> list[tuple[int, str, str, str, str]]:
    """Number, title, date, mark and area of every decision, by number."""
    found = []
    for path in sorted((ROOT / "docs" / "decisions").glob("*.md")):
        for number, title, date, mark in HEADING.findall(path.read_text(encoding="utf-8")):
            found.append((int(number), title, date, mark, path.stem))
    return sorted(found)


def _front() -> str:
    return OUTPUT.sub(_output, (ROOT / "README.md").read_text(encoding="utf-8"))


def _output(mark: re.Match[str]) -> str:
    """The lines of a command's output from its headline on."""
    words = [sys.executable, "-m", "ouroboros.sw.cli.main", *mark[1].split()[1:]]
    run = subprocess.run(words, capture_output=True, text=True, check=True,
                         env={**os.environ, "COLUMNS": "80"})
    lines = [line.rstrip() for line in run.stdout.splitlines()]
    first = next(n for n, line in enumerate(lines) if HEADLINE.match(line))
    shown = "\n".join(lines[first:first + OUTPUT_LINES])
    return f"{mark[1]}{mark[2]}```text\n$ {mark[1]}\n{shown}\n..\n```\n"


def _tour() -> str:
    return SHOWN.sub(_shown, (ROOT / "docs" / "tour.md").read_text(encoding="utf-8"))


def _readme(folder: Path) -> str:
    return FILES.sub(lambda _: _listing(folder),
                     (folder / "README.md").read_text(encoding="utf-8"))


def _shown(mark: re.Match[str]) -> str:
    command = f"$ python -m ouroboros.docs.tour {mark[1]}"
    return f"{mark[1]}{mark[2]}```text\n{command}\n{STEPS[mark[1]]()}\n```\n"


def _index() -> str:
    lines = [item(f"**{number}** {title} ({date}, [{area}](docs/decisions/{area}.md))"
                  + (f" *{mark}*" if mark else ""))
             for number, title, date, mark, area in decisions()]
    return INDEX + "\n" + "\n".join(lines) + "\n\n## The network's own\n\n" + NETWORK


def _listing(folder: Path) -> str:
    lines = []
    for path in sorted(folder.glob("*.py")):
        doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        if doc and path.name != "__init__.py":
            lines.append(item(f"`{path.name}`: {first_sentence(doc)}"))
    return "\n".join(lines) + "\n" if lines else ""


if __name__ == "__main__":
    main()
