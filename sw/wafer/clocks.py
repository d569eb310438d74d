"""Clocks and limits of power that results are given at."""

from functools import cache
from pathlib import Path

from ouroboros.hw.params.values import Value, read_values

__all__ = ["CAPS_W", "CLOCKS", "clocks"]

CLOCKS = Path(__file__).with_name("clocks.toml")
CAPS_W = (5_600.0, 15_000.0, 23_000.0)
"""0.86 of a DGX A100's 6.5 kW, which the paper's throughput and energy beside it come to (arXiv
2603.02737); a WSE-2's; a CS-2 system's."""


@cache
def clocks() -> dict[str, Value]:
    """GHz by name, each with its source."""
    return dict(read_values(CLOCKS))

