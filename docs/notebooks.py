"""Notebooks made from the tutorials' scripts: ``python -m ouroboros.docs.notebooks``.

A script is in percent format: ``# %%`` begins a cell of code, ``# %% [markdown]`` one of text in
comments. The notebook holds the same cells, without outputs.
"""

import json
from collections.abc import Iterator
from pathlib import Path

__all__ = ["FOLDER", "cells", "main", "notebook", "notebooks"]

FOLDER = Path(__file__).resolve().parent / "tutorials"
CODE, TEXT = "# %%", "# %% [markdown]"


def main() -> None:
    """Write every notebook that has changed, and say which."""
    for path, text in notebooks():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(path)


def notebooks() -> Iterator[tuple[Path, str]]:
    """File and text of every notebook."""
    for script in sorted(FOLDER.glob("*.py")):
        yield script.with_suffix(".ipynb"), notebook(script.read_text(encoding="utf-8"))


def notebook(script: str) -> str:
    """A script in percent format as a notebook of format 4.5."""
    made = []
    for n, (kind, lines) in enumerate(cells(script)):
        cell: dict[str, object] = {
            "cell_type": kind, "id": f"cell-{n}", "metadata": {},
            "source": [f"{line}\n" for line in lines[:-1]] + lines[-1:]}
        if kind == "code":
            cell |= {"execution_count": None, "outputs": []}
        made.append(cell)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return json.dumps({"cells": made, "metadata": {"kernelspec": kernel},
                       "nbformat": 4, "nbformat_minor": 5}, indent=1) + "\n"


def cells(script: str) -> Iterator[tuple[str, list[str]]]:
    """Kind and lines of every cell.

    Raises
    ------
    ValueError
        If the script does not begin with a cell, or a cell of text has a line of code.
    """
    found: list[tuple[str, list[str]]] = []
    for number, line in enumerate(script.splitlines(), 1):
        if line in (CODE, TEXT):
            found.append(("markdown" if line == TEXT else "code", []))
        elif not found:
            raise ValueError(f"line {number} must be {CODE!r} or {TEXT!r}, not {line!r}")
        elif found[-1][0] == "code" or not line.strip():
            found[-1][1].append(line)
        elif line.startswith("# ") or line == "#":
            found[-1][1].append(line[2:])
        else:
            raise ValueError(f"line {number} of a text must begin with '# ', not {line!r}")
    for kind, lines in found:
        while lines and not lines[-1].strip():
            lines.pop()
        yield kind, lines


if __name__ == "__main__":
    main()
