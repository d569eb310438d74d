"""Where the search starts: tiles in a good order along a curve, dies filled so that cuts are cheap.

Tiles that follow each other in the order lie near each other on the curve. Orders that are tried:
the instance's own and some along the flow of the traffic, so that tile numbers need mean nothing.
Where there is room, a die is left before it is full if the traffic cut there is less: two whole
transformer blocks on a die instead of two and a third.
"""

import numpy as np
import numpy.typing as npt

from ouroboros.sw.lib.compiled import compiled
from ouroboros.sw.place.cost import cost
from ouroboros.sw.place.curves import ORIENTATIONS, Baselines, die_hilbert
from ouroboros.sw.place.instance import Instance, Ints

__all__ = ["best_start", "die_ends", "flow_order"]

NEVER = 1 << 62
SMOOTHING = (3, 10, 100)
"""Steps of the orders along the flow: 10 and 100 were best on the two large reference instances."""


def best_start(instance: Instance, baselines: Baselines) -> Ints:
    """Core of each tile, ``(tiles,)``: the cheapest of all orders, curves and fillings."""
    curves = [die_hilbert(instance.grid, n) for n in range(ORIENTATIONS)]
    orders = [np.arange(instance.tiles), *(flow_order(instance, n) for n in SMOOTHING)]
    found = [baselines.start]
    # All orientations visit the dies in the same order.
    die = instance.grid.die[curves[0]]
    first = np.r_[0, np.flatnonzero(np.diff(die)) + 1, die.size]
    for order in orders:
        ends = die_ends(instance, order, np.diff(first))
        for curve in curves:
            packed = np.concatenate([curve[a:a + n] for a, n in zip(first, ends, strict=False)])
            for along in (curve[:instance.tiles], packed):
                core = np.empty(instance.tiles, np.int64)
                core[order] = along
                found.append(core)
    return min(found, key=lambda core: cost(instance, core))


def flow_order(instance: Instance, steps: int) -> Ints:
    """Tiles from one far end of the traffic to the other, ``(tiles,)``; parts not joined in turn.

    By the difference of the hops in the graph to two far ends, then moved ``steps`` times half way
    towards the mean of the neighbours, weighted by volume, which sorts tiles of equal hops.
    """
    a, b, volume = instance.edges.T
    source, sink = np.r_[a, b], np.r_[b, a]
    weight = np.r_[volume, volume].astype(np.float64)
    total = np.maximum(np.bincount(source, weight, instance.tiles), 1.0)
    place = np.zeros(instance.tiles)
    part = np.full(instance.tiles, -1)
    # Tiles without traffic come last.
    part[np.bincount(source, minlength=instance.tiles) == 0] = instance.tiles
    while (part < 0).any():
        first = int((part < 0).argmax())
        one = _hops_from(source, sink, instance.tiles, first)
        one = _hops_from(source, sink, instance.tiles, int(one.argmax()))
        other = _hops_from(source, sink, instance.tiles, int(one.argmax()))
        inside = one >= 0
        place[inside] = (one - other)[inside]
        part[inside] = first
    for _ in range(steps):
        place = (place + np.bincount(source, weight * place[sink], instance.tiles) / total) / 2
    return np.lexsort((place, part))


def _hops_from(source: Ints, sink: Ints, tiles: int, first: int) -> Ints:
    """Edges between a tile and every other, ``(tiles,)``; -1 where there is no way."""
    hops = np.full(tiles, -1)
    hops[first] = 0
    reached = 0
    while True:
        found = sink[(hops[source] == reached) & (hops[sink] < 0)]
        if not found.size:
            return hops
        reached += 1
        hops[found] = reached


def die_ends(instance: Instance, order: Ints, room: Ints) -> Ints:
    """How many tiles of the order each die takes, at most ``room``, so that cuts are cheapest.

    Exact, by dynamic programming over dies and tiles; dies after the last one used are left out.
    """
    at = np.empty(instance.tiles, np.int64)
    at[order] = np.arange(instance.tiles)
    a, b = at[instance.edges[:, 0]], at[instance.edges[:, 1]]
    cut = np.zeros(instance.tiles + 1, np.int64)
    np.add.at(cut, np.minimum(a, b) + 1, instance.edges[:, 2])
    np.add.at(cut, np.maximum(a, b) + 1, -instance.edges[:, 2])
    cut = np.cumsum(cut)                        # cut[i]: volume between tiles < i and >= i
    best, came = _fill(cut, room.astype(np.int64))
    dies = int(best[:, -1].argmin())
    ends, tile = [], instance.tiles
    for die in range(dies, 0, -1):
        ends.append(tile - int(came[die, tile]))
        tile = int(came[die, tile])
    return np.array(ends[::-1], np.int64)


@compiled
def _fill(cut: Ints, room: Ints) -> tuple[Ints, npt.NDArray[np.int32]]:
    """Cheapest cuts with the first tiles on the first dies, and where the last die began."""
    dies, tiles = room.size, cut.size - 1
    best = np.full((dies + 1, tiles + 1), NEVER, np.int64)
    came = np.zeros((dies + 1, tiles + 1), np.int32)
    best[0, 0] = 0
    for die in range(dies):
        for end in range(1, tiles + 1):
            for begin in range(max(0, end - room[die]), end):
                if best[die, begin] + cut[end] < best[die + 1, end]:
                    best[die + 1, end] = best[die, begin] + cut[end]
                    came[die + 1, end] = begin
    return best, came
