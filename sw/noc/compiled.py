"""Compiled functions that keep their types."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

__all__ = ["compiled", "drop_stale"]

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile a function of numbers, arrays and named tuples of them, once per machine."""
    return cast(Function, numba.njit(cache=True)(function))


def drop_stale(folder: Path) -> None:
    """Delete what was compiled before any source of a folder changed.

    A compiled function is kept until its own file changes, also where it contains functions and
    constants of other files. What cannot be deleted is left: an installation does not change.
    """
    newest = max(path.stat().st_mtime for path in folder.glob("*.py"))
    for path in [*folder.glob("__pycache__/*.nbi"), *folder.glob("__pycache__/*.nbc")]:
        try:
            if path.stat().st_mtime < newest:
                path.unlink()
        except OSError:
            continue


drop_stale(Path(__file__).parent)
