"""The cheapest assignment of a matrix's tiles to the macros of a core, exactly.

Dynamic program over multisets of column fragments. What lies above a node depends on its subtree
only through how many row tiles of each column are in it; which columns they are does not matter,
nor which rows. So the state of a subtree is the multiset of its fragments' sizes, at most 915 of
them for 16 leaves. From the root down every fragment is cut in two in all ways that fit.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations_with_replacement

from ouroboros.sw.mapper.htree.tree import HTree, HTreeError, Leaves

__all__ = ["Solution", "solve"]

Fragments = tuple[int, ...]
"""Sizes of column fragments, largest first."""
Split = tuple[tuple[int, int], ...]
"""(size, part in the left subtree) of every fragment."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Solution:
    """An optimal assignment."""

    rows: int
    """Row tiles (inputs / rows of a macro)."""
    columns: int
    """Column tiles (outputs / outputs of a macro)."""
    cost: int
    """Bytes x wire length, each column tile counted as one output."""
    leaves: Leaves
    """Tile of every leaf."""

    @property
    def masks(self) -> tuple[int, ...]:
        """Leaf mask of each column tile: the steps in which a core's adder tree drains."""
        return tuple(sum(1 << leaf for leaf, tile in enumerate(self.leaves)
                         if tile is not None and tile[1] == column)
                     for column in range(self.columns))


def solve(rows: int, columns: int, tree: HTree | None = None) -> Solution:
    """Cheapest assignment of ``rows`` x ``columns`` tiles.

    Raises
    ------
    HTreeError
        If a number is not positive or there are more tiles than leaves.
    """
    tree = tree or HTree()
    if rows < 1 or columns < 1:
        raise HTreeError(f"rows and columns must be at least 1, not {rows!r} and {columns!r}")
    if rows * columns > tree.leaves:
        raise HTreeError(f"rows x columns must be at most {tree.leaves} tiles (the core's macros), "
                         f"not {rows} x {columns} = {rows * columns}")
    search = _Search(tree, rows)
    level, whole = len(tree.lengths), (rows,) * columns
    cost, _ = search.best(level, whole)
    leaves: list[tuple[int, int] | None] = [None] * tree.leaves
    search.assign(level, 0, [(column, list(range(rows))) for column in range(columns)], leaves)
    return Solution(rows=rows, columns=columns, cost=cost, leaves=tuple(leaves))


class _Search:
    """Optimal costs of subtrees for one tree and one number of row tiles."""

    def __init__(self, tree: HTree, rows: int):
        self.tree, self.rows = tree, rows
        self.best = cache(self._best)

    def _best(self, level: int, fragments: Fragments) -> tuple[int, Split]:
        """Cost of a subtree with its own upward wire, and how its root splits the fragments."""
        own = sum(self.tree.wire(level, size, self.rows) for size in fragments)
        if level == 0 or not fragments:
            return own, ()
        return min((own + self.best(level - 1, left)[0] + self.best(level - 1, right)[0], split)
                   for split, left, right in self._splits(fragments, 1 << level - 1))

    def _splits(self, fragments: Fragments,
                room: int) -> Iterator[tuple[Split, Fragments, Fragments]]:
        """All ways to cut fragments in two halves of at most ``room`` leaves, mirrored ones once.

        Fragments of one size are alike, so only how many of them are cut how is enumerated.
        """
        tiles = sum(fragments)
        sizes = sorted(Counter(fragments).items(), reverse=True)
        low, high = max(0, tiles - room), min(room, tiles // 2)     # left the smaller half

        def extend(n: int, split: Split, left: int) -> Iterator[Split]:
            if n == len(sizes):
                if left >= low:
                    yield split
                return
            size, count = sizes[n]
            for parts in combinations_with_replacement(range(size + 1), count):
                if left + sum(parts) <= high:
                    yield from extend(n + 1, (*split, *((size, part) for part in parts)),
                                      left + sum(parts))

        for split in extend(0, (), 0):
            lefts = tuple(sorted((part for _, part in split if part), reverse=True))
            rights = tuple(sorted((size - part for size, part in split if size > part),
                                  reverse=True))
            yield split, lefts, rights

    def assign(self, level: int, first: int, columns: list[tuple[int, list[int]]],
               leaves: list[tuple[int, int] | None]) -> None:
        """Write the tiles of (column, rows) fragments to the leaves from ``first`` on."""
        if level == 0:
            for column, rows in columns:
                leaves[first] = (rows[0], column)
            return
        by_size = sorted(columns, key=lambda fragment: -len(fragment[1]))
        _, split = self.best(level, tuple(len(rows) for _, rows in by_size))
        left, right = [], []
        for (column, rows), (_, part) in zip(by_size, split, strict=True):
            left.append((column, rows[:part]))
            right.append((column, rows[part:]))
        for half, start in ((left, first), (right, first + (1 << level - 1))):
            self.assign(level - 1, start, [f for f in half if f[1]], leaves)
