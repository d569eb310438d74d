"""Compiled loops of the link-load model."""

import numpy as np
import numpy.typing as npt

from ouroboros.sw.lib.compiled import compiled
from ouroboros.sw.noc.load.trees import (
    EAST,
    LOCAL,
    NORTH,
    SOUTH,
    WEST,
    add_tree,
    extents,
    walk_tree,
)
from ouroboros.sw.noc.routes.live import Ints

__all__ = ["EAST", "LOCAL", "NORTH", "SOUTH", "WEST", "add_flows", "walk_flows"]

FULL = 1e29
"""A wait that stands for infinity."""
Floats = npt.NDArray[np.float64]


@compiled
def _add_line(lines: Floats, output: int, fixed: int, low: int, high: int, work: float,
              square: float) -> None:
    """Add to the links out of routers ``low`` to ``high`` - 1 of a row, or a column."""
    if output <= WEST:
        lines[0, output, fixed, low] += work
        lines[0, output, fixed, high] -= work
        lines[1, output, fixed, low] += square
        lines[1, output, fixed, high] -= square
    else:
        lines[0, output, low, fixed] += work
        lines[0, output, high, fixed] -= work
        lines[1, output, low, fixed] += square
        lines[1, output, high, fixed] -= square


@compiled
def _add_part(width: int, lines: Floats, enters: Floats, start: int, x: int, y: int, kind: int,
              work: float, square: float) -> int:
    """Add one line, of x or of y, from ``start`` to (x, y); the direction of its end."""
    sx, sy = start % width, start // width
    if x > sx:
        output = EAST
        _add_line(lines, EAST, y, sx, x, work, square)
    elif x < sx:
        output = WEST
        _add_line(lines, WEST, y, x + 1, sx + 1, work, square)
    elif y > sy:
        output = SOUTH
        _add_line(lines, SOUTH, x, sy, y, work, square)
    elif y < sy:
        output = NORTH
        _add_line(lines, NORTH, x, y + 1, sy + 1, work, square)
    else:
        return kind
    enters[output, kind, start] += work
    return output


@compiled
def _add_lines(width: int, points: Ints, first: int, last: int, work: float, square: float,
               lines: Floats, enters: Floats, low: Ints, high: Ints, member: Ints) -> None:
    """Add the union of the XY paths of flows ``first`` to ``last`` - 1, but for their exits."""
    start = points[first, 0]
    sx, sy = start % width, start // width
    west, east = extents(width, points, first, last, low, high, member)
    for x in (west, east):
        _add_part(width, lines, enters, start, x, sy, LOCAL, work, square)
    for x in range(west, east + 1):
        kind = LOCAL if x == sx else EAST if x > sx else WEST
        for y in (low[x], high[x]):
            _add_part(width, lines, enters, x + sy * width, x, y, kind, work, square)


@compiled
def add_flows(width: int, points: Ints, rates: Floats, flits: Ints, trees: Ints, depth: int,
              slow: Ints, lines: Floats, enters: Floats, local: Floats, sourced: Floats,
              sums: Floats) -> None:
    """Add all flows: flits per cycle and their squares, at every output.

    ``lines`` (2, 4, height + 1, width + 1) gets differences along the lines, ``enters`` (outputs,
    inputs, routers) flits per cycle where a line begins or, LOCAL, a flow ends, ``local`` (2,
    routers) those of the exits, ``sourced`` (2, routers) cycles that the source's packets take, and
    cycles * (cycles - 1); of trees, ``sums`` as ``link_trees.add_tree`` has them.
    """
    low, high = np.zeros(width, np.int32), np.zeros(width, np.int32)
    member = np.zeros(sums.shape[3], np.int32)
    ways = points.shape[1]
    n = 0
    while n < len(points):
        last = n + 1
        while last < len(points) and trees[last] == trees[n]:
            last += 1
        work = rates[n] * flits[n]
        square = work * flits[n]
        cycles = flits[n]
        if last > n + 1:
            _add_lines(width, points, n, last, work, square, lines, enters, low, high, member)
            add_tree(width, points, n, last, rates[n], flits[n], depth, slow, sums, low, high,
                     member)
        sourced[0, points[n, 0]] += rates[n] * cycles
        sourced[1, points[n, 0]] += rates[n] * cycles * (cycles - 1)
        for flow in range(n, last):
            at, kind = points[flow, 0], LOCAL
            for leg in range(1, ways):
                there = points[flow, leg]
                if there < 0:
                    continue
                if last == n + 1:
                    kind = _add_part(width, lines, enters, at, there % width, at // width, kind,
                                     work, square)
                    corner = there % width + at // width * width
                    kind = _add_part(width, lines, enters, corner, there % width, there // width,
                                     kind, work, square)
                else:
                    kind = _last_direction(width, at, there)
                at = there
            enters[LOCAL, kind, at] += work
            local[0, at] += work
            local[1, at] += square
        n = last


@compiled
def _last_direction(width: int, start: int, end: int) -> int:
    if end // width != start // width:
        return SOUTH if end // width > start // width else NORTH
    if end % width != start % width:
        return EAST if end % width > start % width else WEST
    return LOCAL


@compiled
def _line(rows: Floats, columns: Floats, width: int, start: int, output: int, length: int) -> float:
    """Sum over ``length`` links of a line that begins at a router."""
    x, y = start % width, start // width
    if output == EAST:
        return float(rows[0, y, x + length] - rows[0, y, x])
    if output == WEST:
        return float(rows[1, y, x + 1] - rows[1, y, x + 1 - length])
    if output == SOUTH:
        return float(columns[0, y + length, x] - columns[0, y, x])
    return float(columns[1, y + 1, x] - columns[1, y + 1 - length, x])


@compiled
def walk_flows(width: int, points: Ints, flits: Ints, trees: Ints, wait_rows: Floats,
               wait_columns: Floats, entering: Floats, extra: Floats, extra_rows: Floats,
               extra_columns: Floats, slower: int, source_wait: Floats,
               tree_waits: Floats) -> tuple[Floats, Floats]:
    """Latency of each flow in an empty network, and with waits.

    3 + 2 H + (L - 1), what crossings add (``extra`` (outputs, routers), and prefix sums of it), and
    the waits: at the source, where a line is entered (``entering`` (outputs, inputs, routers)),
    along lines (prefix sums of the waits of packets that go straight on), and at the exit; of trees
    as ``trees.walk_tree`` has them.
    """
    zero, latency = np.zeros(len(points)), np.zeros(len(points))
    last = 0
    for n in range(len(points)):
        if n >= last:
            last = n + 1
            while last < len(points) and trees[last] == trees[n]:
                last += 1
            if last > n + 1:
                walk_tree(width, points, n, last, flits[n], extra, tree_waits, slower, zero,
                          latency)
                for branch in range(n, last):
                    wait = latency[branch] + source_wait[points[n, 0]]
                    latency[branch] = zero[branch] + wait if wait < FULL else np.inf
        if zero[n] > 0:
            continue
        at, kind, hops = points[n, 0], LOCAL, 0
        wait, crossed = source_wait[at], 0.0
        for leg in range(1, points.shape[1]):
            there = points[n, leg]
            if there < 0:
                continue
            for part in range(2):
                goal = there % width + at // width * width if part == 0 else there
                if goal == at:
                    continue
                output = _last_direction(width, at, goal)
                length = abs(goal % width - at % width) + abs(goal // width - at // width)
                wait += entering[output, kind, at]
                wait += _line(wait_rows, wait_columns, width, at, output, length)
                wait -= _line(wait_rows, wait_columns, width, at, output, 1)
                crossed += _line(extra_rows, extra_columns, width, at, output, length)
                hops += length
                at, kind = goal, output
        wait += entering[LOCAL, kind, at]
        zero[n] = 3 + 2 * hops + flits[n] - 1 + crossed
        if crossed > 0:
            zero[n] += (flits[n] - 1) * slower
        latency[n] = zero[n] + wait if wait < FULL else np.inf
    return zero, latency
