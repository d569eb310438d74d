"""What moves need to know of an instance: stages, neighbours in the graph, order of the chips."""

from typing import NamedTuple

import numpy as np

from ouroboros.sw.search.baselines.families import curve
from ouroboros.sw.search.evaluation.tables import Problem
from ouroboros.sw.search.problem.layers import NONE, Ints

__all__ = ["Ground"]


class Ground(NamedTuple):
    """Arrays by layer, stage or chip."""

    batches: int
    """Micro-batches."""
    layers: int
    """Layers."""
    blocks: int
    """Blocks."""
    columns: int
    """Chips in a row."""
    lines: int
    """Rows of chips."""
    stage: Ints
    """Stage of a layer, ``(layers,)``."""
    first: Ints
    """First layer of a stage, and one past the last stage's last, ``(stages + 1,)``."""
    near_start: Ints
    """Where a layer's neighbours in the graph begin, ``(layers + 1,)``."""
    near: Ints
    """Layers that a layer reads, or that read it."""
    snake: Ints
    """Chips along a snake, ``(chips,)``."""
    kind: Ints
    """Kind of a chip, ``(chips,)``."""

    @staticmethod
    def of(problem: Problem) -> "Ground":
        """Of an instance."""
        layers, count = problem.layers, problem.instance.layers
        near: list[list[int]] = [[] for _ in range(count)]
        for layer in range(count):
            before = [int(layers.single[layer])] if layers.single[layer] != NONE else []
            if layers.whole[layer] != NONE:
                before += np.flatnonzero(layers.stage == layers.whole[layer]).tolist()
            for other in before:
                near[layer].append(other)
                near[other].append(layer)
        return Ground(
            batches=problem.batches, layers=count, blocks=problem.instance.blocks,
            columns=problem.instance.grid[0], lines=problem.instance.grid[1], stage=layers.stage,
            first=np.append(layers.first, count),
            near_start=np.cumsum([0, *map(len, near)]),
            near=np.array([other for some in near for other in some], np.int64),
            snake=curve(problem, "snake"), kind=problem.tables.kind)
