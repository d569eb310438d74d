"""The busiest link, made less busy by moves that cost little.

Links above a level have a penalty, the square of what they carry above it. Tiles of the multicasts
that cross such links are proposed other cores nearby. A move is kept if the share of the penalty
that it takes away is more than the share of what may still be spent that it costs. The level falls
with the busiest link, round by round, until some rounds bring nothing.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ouroboros.sw.lib.compiled import compiled, inlined
from ouroboros.sw.place.cost import cost
from ouroboros.sw.place.errors import PlaceError
from ouroboros.sw.place.instance import Instance, Ints
from ouroboros.sw.place.kernel import EMPTY
from ouroboros.sw.place.links import link_loads, nets_of, tree
from ouroboros.sw.place.traffic import Ints32, traffic_of

__all__ = ["Relieved", "relieve"]

LEVELS = 0.7, 0.85, 0.8
"""Of the busiest link: what is above it is worked on; the next one after a round in vain."""
WINDOW = 6
MOVES_PER_TILE = 15
"""Proposals for each tile that can help, and round."""
ROUNDS_MAX, VAIN_MAX = 80, 6
"""Rounds, and rounds in a row that bring nothing, after which the best is returned."""
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Relieved:
    """A placement with a less busy busiest link."""

    core: Ints
    """Core of each tile, ``(tiles,)``."""
    cost: int
    """At most ``1 + share`` times the first."""
    busiest_bytes: float
    """Load of the busiest link, per token."""
    rounds: int
    """Rounds that lowered it."""


def relieve(instance: Instance, core: Ints, *, share: float, target_bytes: float = 0.0,
            seed: int = 0, movable: Bools | None = None) -> Relieved:
    """Lower the load of the busiest link until ``target_bytes`` or until nothing helps.

    Deterministic. ``share`` is how much of the cost may be given for it: 0.01 is one per cent.

    Raises
    ------
    PlaceError
        If the share is negative.
    """
    if share < 0:
        raise PlaceError(f"share of the cost must be at least 0, not {share}")
    grid, nets, traffic = instance.grid, nets_of(instance), traffic_of(instance)
    a, b, volume = instance.edges.T
    order = np.lexsort((np.r_[b, a], np.r_[a, b]))
    volume = np.r_[volume, volume][order]
    member = np.r_[nets.source, nets.sink]
    net = np.r_[np.arange(len(nets.source)), np.repeat(np.arange(len(nets.source)),
                                                       np.diff(nets.start))]
    by_tile = np.argsort(member, kind="stable")
    net_start = np.zeros(instance.tiles + 1, np.int64)
    np.cumsum(np.bincount(member, minlength=instance.tiles), out=net_start[1:])
    usable = np.zeros(grid.cores, np.bool_)
    usable[grid.live] = True
    if movable is None:
        movable = np.ones(instance.tiles, np.bool_)
    usable[core[~movable]] = False
    random = np.random.default_rng(seed)
    core = core.copy()
    first = now = cost(instance, core)
    best, busiest = core.copy(), link_loads(instance, core).busiest_bytes
    rounds = vain = 0
    for _ in range(ROUNDS_MAX):
        if busiest <= target_bytes or vain == VAIN_MAX:
            break
        level = int(2 * max(target_bytes, LEVELS[vain % len(LEVELS)] * busiest))
        loads = np.rint(2 * link_loads(instance, core).bytes).astype(np.int64).ravel()
        hot = _hot(grid.width, core, nets.source, nets.start, nets.sink, loads, level, movable)
        tiles = np.flatnonzero(hot)
        if not tiles.size:
            break
        core = core.copy()
        slack = np.int64(int(first * (1 + share)) - now)
        _improve(int(tiles.size) * MOVES_PER_TILE, int(random.integers(1 << 31)), WINDOW, level,
                 slack, tiles, usable, grid.width, grid.u, grid.v, core, traffic.start,
                 traffic.tile, volume, nets.source, nets.start, nets.sink, nets.half_bytes,
                 net_start, net[by_tile], loads)
        now, after = cost(instance, core), link_loads(instance, core).busiest_bytes
        vain += 1
        if after < busiest:
            best, busiest, rounds, vain = core.copy(), after, rounds + 1, 0
    return Relieved(core=best, cost=cost(instance, best), busiest_bytes=busiest, rounds=rounds)


@compiled
def _hot(width: int, core: Ints, source: Ints, start: Ints, sink: Ints, loads: Ints, level: int,
         movable: Bools) -> Bools:
    """Tiles of the nets that cross a link above the level, ``(tiles,)``."""
    hot = np.zeros(core.size, np.bool_)
    cores = loads.size // 4
    found = np.empty(2 * cores, np.int64)
    for n in range(source.size):
        sinks = sink[start[n]:start[n + 1]]
        used = tree(width, cores, core[source[n]], core[sinks], found)
        above = False
        for link in found[:used]:
            above = above or loads[link] > level
        if above:
            hot[source[n]] = True
            for tile in sinks:
                hot[tile] = True
    return hot & movable


@inlined
def _over(load: int, level: int) -> float:
    return float(max(load - level, 0)) ** 2


@compiled
def _improve(moves: int, seed: int, window: int, level: int, slack: np.int64, tiles: Ints,
             usable: Bools, width: int, u: Ints, v: Ints, core: Ints, start: Ints32,
             neighbour: Ints32, volume: Ints, source: Ints, net_start: Ints, sink: Ints,
             half_bytes: Ints, of_start: Ints, of_net: Ints, loads: Ints) -> int:
    """Propose moves and exchanges of ``tiles``; change ``core`` and ``loads`` by those kept.

    ``slack`` is what the cost may rise by. The value is how many were kept.
    """
    np.random.seed(seed)
    cores = u.size
    tile = np.full(cores, EMPTY, np.int64)
    tile[core] = np.arange(core.size)
    found = np.empty(2 * cores, np.int64)
    seen = np.full(source.size, -1, np.int64)
    pair = np.empty(2, np.int64)
    kept = 0
    whole, spare = 0.0, max(float(slack), 1.0)
    for load in loads:
        whole += _over(load, level)
    for move in range(moves):
        a = tiles[np.random.randint(tiles.size)]
        p = core[a]
        x = p % width + np.random.randint(-window, window + 1)
        y = p // width + np.random.randint(-window, window + 1)
        if x < 0 or y < 0 or x >= width or y >= cores // width:
            continue
        q = x + width * y
        if q == p or not usable[q]:
            continue
        b = tile[q]
        pair[0], pair[1] = a, b
        change = np.int64(0)
        for side in range(1 if b == EMPTY else 2):
            here, there = (p, q) if side == 0 else (q, p)
            for n in range(start[pair[side]], start[pair[side] + 1]):
                other = core[neighbour[n]]
                if neighbour[n] != pair[1 - side]:
                    change += volume[n] * (abs(u[there] - u[other]) + abs(v[there] - v[other])
                                           - abs(u[here] - u[other]) - abs(v[here] - v[other]))
        if change > slack:
            continue
        penalty = 0.0
        # Take the nets out, move, put them back; and all again if it did not help.
        for turn in range(4):
            sign = -1 if turn % 2 == 0 else 1
            for side in range(1 if b == EMPTY else 2):
                for k in range(of_start[pair[side]], of_start[pair[side] + 1]):
                    n = of_net[k]
                    if seen[n] == 4 * move + turn:
                        continue
                    seen[n] = 4 * move + turn
                    sinks = core[sink[net_start[n]:net_start[n + 1]]]
                    used = tree(width, cores, core[source[n]], sinks, found)
                    for link in found[:used]:
                        before = _over(loads[link], level)
                        loads[link] += sign * half_bytes[n]
                        penalty += _over(loads[link], level) - before
            if turn == 1 and penalty < 0.0 and (
                    change <= 0 or penalty / whole + change / spare < 0.0):
                kept += 1
                slack -= change
                break
            if turn % 2 == 0:
                there, back = (q, p) if turn == 0 else (p, q)
                core[a], tile[there], tile[back] = there, a, b
                if b != EMPTY:
                    core[b] = back
    return kept
