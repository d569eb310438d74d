"""What the wafer model takes for granted: every value with its unit and its source.

They stand in ``assumptions.toml``. Cycles of instructions and packets are not among them: they are
those of ``hw.params.timing``, asserted of the hardware.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

from ouroboros.hw.params.values import Value, read_values
from ouroboros.sw.perf.errors import PerfError

__all__ = ["ASSUMPTIONS", "STATEMENT", "assumptions"]

ASSUMPTIONS = Path(__file__).with_name("assumptions.toml")
STATEMENT = "yes"
"""Unit of what is no number but a statement."""


@cache
def _defaults() -> Mapping[str, Value]:
    return read_values(ASSUMPTIONS)


def assumptions(overrides: Mapping[str, float]) -> dict[str, Value]:
    """All assumptions by name, some with other values.

    Raises
    ------
    PerfError
        If one does not exist, is a statement, or is given a value that it cannot have.
    """
    found = dict(_defaults())
    changeable = [name for name, one in found.items() if one.unit != STATEMENT]
    for name, value in overrides.items():
        if name not in changeable:
            raise PerfError(f"assumption must be one of {', '.join(changeable)}, not {name!r}")
        if not 0 <= value < float("inf") or (name == "clock_ghz" and not value):
            raise PerfError(f"{name} must be a positive number, not {value!r}")
        default = found[name]
        found[name] = replace(
            default, mid=value, low=None, high=None,
            source=f"given by the user; default {default.mid} {default.unit}: {default.source}")
    return found
