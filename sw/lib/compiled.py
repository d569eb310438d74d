"""Compiled kernels: numba behind typed decorators, and a cache that no stale code outlives."""

import hashlib
import inspect
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core import config as _config

from ouroboros.sw.lib.folders import cache_folder

__all__ = ["compiled", "digest", "inlined", "sources"]

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

config: Any = _config
_PACKAGE = __name__.partition(".")[0]
_ROOT = Path(__file__).resolve().parents[2]
_IMPORT = re.compile(
    rf"^\s*from {_PACKAGE}\.([\w.]+) import (?:\(([^)]*)\)|([\w, ]+))", re.MULTILINE)


def compiled(kernel: Kernel) -> Kernel:
    """Compile at first use, keep the result on disk, run without the interpreter's lock.

    What is kept belongs to the text of the kernel's file and of every file of the project that it
    imports, directly or not: numba by itself looks at the kernel's own file only, and would go on
    with functions and constants of the others as they were.
    """
    source = Path(inspect.getfile(kernel)).resolve()
    # numba reads the folder of its cache when a function is decorated.
    before, config.CACHE_DIR = config.CACHE_DIR, str(cache_folder("kernels") / digest(source))
    try:
        return cast(Kernel, numba.njit(cache=True, nogil=True)(kernel))
    finally:
        config.CACHE_DIR = before


def inlined(kernel: Kernel) -> Kernel:
    """For helpers that kernels call in their inner loops: part of each kernel that calls them."""
    return cast(Kernel, numba.njit(nogil=True, inline="always")(kernel))


def digest(source: Path) -> str:
    """Digest of a source file and all files of the project that it depends on."""
    total = hashlib.sha256()
    for path in sources(source):
        total.update(path.name.encode() + b"\0" + path.read_bytes())
    return total.hexdigest()[:16]


def sources(source: Path) -> list[Path]:
    """A source file and every file of the project that it imports, directly or not; sorted."""
    found: set[Path] = set()
    waiting = [source]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting.extend(_imports(path))
    return sorted(found)


@cache
def _imports(source: Path) -> tuple[Path, ...]:
    found = []
    for module, wrapped, plain in _IMPORT.findall(source.read_text(encoding="utf-8")):
        base = _ROOT.joinpath(*module.split("."))
        candidates = [base.with_suffix(".py"),
                      *(base / f"{name.split()[0]}.py" for name in (wrapped or plain).split(",")
                        if name.strip())]
        found += [path for path in candidates if path.is_file()]
    return tuple(found)
