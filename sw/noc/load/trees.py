"""Multicast trees in the link-load model: what they carry, how long packets hold what they use.

A multicast packet leaves a router by all ports together, but a copy needs credits for all of its
flits on one channel. So the next multicast packet cannot start on a link before enough flits of the
one ahead have left the buffer beyond, L being its flits:

    held = max(L, 2 * L - depth + LOOP)

cycles from start to start, the credit of a flit being back LOOP + 1 cycles after it.
"""

import numpy as np
import numpy.typing as npt

from ouroboros.sw.lib.compiled import compiled
from ouroboros.sw.noc.routes.live import Ints

__all__ = ["EAST", "EXIT_LOOP", "HELD", "HELD_SQUARE", "LINK_LOOP", "LOCAL", "LONGER", "NORTH",
           "SOUTH", "STRAIGHT", "WEST", "WORK", "WORK_SQUARE", "add_tree", "extents", "walk_tree"]

EAST, WEST, SOUTH, NORTH, LOCAL = range(5)
"""Outputs; as inputs the direction that a packet comes in, LOCAL: from the source."""
STRAIGHT = 5
"""As input: the packet goes on in the direction that it came in."""
WORK, WORK_SQUARE, HELD, HELD_SQUARE, LONGER = range(5)
"""Sums over packets of trees by output, input and router: flits and their squares; cycles that a
link is held and their squares; by how much the square is more than that of the link before."""
LINK_LOOP, EXIT_LOOP = 3, 2
Floats = npt.NDArray[np.float64]


@compiled
def extents(width: int, points: Ints, first: int, last: int, low: Ints, high: Ints,
            member: Ints) -> tuple[int, int]:
    """Outermost columns of the tree of flows ``first`` to ``last`` - 1.

    ``low`` and ``high`` get the outermost rows of each column, ``member`` of each of its ends the
    number ``first`` + 1.
    """
    source = points[first, 0]
    west, east = source % width, source % width
    for n in range(first, last):
        end = points[n, points.shape[1] - 1]
        west, east = min(west, end % width), max(east, end % width)
        member[end] = first + 1
    low[west:east + 1] = source // width
    high[west:east + 1] = source // width
    for n in range(first, last):
        end = points[n, points.shape[1] - 1]
        x, y = end % width, end // width
        low[x], high[x] = min(low[x], y), max(high[x], y)
    return west, east


@compiled
def _leads(width: int, source: int, west: int, east: int, low: Ints, high: Ints, member: Ints,
           first: int, at: int, output: int) -> bool:
    """Whether the tree goes on by an output of a router."""
    x, y, sx, sy = at % width, at // width, source % width, source // width
    if output == LOCAL:
        return bool(member[at] == first + 1)
    if output == EAST:
        return bool(y == sy and sx <= x < east)
    if output == WEST:
        return bool(y == sy and west < x <= sx)
    if output == SOUTH:
        return bool(sy <= y < high[x])
    return bool(low[x] < y <= sy)


@compiled
def _beyond(width: int, at: int, output: int) -> int:
    if output == EAST:
        return at + 1
    if output == WEST:
        return at - 1
    return at + width if output == SOUTH else at - width


@compiled
def _held(flits: int, depth: int, loop: int, slow: int) -> int:
    """Cycles for which a link, or an exit, is held; behind a wire between dies lies a buffer."""
    if slow:
        return max(slow * flits, (2 * flits - depth - 1) * slow + loop + 1)
    return max(flits, 2 * flits - depth + loop)


@compiled
def add_tree(width: int, points: Ints, first: int, last: int, rate: float, flits: int, depth: int,
             slow: Ints, sums: Floats, low: Ints, high: Ints, member: Ints) -> None:
    """Add a tree to ``sums`` (5, outputs, inputs, routers).

    ``slow`` (outputs, routers) is 0, or the cycles per flit of a wire between dies.
    """
    source = points[first, 0]
    west, east = extents(width, points, first, last, low, high, member)
    for x in range(west, east + 1):
        for y in range(low[x], high[x] + 1):
            at = x + width * y
            kind = SOUTH if y > source // width else NORTH if y < source // width else (
                EAST if x > source % width else WEST if x < source % width else LOCAL)
            before = flits
            if kind != LOCAL:
                back = _beyond(width, at, _opposite(kind))
                before = _held(flits, depth, LINK_LOOP, slow[kind, back])
            for output in range(5):
                if not _leads(width, source, west, east, low, high, member, first, at, output):
                    continue
                if output == LOCAL:
                    held = _held(flits, depth, EXIT_LOOP, 0)
                else:
                    held = _held(flits, depth, LINK_LOOP, slow[output, at])
                input_ = STRAIGHT if output == kind and kind != LOCAL else kind
                sums[WORK, output, input_, at] += rate * flits
                sums[WORK_SQUARE, output, input_, at] += rate * flits * flits
                sums[HELD, output, input_, at] += rate * held
                sums[HELD_SQUARE, output, input_, at] += rate * held * held
                sums[LONGER, output, input_, at] += rate * max(0, held * held - before * before)


@compiled
def _opposite(output: int) -> int:
    if output <= WEST:
        return WEST - output
    return NORTH + SOUTH - output


@compiled
def walk_tree(width: int, points: Ints, first: int, last: int, flits: int, extra: Floats,
              waits: Floats, slower: int, zero: Floats, wait: Floats) -> None:
    """Cycles of each end of a tree in an empty network, and waits (outputs, inputs, routers).

    A wire between dies spreads the flits of a copy.
    """
    source = points[first, 0]
    for n in range(first, last):
        end = points[n, points.shape[1] - 1]
        at, kind, spread = source, LOCAL, False
        zero[n] += 3 + flits - 1
        while True:
            if at % width != end % width:
                output = EAST if end % width > at % width else WEST
            elif at // width != end // width:
                output = SOUTH if end // width > at // width else NORTH
            else:
                output = LOCAL
            wait[n] += waits[output, STRAIGHT if output == kind and kind != LOCAL else kind, at]
            if output == LOCAL:
                break
            zero[n] += 2 + extra[output, at]
            if extra[output, at] and not spread:
                zero[n] += (flits - 1) * slower
                spread = True
            at, kind = _beyond(width, at, output), output
