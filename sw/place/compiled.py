"""Compiled kernels: numba behind a typed decorator."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

__all__ = ["compiled", "inlined"]

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compiled(kernel: Kernel) -> Kernel:
    """Compile at first use, keep the result on disk, run without the interpreter's lock."""
    return cast(Kernel, numba.njit(cache=True, nogil=True)(kernel))


def inlined(kernel: Kernel) -> Kernel:
    """The same, for helpers that kernels call in their inner loops."""
    return cast(Kernel, numba.njit(nogil=True, inline="always")(kernel))
