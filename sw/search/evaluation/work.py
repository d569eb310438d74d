"""Arrays that an evaluation writes, and the next one writes again."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ouroboros.sw.search.evaluation.tables import Ints32, Problem
from ouroboros.sw.search.problem.layers import Ints

__all__ = ["AFTER", "END", "HELD", "READ", "SOURCE", "WAITS", "WORD", "WRITE", "Words", "Work"]

Words = npt.NDArray[np.uint64]
WORD = 64
"""Chips in a word of a set."""
LANES = 8
"""Entries of a row are filled up to a multiple, so that it is summed without a rest."""
READ, WRITE, HELD, SOURCE, AFTER, END, WAITS = range(7)
"""Columns of ``Work.node``: bytes from DRAM; bytes to DRAM; chips that hold tiles of the stage
that the node reads as a whole; other chip that holds the single one; next node on the same chip;
when it ends; first chip that waits for it."""


class Work(NamedTuple):
    """By node, by row (stage of a micro-batch), by chip and by link."""

    node: Ints
    """One line of the cache for each node, ``(nodes, 8)``."""
    holders: Words
    """Chips that hold tiles of the stage that a node reads as a whole, ``(nodes, words)``."""
    order: Ints32
    """Nodes in list order, ``(nodes,)``."""
    head: Ints
    """First node of each chip, ``(chips,)``."""
    load: Ints
    """Time units of arithmetic of each chip, ``(chips,)``."""
    last: Ints
    """Last node of each chip, ``(chips,)``."""
    reached: Ints
    """Last layer that a micro-batch has issued, ``(micro-batches,)``."""
    mask: Words
    """Chips that hold tiles of a row, ``(rows, words)``."""
    counted: Ints32
    """How many of them are in each column and in each row of the mesh, and in all,
    ``(rows, lines + 1)``."""
    distance: Ints32
    """Hops from a chip to each column and row, ``(chips, lines)``."""
    stage_end: Ints
    """When the last tile so far of a row has ended, ``(rows,)``."""
    stage_left: Ints
    """Tiles that have not, ``(rows,)``."""
    stage_waits: Ints
    """First chip that waits for all tiles, ``(rows,)``."""
    free: Ints
    """When links are free, ``(links,)``."""
    chip_free: Ints
    """When chips are, ``(chips,)``."""
    key: Ints
    """Start time and number of each chip that can start, ``(chips,)``."""
    chip_waits: Ints
    """Next chip that waits for the same, ``(chips,)``."""
    todo: Ints
    """Chips that may be able to start, ``(chips,)``."""
    known: Words
    """Holders for which ``ways`` stands, ``(rows, words)``."""
    ways: Ints
    """What the outputs of a row's holders, each sent once to every chip, put on links that lead
    to it, in time units, ``(rows, links)``; links between rows of chips once for all columns."""
    share: Ints
    """Load of the links to a chip, ``(links,)``."""

    @staticmethod
    def of(problem: Problem) -> "Work":
        """Arrays for an instance."""
        instance, mesh = problem.instance, problem.tables.mesh
        nodes, chips, words = instance.genes, instance.chips, -(-instance.chips // WORD)
        rows = problem.batches * problem.stages
        lines = -(-(mesh.columns + mesh.rows) // LANES) * LANES
        distance = np.zeros((chips, lines), np.int32)
        distance[:, :mesh.columns] = abs(np.arange(mesh.columns) - mesh.x[:, None])
        distance[:, mesh.columns:][:, :mesh.rows] = abs(np.arange(mesh.rows) - mesh.y[:, None])

        def whole(*shape: int) -> Ints:
            return np.zeros(shape, np.int64)

        def bits(*shape: int) -> Words:
            return np.zeros(shape, np.uint64)

        return Work(
            node=whole(nodes, 8), holders=bits(nodes, words), order=np.zeros(nodes, np.int32),
            head=whole(chips), load=whole(chips), last=whole(chips),
            reached=whole(problem.batches), mask=bits(rows, words),
            counted=np.zeros((rows, lines + LANES), np.int32), distance=distance,
            stage_end=whole(rows), stage_left=whole(rows), stage_waits=whole(rows),
            free=whole(mesh.links), chip_free=whole(chips), key=whole(chips),
            chip_waits=whole(chips), todo=whole(chips + 1), known=bits(rows, words),
            ways=whole(rows, mesh.upright + 2 * (mesh.rows - 1)), share=whole(mesh.links))
