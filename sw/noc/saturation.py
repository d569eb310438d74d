"""The load at which a network saturates: where mean latency reaches three times that of none."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sw.noc.options import LabOptions
from sw.noc.theory import channel_bound, zero_load_latency

__all__ = ["SATURATED", "saturation"]

SATURATED = 3.0
"""Multiple of the zero-load latency that counts as saturated, as BookSim2's tables have it."""
STEPS = 8


def saturation(options: LabOptions, run: Callable[[LabOptions], dict[str, Any]],
               steps: int = STEPS) -> float:
    """Largest offered load, found by halving, with mean latency below ``SATURATED`` x T0.

    Between 0 and the channel-load bound; ``steps`` runs, so exact to bound / 2**steps.
    """
    options = replace(options, rate=min(0.1, options.packet_flits))
    limit = SATURATED * zero_load_latency(options)
    low, high = 0.0, min(channel_bound(options), options.packet_flits)
    for _ in range(steps):
        rate = (low + high) / 2
        found = run(replace(options, rate=rate))
        if found["saturated"] or (found["packet_latency"] or 0) >= limit:
            high = rate
        else:
            low = rate
    return low
