"""A lower bound on the cost of any placement, and what proves it.

Claim. Let V be the volume of an edge, d its hops, and for k = 1, 2, .. let ``balls[k - 1]`` be the
largest number of other live cores that any live core has within k hops. For any prices
``q[a, k] >= 0``, one for each tile and each k,

    cost  >=  sum over edges of V
              + sum over k of ( sum over edges ab of min(V, q[a, k] + q[b, k])
                                - balls[k - 1] * sum over tiles of q[a, k] ).

Proof. d is at least 1, and d = 1 + sum over k >= 1 of [d > k]. Fix k, let m = min(V, q[a, k] +
q[b, k]) for each edge and call an edge short if d <= k. Then V [d > k] >= m [d > k] = m - m
[short]. A sum of m over the short edges is at most the sum of q[a, k] + q[b, k] over them; there
each tile counts its price once for each of its short edges, and they end on different live cores
within k hops of its own, so at most ``balls[k - 1]`` times. Levels left out are at least 0.

So any prices prove a bound; better prices prove a better one. By linear programming duality the
best at level k say which volume must travel more than k hops if all that is known is that no tile
can have more than ``balls[k - 1]`` neighbours nearer: a fractional b-matching. It is at least the
"star" bound, which lets every tile arrange its share of its edges' volume, nearest core for the
largest, with the shares of all distances alike.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ouroboros.sw.lib.compiled import compiled
from ouroboros.sw.place.instance import Grid, Instance, Ints

__all__ = ["Bound", "balls", "evaluate", "lower_bound"]

Floats = npt.NDArray[np.float64]
LEVELS_MAX = 24
"""Distances that are looked at; more would only matter to tiles of more than 1,200 neighbours."""
ITERATIONS = 500
STEP, MOMENTUM = 0.1, 0.9


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Bound:
    """A proved bound with its proof: ``evaluate(instance, prices)`` is at least ``value``."""

    value: int
    """No placement costs less."""
    prices: Ints
    """``(tiles, levels)``; see the module."""


def balls(grid: Grid, levels: int) -> Ints:
    """For k = 1 .. levels the most live cores that a live core has within k hops, itself left out.

    Counted on the grid as it is, with its borders, dies and dead cores.
    """
    alive = np.zeros(grid.cores, np.bool_)
    alive[grid.live] = True
    counts: Ints = _balls(grid.u, grid.v, grid.width, alive, levels)
    return counts


@compiled
def _balls(u: Ints, v: Ints, width: int, alive: npt.NDArray[np.bool_], levels: int) -> Ints:
    most = np.zeros(levels, np.int64)
    count = np.zeros(levels + 1, np.int64)
    height = u.size // width
    for p in range(u.size):
        if not alive[p]:
            continue
        count[:] = 0
        x, y = p % width, p // width
        for row in range(max(0, y - levels), min(height, y + levels + 1)):
            for q in range(row * width + max(0, x - levels),
                           row * width + min(width, x + levels + 1)):
                hops = abs(u[p] - u[q]) + abs(v[p] - v[q])
                if hops <= levels and alive[q] and q != p:
                    count[hops] += 1
        within = 0
        for k in range(levels):
            within += count[k + 1]
            most[k] = max(most[k], within)
    return most


def evaluate(instance: Instance, prices: Ints) -> int:
    """The claim's right side in whole numbers: a bound, for any prices >= 0."""
    a, b, volume = instance.edges.T
    covered = np.minimum(volume[:, None], prices[a] + prices[b])
    limits = balls(instance.grid, prices.shape[1])
    return int(volume.sum() + covered.sum() - (prices.sum(0) * limits).sum())


def lower_bound(instance: Instance, iterations: int = ITERATIONS) -> Bound:
    """Search for good prices by subgradient steps with momentum; deterministic.

    The steps are in floating point; the bound is counted in whole numbers from rounded prices.
    """
    a, b, volume = instance.edges.T
    degree = np.bincount(np.r_[a, b], minlength=instance.tiles)
    limits = balls(instance.grid, LEVELS_MAX)
    # Beyond, every tile has room for all its neighbours and the best prices are 0.
    levels = int((limits < degree.max(initial=0)).sum())
    if not levels:
        return Bound(value=instance.volume, prices=np.zeros((instance.tiles, 0), np.int64))
    limits = limits[:levels]
    mean = np.bincount(np.r_[a, b], np.r_[volume, volume], instance.tiles) / np.maximum(degree, 1)
    prices = np.where(degree[:, None] > limits, mean[:, None] / 2, 0.0)
    scale = mean[:, None] / np.maximum(degree, 8)[:, None]
    slope, speed = np.empty_like(prices), np.zeros_like(prices)
    best, best_value = np.zeros_like(prices), float(volume.sum())
    for n in range(iterations):
        value = _slope(a, b, volume.astype(np.float64), prices, limits, slope)
        if value > best_value:
            best, best_value = prices.copy(), value
        speed = MOMENTUM * speed + slope
        prices = np.maximum(0.0, prices + STEP * (1 - n / iterations) ** 2 * scale * speed)
    # The rounding loses, or wins, less than half a unit for each price.
    whole = np.rint(best).astype(np.int64)
    return Bound(value=max(instance.volume, evaluate(instance, whole)), prices=whole)


@compiled
def _slope(a: Ints, b: Ints, volume: Floats, prices: Floats, limits: Ints,
           slope: Floats) -> float:
    """The claim's right side, and its derivative by each price."""
    total = float(volume.sum())
    for n in range(prices.shape[0]):
        for k in range(prices.shape[1]):
            slope[n, k] = -limits[k]
            total -= limits[k] * prices[n, k]
    for e in range(a.size):
        for k in range(prices.shape[1]):
            pair = prices[a[e], k] + prices[b[e], k]
            if pair < volume[e]:
                total += pair
                slope[a[e], k] += 1.0
                slope[b[e], k] += 1.0
            else:
                total += volume[e]
    return total
