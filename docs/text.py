"""Text of pages out of code: docstrings of fields and constants, lines of at most 98 columns."""

import ast
import inspect
import textwrap
from collections.abc import Iterable, Sequence
from itertools import pairwise
from types import ModuleType

__all__ = ["WIDTH", "constants", "first_sentence", "item", "members", "paragraph", "table"]

WIDTH = 98
"""Columns of a generated line."""


def paragraph(text: str, first: str = "", rest: str = "") -> str:
    """Text on lines of at most ``WIDTH`` columns, behind ``first`` and then ``rest``."""
    text = " ".join(text.replace("``", "`").split())
    return textwrap.fill(text, WIDTH, initial_indent=first, subsequent_indent=rest,
                         break_long_words=False, break_on_hyphens=False)


def item(text: str) -> str:
    """One item of a list."""
    return paragraph(text, "- ", "  ")


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Markdown table."""
    lines = ["|" + "|".join(f" {cell} " if str(cell) else " " for cell in line) + "|"
             for line in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


def members(cls: type) -> dict[str, str]:
    """Name and docstring of every field or enumeration member of a class that has one."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    assert isinstance(tree, ast.ClassDef)
    return _documented(tree.body)


def constants(module: ModuleType) -> dict[str, str]:
    """Name and docstring of every constant of a module that has one."""
    return _documented(ast.parse(inspect.getsource(module)).body)


def first_sentence(doc: str) -> str:
    """A docstring's first paragraph, on one line."""
    return " ".join(doc.split("\n\n", maxsplit=1)[0].split())


def _documented(body: Sequence[ast.stmt]) -> dict[str, str]:
    found = {}
    for stmt, after in pairwise(body):
        target = stmt.target if isinstance(stmt, ast.AnnAssign) else (
            stmt.targets[0] if isinstance(stmt, ast.Assign) else None)
        if (isinstance(target, ast.Name) and isinstance(after, ast.Expr)
                and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str)):
            found[target.id] = " ".join(after.value.value.split())
    return found
