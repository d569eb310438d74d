"""The H-tree of a core: macros are its leaves, and every wire has a length and carries bytes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ouroboros.sw.lib.errors import OuroborosError

__all__ = ["HTree", "HTreeError", "Leaves", "column_contiguous", "row_contiguous"]

Leaves = tuple[tuple[int, int] | None, ...]
"""(row tile, column tile) of every leaf, both from 0; None for an idle leaf."""


class HTreeError(OuroborosError):
    """A matrix does not fit the tree, or the tree is none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HTree:
    """A binary tree over the macros of a core and what its wires cost.

    A node adds fragments of one column (row tiles of the same column tile) and concatenates
    different columns, so that the wire above it carries each column of its subtree once: as int32
    partial sum while row tiles are missing, as int8 when the column is complete and a requantiser
    has been passed. The wire above the root leaves the core and is not counted.

    Raises
    ------
    HTreeError
        If a length is not positive, there are no wires or more than 10 levels of them, or a
        number of bytes is not positive.
    """

    lengths: tuple[int, ...] = (1, 2, 2, 4, 4)
    """Wire lengths from the leaves up; 2**len(lengths) leaves. Unit: a leaf's wire."""
    partial_bytes: int = 4
    """Bytes of one output of an incomplete column: int32."""
    complete_bytes: int = 1
    """Bytes of one output of a complete column behind a requantiser: int8."""
    requantise_from: int = 0
    """Lowest level whose nodes have a requantiser, 0 for the leaves; above the root: none."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.lengths) <= 10 or min(self.lengths) < 1:
            raise HTreeError(f"lengths must be 1 to 10 positive integers, not {self.lengths!r}")
        if min(self.partial_bytes, self.complete_bytes) < 1:
            raise HTreeError(f"bytes of an output must be positive, not {self.partial_bytes!r} "
                             f"(partial) and {self.complete_bytes!r} (complete)")
        if not 0 <= self.requantise_from <= len(self.lengths):
            raise HTreeError(f"requantise_from must be between 0 and {len(self.lengths)} (none), "
                             f"not {self.requantise_from!r}")

    @classmethod
    def of(cls, leaves: int, **changes: int) -> "HTree":
        """The tree of that many leaves: 1, 2, 2, 4, 4, 8, 8, .. from the leaves up.

        The lengths of an H-tree over a square of macros twice as high as wide: every second level
        doubles the distance.
        """
        levels = leaves.bit_length() - 1
        if leaves != 1 << levels or levels < 1:
            raise HTreeError(f"leaves must be a power of two from 2 to 1024, not {leaves!r}")
        return cls(lengths=tuple(1 << (level + 1) // 2 for level in range(levels)), **changes)

    @property
    def leaves(self) -> int:
        """Macros of the core."""
        return 1 << len(self.lengths)

    def wire(self, level: int, fragment: int, rows: int) -> int:
        """Cost of one column on the wire above a node.

        Parameters
        ----------
        level : int
            Of the node, 0 for a leaf.
        fragment : int
            Row tiles of the column below the node, 1 to ``rows``.
        rows : int
            Row tiles of a complete column.

        Returns
        -------
        int
            Bytes of one output times wire length; 0 above the root.
        """
        if level == len(self.lengths):
            return 0
        complete = fragment == rows and level >= self.requantise_from
        return self.lengths[level] * (self.complete_bytes if complete else self.partial_bytes)

    def cost(self, leaves: Leaves, rows: int) -> int:
        """Bytes x length of an assignment, each column tile counted as one output.

        Raises
        ------
        HTreeError
            If there is not one entry for every leaf.
        """
        if len(leaves) != self.leaves:
            raise HTreeError(f"an assignment must have {self.leaves} leaves, not {len(leaves)}")
        total = 0
        below = [Counter() if tile is None else Counter([tile[1]]) for tile in leaves]
        for level in range(len(self.lengths)):
            total += sum(self.wire(level, count, rows)
                         for node in below for count in node.values())
            below = [left + right for left, right in zip(below[::2], below[1::2], strict=True)]
        return total


def _filled(tiles: Sequence[tuple[int, int]], leaves: int) -> Leaves:
    return (*tiles, *[None] * (leaves - len(tiles)))


def column_contiguous(rows: int, columns: int, leaves: int) -> Leaves:
    """Column after column on neighbouring leaves, idle ones at the end."""
    return _filled([(row, column) for column in range(columns) for row in range(rows)], leaves)


def row_contiguous(rows: int, columns: int, leaves: int) -> Leaves:
    """Row after row on neighbouring leaves, idle ones at the end."""
    return _filled([(row, column) for row in range(rows) for column in range(columns)], leaves)
