"""What a search makes small, compiled: powers of energy and latency, given up once too large."""

from typing import Any

import numpy as np

from ouroboros.sw.lib.compiled import compiled
from ouroboros.sw.search.evaluation.alone import alone
from ouroboros.sw.search.evaluation.contend import LATE, contend
from ouroboros.sw.search.evaluation.issue import issue
from ouroboros.sw.search.evaluation.tables import Tables
from ouroboros.sw.search.evaluation.work import Work
from ouroboros.sw.search.problem.layers import Ints
from ouroboros.sw.search.problem.mapping import Chips, Cuts

__all__ = ["NEVER", "OBJECTIVES", "cost_up_to"]

NEVER = 1e300
"""Cost of a mapping that was given up."""
OBJECTIVES = {"edp": (1, 1), "ed2p": (1, 2), "e2dp": (2, 1), "latency": (0, 1), "energy": (1, 0)}
"""Powers of energy and of latency."""
LONGEST = 4e18


@compiled
def cost_up_to(t: Tables, w: Work, contended: bool, powers: Ints, cuts: Cuts, chips: Chips,
               allowed: float) -> float:
    """Energy (pJ) and latency (time units) to their powers, multiplied; ``NEVER`` if above
    ``allowed``.
    """
    energy, dram = issue(t, w, cuts, chips)
    weight = 1.0
    for _ in range(powers[0]):
        weight *= energy
    limit: Any = np.int64(LATE)
    if powers[1] == 0:
        if weight > allowed:
            return NEVER
    else:
        longest = allowed / weight
        if powers[1] == 2:
            longest = np.sqrt(longest)
        # One more, against the rounding of the root; the product decides.
        limit = np.int64(min(longest, LONGEST)) + 1
    latency = contend(t, w, chips, dram, limit) if contended else alone(t, w, chips, limit)
    if latency == LATE:
        return NEVER
    for _ in range(powers[1]):
        weight *= latency
    return weight if weight <= allowed else NEVER
