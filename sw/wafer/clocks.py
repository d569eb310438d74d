"""Clocks that results are given at, and what a limit of power leaves of a throughput."""

from functools import cache
from pathlib import Path

from ouroboros.hw.params.values import Value, read_values
from ouroboros.sw.perf.errors import PerfError

__all__ = ["CAPS_W", "CLOCKS", "capped", "clocks"]

CLOCKS = Path(__file__).with_name("clocks.toml")
CAPS_W = (5_600.0, 15_000.0, 23_000.0)
"""0.86 of a DGX A100's 6.5 kW, which the paper's throughput and energy beside it come to (arXiv
2603.02737); a WSE-2's; a CS-2 system's."""


@cache
def clocks() -> dict[str, Value]:
    """GHz by name, each with its source."""
    return dict(read_values(CLOCKS))


def capped(tokens_per_s: float, joules_per_token: float, idle_w: float, cap_w: float) -> float:
    """Tokens a second that are left within a limit of power.

    A machine that would draw more is throttled until it does not.

    Parameters
    ----------
    tokens_per_s : float
        Without a limit.
    joules_per_token : float
        Energy of a token, leakage left out.
    idle_w : float
        Power without any token: leakage.
    cap_w : float
        The limit.

    Raises
    ------
    PerfError
        If the idle machine draws more than that.
    """
    if idle_w > cap_w:
        raise PerfError(f"power cap must be at least {idle_w:g} W, what the idle machine draws, "
                        f"not {cap_w:g} W")
    if joules_per_token <= 0:
        return tokens_per_s
    return min(tokens_per_s, (cap_w - idle_w) / joules_per_token)
