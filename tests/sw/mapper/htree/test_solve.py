"""The H-tree's optimum against published figures and against every assignment there is."""

import itertools

import numpy as np
import pytest

from ouroboros.sw.mapper.htree.solve import solve
from ouroboros.sw.mapper.htree.tree import HTree, HTreeError, column_contiguous, row_contiguous

REFERENCE = [
    # rows, columns, optimum, column after column, row after row
    (5, 6, 464, 520, 1176),
    (7, 4, 336, 464, 944),
    (3, 10, 492, 534, 1400),
    (4, 8, 336, 336, 1408),
    (8, 4, 352, 352, 1024),
    (2, 16, 320, 320, 1664),
]


@pytest.mark.parametrize(("rows", "columns", "optimum", "by_column", "by_row"), REFERENCE)
def test_reference(rows, columns, optimum, by_column, by_row):
    tree = HTree()
    assert tree == HTree.of(32)
    solution = solve(rows, columns)
    assert solution.cost == optimum
    assert tree.cost(solution.leaves, rows) == optimum
    assert tree.cost(column_contiguous(rows, columns, 32), rows) == by_column
    assert tree.cost(row_contiguous(rows, columns, 32), rows) == by_row


def shapes(leaves, columns=99):
    return [(r, c) for r in range(1, leaves + 1) for c in range(1, min(leaves // r, columns) + 1)]


@pytest.mark.parametrize("level", [0, 3])
def test_every_shape_of_32_leaves_holds_each_tile_once_at_its_cost(level):
    tree = HTree(requantise_from=level)
    for rows, columns in shapes(32):
        solution = solve(rows, columns, tree)
        assert len(solution.leaves) == 32
        assert sorted(tile for tile in solution.leaves if tile) == list(
            itertools.product(range(rows), range(columns)))
        assert tree.cost(solution.leaves, rows) == solution.cost
        assert solution.cost <= tree.cost(column_contiguous(rows, columns, 32), rows)
        assert solution.cost <= tree.cost(row_contiguous(rows, columns, 32), rows)
        assert [mask.bit_count() for mask in solution.masks] == [rows] * columns
        assert sum(solution.masks).bit_count() == rows * columns


def arrangements(counts, length):
    """Every sequence with ``counts[label]`` of each label, shape (sequences, length)."""
    found = [np.full((1, length), -1)]
    for label, count in enumerate(counts):
        grown = []
        for base in found:
            free = np.flatnonzero(base[0] == -1)
            for chosen in itertools.combinations(free, count):
                one = base.copy()
                one[0, list(chosen)] = label
                grown.append(one)
        found = grown
    return np.concatenate(found)


def costs(labels, rows, columns, tree):
    """Cost of each row of labels (column tile of each leaf, -1 idle), from the definition."""
    total = np.zeros(len(labels), int)
    for level, length in enumerate(tree.lengths):
        below = labels.reshape(len(labels), -1, 1 << level)
        for column in range(columns):
            count = (below == column).sum(2)
            full = (count == rows) & (level >= tree.requantise_from)
            total += length * (4 * ((count > 0) & ~full) + full).sum(1)
    return total


@pytest.mark.parametrize(("leaves", "level"), [(2, 0), (4, 0), (4, 1), (4, 2), (8, 0), (8, 2),
                                               (8, 3)])
def test_brute_force_over_every_sequence_of_leaves(leaves, level):
    tree = HTree.of(leaves, requantise_from=level)
    for rows, columns in shapes(leaves, 4):
        labels = arrangements([rows] * columns, leaves)
        assert solve(rows, columns, tree).cost == costs(labels, rows, columns, tree).min()


def test_brute_force_of_single_rows():
    # With one row tile columns differ only by name, so which leaves are idle decides.
    for leaves in (8, 16):
        tree = HTree.of(leaves)
        for columns in range(1, leaves + 1):
            held = arrangements([columns], leaves)
            labels = np.where(held == 0, np.arange(leaves), -1)
            assert solve(1, columns, tree).cost == costs(labels, 1, leaves, tree).min()


def brute_trees(rows, columns, levels, idle, tree):
    """Least cost over all trees that differ by more than swapping the halves of a node."""
    nodes = [(tuple(int(c == label) for c in range(columns)), 0) for label in range(columns)]
    if idle:
        nodes.append(((0,) * columns, 0))
    for level in range(levels):
        nodes = [(count, cost + sum(tree.wire(level, c, rows) for c in count if c))
                 for count, cost in nodes]
        pairs = itertools.combinations_with_replacement(nodes, 2)
        nodes = [(tuple(map(sum, zip(a[0], b[0], strict=True))), a[1] + b[1]) for a, b in pairs]
        nodes = [node for node in nodes if max(node[0]) <= rows]
    return min(cost for count, cost in nodes if count == (rows,) * columns)


@pytest.mark.parametrize("shape", [(r, c) for r, c in shapes(16, 2)])
def test_brute_force_over_trees_of_16_leaves(shape):
    tree = HTree.of(16)
    assert solve(*shape, tree).cost == brute_trees(*shape, 4, True, tree)


def test_brute_force_over_trees_of_32_leaves():
    tree = HTree()
    assert solve(16, 2).cost == brute_trees(16, 2, 5, False, tree)
    for rows in (1, 2, 3, 7, 13, 16, 21, 32):
        assert solve(rows, 1).cost == brute_trees(rows, 1, 5, True, tree)


@pytest.mark.slow
@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5])
def test_brute_force_over_trees_of_16_leaves_and_3_columns(rows):
    tree = HTree.of(16)
    assert solve(rows, 3, tree).cost == brute_trees(rows, 3, 4, True, tree)


def test_worked_by_hand():
    # 2 x 2 on 4 leaves, lengths 1 and 2: four partial leaves, two complete columns.
    assert solve(2, 2, HTree.of(4)).cost == 4 * 4 * 1 + 2 * 1 * 2
    # Without requantisers the columns leave their nodes as int32.
    assert solve(2, 2, HTree.of(4, requantise_from=2)).cost == 4 * 4 * 1 + 2 * 4 * 2


REFUSED = [
    (lambda: solve(5, 7),
     ("rows x columns must be at most 32 tiles (the core's macros), not 5 x 7 = 35")),
    (lambda: solve(0, 7), "rows and columns must be at least 1, not 0 and 7"),
    (lambda: HTree(lengths=()), "lengths must be 1 to 10 positive integers, not ()"),
    (lambda: HTree(lengths=(1, 0)), "lengths must be 1 to 10 positive integers, not (1, 0)"),
    (lambda: HTree(partial_bytes=0),
     "bytes of an output must be positive, not 0 (partial) and 1 (complete)"),
    (lambda: HTree(requantise_from=6),
     "requantise_from must be between 0 and 5 (none), not 6"),
    (lambda: HTree.of(24), "leaves must be a power of two from 2 to 1024, not 24"),
    (lambda: HTree().cost((None,), 1), "an assignment must have 32 leaves, not 1"),
]


@pytest.mark.parametrize(("call", "message"), REFUSED)
def test_refusals(call, message):
    with pytest.raises(HTreeError) as caught:
        call()
    assert str(caught.value) == message
