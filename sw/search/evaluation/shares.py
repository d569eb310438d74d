"""What a layer's reads put on the links that lead to its chip."""

from typing import Any

import numpy as np

from ouroboros.sw.lib.compiled import inlined
from ouroboros.sw.search.evaluation.tables import Ints32
from ouroboros.sw.search.evaluation.work import HELD, READ, SOURCE, WORD, Words
from ouroboros.sw.search.problem.layers import NONE, Ints

__all__ = ["shares"]

U: Any = np.uint64
ONE = np.uint64(1)


@inlined
def _hold(holders: Words, known: Words, ways: Ints, column_of: Ints, line_of: Ints, n: int, g: int,
          each: int, rows: int, flat: int, tall: int) -> None:
    """Bring the ways from the holders of a row up to those that node ``n`` finds."""
    for k in range(known.shape[1]):
        changed = known[g, k] ^ holders[n, k]
        bit = U(0)
        while changed != U(0):
            # Eight chips at a time: most have not changed.
            while changed & U(255) == U(0):
                changed >>= U(8)
                bit += U(8)
            if changed & ONE:
                step = each if (holders[n, k] >> bit) & ONE else -each
                c = U(k * WORD) + bit
                x, y = column_of[c], line_of[c]
                for i in range(x):
                    ways[g, U(i * rows + y)] += step
                for i in range(x, flat // rows):
                    ways[g, U(flat + i * rows + y)] += step
                for i in range(y):
                    ways[g, U(2 * flat + i)] += step
                for i in range(y, tall):
                    ways[g, U(2 * flat + tall + i)] += step
            changed >>= ONE
            bit += ONE
        known[g, k] = holders[n, k]


@inlined
def shares(node: Ints, holders: Words, known: Words, ways: Ints, share: Ints, bytes_of: Ints,
           read_share: Ints, column_of: Ints, line_of: Ints, whole_of: Ints32, n: int, c: int,
           r: int, times: int, link_units: int, rows: int, flat: int, tall: int) -> None:
    """Time units of each link to chip ``c`` into ``share``: between columns, then between rows.

    Parameters
    ----------
    n, r : int
        Node and its row.
    times : int
        How often inputs are read.
    """
    x, y = column_of[c], line_of[c]
    unit = node[n, READ] * link_units
    if whole_of[n] != NONE and node[n, HELD] != 0:
        g = U(whole_of[n])
        _hold(holders, known, ways, column_of, line_of, n, g,
              bytes_of[r, 4] * link_units * 2 * rows, rows, flat, tall)
        first, column = U(x * rows), U(2 * flat + y)
        # A product of 64 bits takes as long as ten sums, and inputs are mostly read once.
        if times == 1:
            for i in range(U(flat)):
                share[i] = unit + ways[g, first + i]
        else:
            for i in range(U(flat)):
                share[i] = unit + times * ways[g, first + i]
        for i in range(U(tall)):
            share[U(flat) + i] = unit * read_share[U(y), i] + times * ways[g, column + i]
    else:
        for i in range(U(flat)):
            share[i] = unit
        for i in range(U(tall)):
            share[U(flat) + i] = unit * read_share[U(y), i]
    if node[n, SOURCE] != NONE:
        s = U(node[n, SOURCE])
        one = bytes_of[r, 5] * times * (2 * rows) * link_units
        u, v = column_of[s], line_of[s]
        for i in range(u, x):       # going east: links of the columns before x lie last
            share[U(flat - x * rows + i * rows + v)] += one
        for i in range(x, u):
            share[U((i - x) * rows + v)] += one
        for i in range(v, y):
            share[U(flat + tall - y + i)] += one
        for i in range(y, v):
            share[U(flat + i - y)] += one
