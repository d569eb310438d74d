"""Ranks of the benches, from so small that Icarus simulates them up to the paper's."""

from dataclasses import replace

from ouroboros.hw.params.dram import DDR4_3200
from ouroboros.hw.params.pim import RANK, PimParams

__all__ = ["SIZES"]

MINI = PimParams(chips=2, groups=2, banks=8, columns=16, rows=32, head_chips=1, head_dim=16,
                 queries=2, context=256, result_depth=2, weight_depth=2,
                 timing=replace(DDR4_3200, refi=3000))

SIZES = {
    "mini": MINI,
    # One query, one head over both chips, rows of two tokens: most of the time rows turn round.
    "flat": replace(MINI, head_chips=2, head_dim=128, queries=1, weight_depth=8, result_depth=4,
                    rows=128),
    "rank": RANK,
    # Eight queries of a KV head, a whole head in every chip.
    # So long that the ends of a phase do not count.
    "long": replace(RANK, context=131072, rows=1024),
    "gqa": replace(RANK, head_chips=1, queries=8, context=1024),
}
"""By name."""
