"""Compiled kernels: numba behind typed decorators, and a cache that no stale code outlives."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core import config as _config

from ouroboros.sw.lib.folders import cache_folder
from ouroboros.sw.lib.sources import digest

__all__ = ["compiled", "embedded", "inlined"]

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

config: Any = _config


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


def embedded(kernel: Kernel) -> Kernel:
    """As ``inlined``, but at the end of compilation.

    For helpers with many arrays: ``inlined`` counts references to each wherever one is called.
    """
    return cast(Kernel, numba.njit(nogil=True, forceinline=True)(kernel))
