"""Links of a mesh, numbered so that those by which a chip is reached lie side by side.

XY routes turn once, into the column of their end. All ways to a chip in column x use, in each row,
the links towards column x, and in column x those towards the chip. Links between columns k and
k + 1 are numbered west-going first (k, then row), then east-going: those towards column x are
``x * rows`` and the next ``(columns - 1) * rows``. Likewise in each column: north-going, then
south-going; those towards row y are ``y`` and the next ``rows - 1`` of the column's.
"""

from typing import NamedTuple

import numpy as np

from ouroboros.sw.search.problem.layers import Ints

__all__ = ["Mesh", "way"]


class Mesh(NamedTuple):
    """Numbers of links, and what DRAM accesses put on them."""

    columns: int
    """Chips in a row."""
    rows: int
    """Rows."""
    upright: int
    """Number of the first link between rows."""
    links: int
    """Links."""
    x: Ints
    """Column of each chip, ``(chips,)``."""
    y: Ints
    """Row of each chip, ``(chips,)``."""
    port_hops: Ints
    """Hops between a chip and all DRAM ports, summed, ``(chips,)``."""
    read_share: Ints
    """Ports whose reads use the links towards row y, ``(rows, rows - 1)``."""
    write_start: Ints
    """Where a chip's links of writes begin, ``(chips + 1,)``."""
    write_link: Ints
    """Links of writes."""
    write_share: Ints
    """Ports whose writes use them."""

    @staticmethod
    def of(columns: int, rows: int) -> "Mesh":
        """A mesh with DRAM ports at both ends of each row; in a single column, two at each chip."""
        chips, flat = np.arange(columns * rows), (columns - 1) * rows
        x, y = chips % columns, chips // columns
        start, links, shares, hops = [0], list[int](), list[int](), list[int]()
        for chip in range(chips.size):
            used = np.zeros(2 * flat + 2 * columns * (rows - 1), np.int64)
            for port in [c + row * columns for row in range(rows) for c in (0, columns - 1)]:
                for link in way(columns, rows, chip, port):
                    used[link] += 1
            found = np.flatnonzero(used)
            hops.append(int(used.sum()))
            links += found.tolist()
            shares += used[found].tolist()
            start.append(len(links))
        # Both ports of the rows on the far side of a link.
        k = np.arange(rows - 1)
        share = [np.concatenate([2 * (rows - 1 - k), 2 * (k + 1)])[row:row + rows - 1]
                 for row in range(rows)]
        return Mesh(columns=columns, rows=rows, upright=2 * flat,
                    links=2 * flat + 2 * columns * (rows - 1), x=x, y=y,
                    port_hops=np.array(hops), read_share=np.array(share).reshape(rows, rows - 1),
                    write_start=np.array(start), write_link=np.array(links, np.int64),
                    write_share=np.array(shares, np.int64))


def way(columns: int, rows: int, chip: int, to: int) -> list[int]:
    """Links from a chip to another, along the row first."""
    (x, y), (u, v) = (chip % columns, chip // columns), (to % columns, to // columns)
    flat = (columns - 1) * rows
    found = [flat + k * rows + y for k in range(x, u)] + [k * rows + y for k in range(u, x)]
    column = 2 * flat + u * 2 * (rows - 1)
    return found + [column + rows - 1 + k for k in range(y, v)] + [column + k for k in range(v, y)]
