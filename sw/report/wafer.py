"""The estimate of a full wafer, in the form in which the demo prints it."""

import importlib
from typing import Any

__all__ = ["wafer_estimate"]


def wafer_estimate() -> dict[str, Any] | None:
    """Title, lead, figures (name, value, unit), assumptions and the command that makes them."""
    try:
        importlib.import_module("sw.perf.wafer")
    except ModuleNotFoundError:
        return None
    return None
