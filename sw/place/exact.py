"""Exact placement of small instances: branch and bound over nested sub-instances.

Tiles are placed in a fixed order, so that the tiles not yet placed at depth k are always the same.
What they cost among themselves is at least the optimum of that sub-instance alone, which has been
solved before (Russian doll search, from the last tile to the whole); what they cost towards placed
tiles is at least, for each, its cheapest free core. Neither bound counts an edge twice, so a
branch whose bound reaches the best cost known holds nothing better.

Ref: G. Verfaillie, M. Lemaitre, T. Schiex, Russian Doll Search for Solving Constraint Optimization
Problems, AAAI 1996.
"""

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ouroboros.sw.lib.compiled import compiled
from ouroboros.sw.place.cost import cost
from ouroboros.sw.place.instance import Instance, Ints

__all__ = ["TILES_MAX", "Exact", "solve"]

TILES_MAX = 12
"""Instances up to this many tiles are worth a try."""
CORES_MAX = 256
"""Larger grids would need a table of too many distances for each node."""
CHUNK = 200_000
"""Nodes between two looks at the clock."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Exact:
    """What the search knows when it ends."""

    core: Ints
    """Best placement known, ``(tiles,)``."""
    cost: int
    """Its cost."""
    lower_bound: int
    """No placement costs less; equal to ``cost`` if ``proved``."""
    proved: bool
    """The search was complete."""
    nodes: int
    """Placements of a tile that were looked at."""


def solve(instance: Instance, start: Ints, *, seconds: float) -> Exact:
    """Search until the optimum is proved or the time is over.

    ``start``, ``(tiles,)``, is a placement to beat: the better, the less is searched.
    """
    grid, tiles = instance.grid, instance.tiles
    live = grid.live
    u, v = grid.u[live], grid.v[live]
    hops = abs(u[:, None] - u) + abs(v[:, None] - v)
    volume = np.zeros((tiles, tiles), np.int64)
    a, b, weight = instance.edges.T
    volume[a, b] = volume[b, a] = weight
    order = _order(volume)
    volume = np.ascontiguousarray(volume[np.ix_(order, order)])
    began, nodes = time.perf_counter(), 0
    place = np.searchsorted(live, start[order])
    rest = np.zeros(tiles + 1, np.int64)
    for first in range(tiles - 1, -1, -1):
        inner = volume[first:, first:]
        known = place[first:]
        best = np.array([int((inner * hops[np.ix_(known, known)]).sum()) // 2])
        state = _State(tiles - first, live.size)
        found = known.copy()
        while True:
            done, count = _search(inner, hops, rest[first:], best, found, state.depth,
                                  state.at, state.near, state.order, state.spent, CHUNK)
            nodes += count
            if done:
                break
            if time.perf_counter() - began > seconds:
                core = start.copy()
                if first == 0:
                    core[order] = live[found]
                return Exact(core=core, cost=cost(instance, core), proved=False, nodes=nodes,
                             lower_bound=int(rest[first + 1]))
        rest[first] = best[0]
    core = np.empty(tiles, np.int64)
    core[order] = live[found]
    return Exact(core=core, cost=cost(instance, core), lower_bound=int(best[0]), proved=True,
                 nodes=nodes)


def _order(volume: npt.NDArray[np.int64]) -> Ints:
    """The heaviest tile first, then always the one with most traffic to those before it."""
    tiles = len(volume)
    total = volume.sum(1)
    order = [int(total.argmax())]
    for _ in range(tiles - 1):
        pull = volume[order].sum(0) * (int(total.max()) + 1) + total
        pull[order] = -1
        order.append(int(pull.argmax()))
    return np.array(order, np.int64)


class _State:
    """The search's stack, so that it can be left and taken up again."""

    def __init__(self, tiles: int, cores: int) -> None:
        self.depth = np.zeros(1, np.int64)
        self.at = np.full(tiles + 1, -1, np.int64)
        self.near = np.zeros((tiles + 1, tiles, cores), np.int64)
        self.order = np.zeros((tiles + 1, cores), np.int64)
        self.spent = np.zeros(tiles + 1, np.int64)


@compiled
def _search(volume: Ints, hops: Ints, rest: Ints, best: Ints, found: Ints, depth: Ints, at: Ints,
            near: Ints, order: Ints, spent: Ints, budget: int) -> tuple[bool, int]:
    """Depth first, cheapest cores first, from the state left behind; True at the end.

    ``near[k, t, p]`` is what tile t at core p would cost towards the k tiles placed; ``order[k]``
    lists cores for tile k by it; ``at[k]`` is the entry of it that is being looked at, -1 before
    the list is made; ``rest[k]`` bounds the edges among tiles k and later.
    """
    tiles, cores = volume.shape[0], hops.shape[0]
    used = np.zeros(cores, np.bool_)
    for k in range(depth[0]):
        used[order[k, at[k]]] = True
    nodes = 0
    while nodes < budget:
        k = depth[0]
        if at[k] < 0:
            order[k] = np.argsort(near[k, k])
        at[k] += 1
        p = order[k, at[k]] if at[k] < cores else 0
        # Cores are in order: the first that costs too much ends the list.
        if at[k] == cores or spent[k] + near[k, k, p] + rest[k + 1] >= best[0]:
            if k == 0:
                return True, nodes
            at[k] = -1
            depth[0] -= 1
            used[order[k - 1, at[k - 1]]] = False
            continue
        if used[p]:
            continue
        nodes += 1
        cost_here = spent[k] + near[k, k, p]
        if k == tiles - 1:
            best[0] = cost_here
            for n in range(k):
                found[n] = order[n, at[n]]
            found[k] = p
            continue
        used[p] = True
        bound = cost_here + rest[k + 1]
        for t in range(k + 1, tiles):
            weight = volume[k, t]
            low = np.int64(1 << 62)
            for q in range(cores):
                value = near[k, t, q] + weight * hops[p, q]
                near[k + 1, t, q] = value
                if value < low and not used[q]:
                    low = value
            bound += low
            if bound >= best[0]:
                break
        if bound >= best[0]:
            used[p] = False
            continue
        spent[k + 1] = cost_here
        at[k + 1] = -1
        depth[0] += 1
    return False, nodes
