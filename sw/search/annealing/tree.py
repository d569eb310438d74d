"""A two-level tree of stages: cuts in time, and within them cuts in space.

Ref: SET, Cai et al., HPCA 2023: the tree of inter-layer schedules, here of two levels.
Micro-batches share their chips.
"""

from typing import NamedTuple

import numpy as np

from ouroboros.sw.lib.compiled import compiled
from ouroboros.sw.search.annealing.ground import Ground
from ouroboros.sw.search.baselines.families import CURVES, best_kind, curve
from ouroboros.sw.search.evaluation.tables import Floats, Problem
from ouroboros.sw.search.problem.layers import Ints
from ouroboros.sw.search.problem.mapping import Chips, Cuts

__all__ = ["Tree", "decode"]

SAME, SPACE, TIME = range(3)
"""Behind a stage: none, chips of their own for what follows, a segment ends."""


class Tree(NamedTuple):
    """What a tree is made into a mapping with."""

    work: Floats
    """Cycles of each stage of all micro-batches, weights from DRAM included, ``(stages,)``."""
    lines: Ints
    """Orders of the chips, ``(orders, chips)``."""

    @staticmethod
    def of(problem: Problem) -> "Tree":
        """Of an instance."""
        instance, t, stages = problem.instance, problem.tables, problem.stages
        kinds = best_kind(problem)[problem.layers.first]
        cycles = t.cost[:, :, 0].reshape(problem.batches, stages, -1)[:, np.arange(stages), kinds]
        dram = t.bytes[:, 0].reshape(problem.batches, stages) / (
            instance.dram_channels * instance.dram_bw)
        return Tree(work=(cycles / problem.units + dram).sum(0) * problem.layers.sizes,
                    lines=np.array([curve(problem, name) for name in CURVES]))


@compiled
def decode(g: Ground, tree: Tree, behind: Ints, line: Ints, cuts: Cuts, chips: Chips) -> None:
    """The mapping of a tree.

    Parameters
    ----------
    behind : array
        ``SAME``, ``SPACE`` or ``TIME`` behind each stage, ``(stages,)``.
    line : array
        Order of the chips, ``(chips,)``.
    """
    stages, count, layers = behind.size, line.size, g.layers
    cuts[:] = 0
    low = 0
    while low < stages:
        high = low
        while high < stages - 1 and behind[high] != TIME:
            high += 1
        total = 0.0
        for s in range(low, high + 1):
            total += tree.work[s]
        before = 0.0
        leaf = low
        while leaf <= high:
            end = leaf
            part = tree.work[leaf]
            while end < high and behind[end] != SPACE:
                end += 1
                part += tree.work[end]
            start = min(count - 1, int(before / total * count))
            before += part
            stop = min(count, max(start + 1, int(before / total * count + 1e-9)))
            for s in range(leaf, end + 1):
                for i in range(g.first[s], g.first[s + 1]):
                    c = line[start + (i - g.first[s]) % (stop - start)]
                    for b in range(g.batches):
                        chips[b * layers + i] = c
            leaf = end + 1
        if high < stages - 1:
            cuts[g.first[high + 1] - 1] = 1
        low = high + 1
