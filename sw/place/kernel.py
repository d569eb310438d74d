"""The annealer's inner loop: propose, evaluate, accept."""

import numpy as np
import numpy.typing as npt

from ouroboros.sw.lib.compiled import compiled, inlined
from ouroboros.sw.place.traffic import Ints32

__all__ = ["DRAWS", "EMPTY", "NOBODY", "exponential_draws", "sweep"]

DRAWS = 4096
"""Entries of the table of exponential draws."""
EMPTY = -1
"""Tile of a core that has none."""
NOBODY = -1
"""Owner of cores that no one may use."""

LOW8, LOW16, LOW32 = np.uint64(0xFF), np.uint64(0xFFFF), np.uint64(0xFFFFFFFF)
S8, S16, S17, S23, S24 = (np.uint64(n) for n in (8, 16, 17, 23, 24))
S26, S32, S40, ENTRIES = (np.uint64(n) for n in (26, 32, 40, DRAWS - 1))


def exponential_draws() -> npt.NDArray[np.float64]:
    """``-ln`` of the midpoints of ``DRAWS`` equal parts of (0, 1), in steps of 2**-20.

    A table instead of a logarithm for each proposal, and the same on every machine: rounded so
    coarsely that the last bits of a library's logarithm do not show.
    """
    draws = -np.log((np.arange(DRAWS) + 0.5) / DRAWS)
    return np.round(draws * 2.0**20) / 2.0**20


@inlined
def _random(state: npt.NDArray[np.uint64]) -> np.uint64:
    """Ref: S. Vigna, Further scramblings of Marsaglia's xorshift generators, 2017: xorshift128+."""
    x, y = state[0], state[1]
    state[0] = y
    x ^= x << S23
    state[1] = x ^ y ^ (x >> S17) ^ (y >> S26)
    return np.uint64(state[1] + y)


@compiled
def sweep(moves: int, temperature: float, window: int, near: int, near_of_256: int,
          state: npt.NDArray[np.uint64], draws: npt.NDArray[np.float64], mine: Ints32,
          owner: npt.NDArray[np.int8], me: int, start: Ints32, neighbour: Ints32, volume: Ints32,
          u: Ints32, v: Ints32, width: int, core: Ints32, tile: Ints32, tile_u: Ints32,
          tile_v: Ints32) -> tuple[int, int, np.int64]:
    """Evaluate ``moves`` proposals at one temperature; accepted ones change the last four arrays.

    A proposal takes one of the tiles ``mine`` to another core of owner ``me``; a tile there comes
    back in exchange. The target lies within ``window`` cores of the tile or, for
    ``near_of_256`` of 256 proposals, within ``near`` cores of a random neighbour in the traffic.
    Proposals that leave the grid or the owner's cores are not evaluated and do not count; eight
    times as many draws as moves end the call.

    Parameters
    ----------
    core, tile, tile_u, tile_v
        Core of each tile, tile of each core, stretched coordinates of each tile. Tiles of other
        owners stay where they are.

    Returns
    -------
    evaluated, accepted, change
        Proposals, and what the accepted ones changed the cost by, exact in kernel units.
    """
    height = u.size // width
    span, near_span = np.uint64(2 * window + 1), np.uint64(2 * near + 1)
    count = np.uint64(mine.size)
    evaluated = accepted = 0
    change = np.int64(0)
    for _ in range(8 * moves):
        if evaluated == moves:
            break
        bits = _random(state)
        a = mine[np.int64(((bits & LOW32) * count) >> S32)]
        p = core[a]
        bits >>= S32
        centre, reach, wide = p, window, span
        if np.int64(bits & LOW8) < near_of_256:
            degree = np.uint64(start[a + 1] - start[a])
            if degree == 0:
                continue
            n = start[a] + np.int64(((bits >> S8) * degree) >> S24)
            centre, reach, wide = core[neighbour[n]], near, near_span
        bits = _random(state)
        y = centre // width
        x = centre - y * width - reach + np.int64(((bits & LOW16) * wide) >> S16)
        y += np.int64((((bits >> S16) & LOW16) * wide) >> S16) - reach
        if x < 0 or y < 0 or x >= width or y >= height:
            continue
        q = x + width * y
        if owner[q] != me or q == p:
            continue
        b = tile[q]
        up, vp, uq, vq = u[p], v[p], u[q], v[q]
        delta = between = np.int32(0)
        for n in range(start[a], start[a + 1]):
            c = neighbour[n]
            between += volume[n] * np.int32(c == b)
            delta += volume[n] * (abs(uq - tile_u[c]) + abs(vq - tile_v[c])
                                  - abs(up - tile_u[c]) - abs(vp - tile_v[c]))
        total = np.int64(delta)
        if b != EMPTY:
            delta = np.int32(0)
            for n in range(start[b], start[b + 1]):
                c = neighbour[n]
                delta += volume[n] * (abs(up - tile_u[c]) + abs(vp - tile_v[c])
                                      - abs(uq - tile_u[c]) - abs(vq - tile_v[c]))
            # An edge between the two keeps its length, but both sums saw it vanish.
            total += np.int64(delta) + 2 * np.int64(between) * (abs(up - uq) + abs(vp - vq))
        evaluated += 1
        if total <= 0 or total < temperature * draws[np.int64((bits >> S40) & ENTRIES)]:
            accepted += 1
            change += total
            core[a], tile_u[a], tile_v[a], tile[q], tile[p] = q, uq, vq, a, b
            if b != EMPTY:
                core[b], tile_u[b], tile_v[b] = p, up, vp
    return evaluated, accepted, change
