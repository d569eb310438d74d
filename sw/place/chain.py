"""The search for a replacement chain, compiled.

When a core dies, its tile moves to another core, that core's tile to a further one, and so on to a
core without a tile. Labels are such beginnings of chains, each with its exact cost: a tile's step
is counted against the tiles before it where they will be. The cheapest label is extended first, to
the cores within ``reach`` of its end; a label is dropped if its end is known to be reached cheaper.
The search ends when no label is cheaper than the best whole chain, or when there is a whole chain
and ``PATIENCE`` labels were extended: where tiles gain by stepping aside, it could go on for long.
"""

import numpy as np
import numpy.typing as npt

from ouroboros.sw.lib.compiled import compiled, inlined
from ouroboros.sw.place.instance import Ints
from ouroboros.sw.place.kernel import EMPTY
from ouroboros.sw.place.traffic import Ints32

__all__ = ["LABELS_MAX", "NEVER", "find_chain"]

LABELS_MAX = 1 << 15
"""Labels of one search; when they are used up, the best chain found so far counts."""
PATIENCE = 1500
NEVER = np.int64(1 << 62)


@inlined
def _push(heap: Ints, size: int, cost: Ints, label: int) -> None:
    at = size
    heap[at] = label
    while at and cost[heap[at]] < cost[heap[(at - 1) >> 1]]:
        above = (at - 1) >> 1
        heap[at], heap[above] = heap[above], heap[at]
        at = above


@inlined
def _pop(heap: Ints, size: int, cost: Ints) -> np.int64:
    """The cheapest of ``size`` labels; the heap has one less afterwards."""
    first: np.int64 = heap[0]
    heap[0] = heap[size - 1]
    at = 0
    while True:
        below = 2 * at + 1
        if below >= size - 1:
            return first
        if below + 1 < size - 1 and cost[heap[below + 1]] < cost[heap[below]]:
            below += 1
        if cost[heap[below]] >= cost[heap[at]]:
            return first
        heap[at], heap[below] = heap[below], heap[at]
        at = below


@compiled
def find_chain(failed: int, reach: int, width: int, u: Ints, v: Ints, alive: npt.NDArray[np.bool_],
               core: Ints, tile: Ints, start: Ints32, neighbour: Ints32, volume: Ints, best: Ints,
               scratch: Ints) -> tuple[np.int64, Ints]:
    """The cheapest chain found from a failed core that has a tile.

    Parameters
    ----------
    alive
        Cores that may be used, ``(cores,)``; the failed one may not.
    core, tile
        Core of each tile and tile of each core; left as they are.
    best
        ``(cores,)``, all ``NEVER`` before and after.
    scratch
        ``(4, LABELS_MAX)``, of any content.

    Returns
    -------
    cost, chain
        Change of the placement's cost, and the cores from the failed one to a free one; an empty
        chain if none was found.
    """
    height = u.size // width
    ends, parent, cost, heap = scratch[0], scratch[1], scratch[2], scratch[3]
    ends[0], parent[0], cost[0], best[failed] = failed, -1, 0, 0
    _push(heap, 0, cost, 0)
    labels, waiting = 1, 1
    goal, goal_cost = np.int64(-1), NEVER
    extended = 0
    while waiting and (goal < 0 or extended < PATIENCE):
        label = _pop(heap, waiting, cost)
        waiting -= 1
        if cost[label] >= goal_cost:
            break
        p = ends[label]
        if cost[label] > best[p]:
            continue
        extended += 1
        # The tiles before stand where the chain puts them.
        step = label
        while parent[step] >= 0:
            core[tile[ends[parent[step]]]] = ends[step]
            step = parent[step]
        a = tile[p]
        here = np.int64(0)
        for n in range(start[a], start[a + 1]):
            q = core[neighbour[n]]
            here += volume[n] * (abs(u[p] - u[q]) + abs(v[p] - v[q]))
        x, y = p % width, p // width
        for row in range(max(0, y - reach), min(height, y + reach + 1)):
            for to in range(row * width + max(0, x - reach),
                            row * width + min(width, x + reach + 1)):
                if not alive[to] or to == p or labels == LABELS_MAX:
                    continue
                there = np.int64(0)
                for n in range(start[a], start[a + 1]):
                    q = core[neighbour[n]]
                    there += volume[n] * (abs(u[to] - u[q]) + abs(v[to] - v[q]))
                total = cost[label] + there - here
                if total >= best[to] or total >= goal_cost:
                    continue
                step = label
                while step >= 0 and ends[step] != to:
                    step = parent[step]
                if step >= 0:
                    continue
                ends[labels], parent[labels], cost[labels] = to, label, total
                best[to] = total
                if tile[to] == EMPTY:
                    goal, goal_cost = np.int64(labels), total
                else:
                    _push(heap, waiting, cost, labels)
                    waiting += 1
                labels += 1
        step = label
        while parent[step] >= 0:
            core[tile[ends[parent[step]]]] = ends[parent[step]]
            step = parent[step]
    for n in range(labels):
        best[ends[n]] = NEVER
    length = 0
    step = goal
    while step >= 0:
        length += 1
        step = parent[step]
    chain: Ints = np.empty(length, np.int64)
    step = goal
    for n in range(length - 1, -1, -1):
        chain[n] = ends[step]
        step = parent[step]
    return goal_cost, chain
