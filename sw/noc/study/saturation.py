"""The load at which a network saturates: where mean latency reaches three times that of none."""

from collections.abc import Callable

from ouroboros.sw.noc.experiment.lab import Run
from ouroboros.sw.noc.experiment.options import LabOptions
from ouroboros.sw.noc.load.theory import channel_bound, zero_load_latency

__all__ = ["SATURATED", "highest", "saturation"]

SATURATED = 3.0
"""Multiple of the zero-load latency that counts as saturated, as BookSim2's tables have it."""
STEPS = 8


def saturation(options: LabOptions, run: Run, steps: int = STEPS) -> float:
    """Largest offered load, found by halving, with mean latency below ``SATURATED`` x T0.

    Between 0 and the channel-load bound; ``steps`` runs, so exact to bound / 2**steps.
    """
    options = options.offering(min(0.1, options.traffic.packet_flits))
    limit = SATURATED * zero_load_latency(options)

    def over(rate: float) -> bool:
        found = run(options.offering(rate))
        return found.saturated or (found.packet_latency or 0) >= limit

    return highest(over, min(channel_bound(options), options.traffic.packet_flits), steps)


def highest(over: Callable[[float], bool], high: float, steps: int = STEPS) -> float:
    """Highest load that is not ``over``, found by halving, exact to ``high`` / 2**steps."""
    low = 0.0
    for _ in range(steps):
        rate = (low + high) / 2
        if over(rate):
            high = rate
        else:
            low = rate
    return low
