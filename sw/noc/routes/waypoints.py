"""Route classes of pairs: a live XY path, two of them by a waypoint, or neither."""

import numpy as np
import numpy.typing as npt

from ouroboros.sw.lib.compiled import compiled
from ouroboros.sw.noc.routes.live import Ints

__all__ = ["HOPS", "ROUTE_CLASS", "WAYPOINT", "choose", "choose_all", "count_all", "xy_alive"]

ROUTE_CLASS, WAYPOINT, HOPS = range(3)
"""Columns of a choice: 0, 1 or 2; router, or -1; link hops, -1 for class 2."""


@compiled
def xy_alive(width: int, reach: Ints, source: int, end: int) -> bool:
    """Whether a packet gets from a router to another, first in x, then in y."""
    x = end % width
    if not reach[source, 3] <= x <= reach[source, 1]:
        return False
    corner = x + source // width * width
    return bool(reach[corner, 0] <= end // width <= reach[corner, 2])


@compiled
def _waypoint(width: int, reach: Ints, source: int, end: int) -> tuple[int, int]:
    """Waypoint of fewest hops, -1 if there is none, and the hops.

    A waypoint (u, v) must have: u in reach of the source in its row, v in reach of u's column from
    there, u in reach of the end's column in row v, and v in reach of the end in its column. Columns
    are tried from the source's on, away from it on both sides, rows from the end's row on; what
    cannot be better than the best found is left out.
    """
    sx, sy, ex, ey = source % width, source // width, end % width, end // width
    low_v, high_v = reach[end, 0], reach[end, 2]
    least = abs(sx - ex) + abs(sy - ey)
    best, best_hops = -1, 1 << 20
    low_u, high_u = reach[source, 3], reach[source, 1]
    for far_u in range(max(sx - low_u, high_u - sx) + 1):
        for side_u in range(2 if far_u else 1):
            u = sx - far_u if side_u else sx + far_u
            if u < low_u or u > high_u:
                continue
            hops_x = far_u + abs(u - ex)
            if hops_x + abs(sy - ey) >= best_hops:
                continue
            corner = u + sy * width
            first, last = max(low_v, reach[corner, 0]), min(high_v, reach[corner, 2])
            for far_v in range(max(ey - first, last - ey) + 1):
                for side_v in range(2 if far_v else 1):
                    v = ey - far_v if side_v else ey + far_v
                    if v < first or v > last:
                        continue
                    hops = hops_x + far_v + abs(v - sy)
                    if hops >= best_hops:
                        continue
                    turn = ex + v * width
                    if reach[turn, 3] <= u <= reach[turn, 1]:
                        best, best_hops = u + v * width, hops
                        if hops == least:
                            return best, best_hops
    return best, best_hops


@compiled
def choose(width: int, reach: Ints, source: int, end: int) -> tuple[int, int, int]:
    """Class, waypoint and hops of a pair of live routers."""
    if xy_alive(width, reach, source, end):
        return 0, -1, abs(source % width - end % width) + abs(source // width - end // width)
    waypoint, hops = _waypoint(width, reach, source, end)
    if waypoint < 0:
        return 2, -1, -1
    return 1, waypoint, hops


@compiled
def choose_all(width: int, reach: Ints, sources: Ints, ends: Ints) -> Ints:
    """(pairs, 3): class, waypoint and hops of each pair of live routers."""
    found = np.zeros((len(sources), 3), np.int32)
    for n in range(len(sources)):
        route_class, waypoint, hops = choose(width, reach, sources[n], ends[n])
        found[n, 0] = route_class
        found[n, 1] = waypoint
        found[n, 2] = hops
    return found


@compiled
def count_all(width: int, reach: Ints, sources: Ints, ends: Ints) -> npt.NDArray[np.int64]:
    """Every pair of a source and an end: pairs of each class, then hops beyond the least."""
    counts = np.zeros(6, np.int64)
    for source in sources:
        for end in ends:
            route_class, _, hops = choose(width, reach, source, end)
            counts[route_class] += 1
            if hops >= 0:
                counts[3 + route_class] += hops - (
                    abs(source % width - end % width) + abs(source // width - end // width))
    return counts
