"""Compiled functions that keep their types."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

__all__ = ["compiled"]

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile a function of numbers, arrays and named tuples of them, once per machine."""
    return cast(Function, numba.njit(cache=True)(function))
