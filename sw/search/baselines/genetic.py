"""The genetic search as published: random start, links taken as free of others.

Ref: Compass, arXiv 2512.06093, and its program: population 120, one elite, tournaments of five,
segments of parents exchanged, seven mutations whose rates change twice.
"""

from typing import Any

import numpy as np

from ouroboros.sw.lib.compiled import compiled
from ouroboros.sw.search.annealing.draw import Stream, below
from ouroboros.sw.search.evaluation.alone import alone
from ouroboros.sw.search.evaluation.contend import LATE, contend
from ouroboros.sw.search.evaluation.issue import issue
from ouroboros.sw.search.evaluation.tables import Floats, Tables
from ouroboros.sw.search.evaluation.work import Work
from ouroboros.sw.search.problem.layers import Ints
from ouroboros.sw.search.problem.mapping import Chips, Cuts

__all__ = ["POPULATION", "RATES", "breed", "costs_of", "scatter"]

POPULATION = 120
ROUNDS = 5
"""Individuals of a tournament."""
FLIP, SHIFT = 5, 10
"""Of 100 cuts: turned, moved by one layer."""
RATES = np.array([
    # chip, swap layers, swap batches of a layer, shuffle, remap, swap segments, swap batches
    [10, 5, 5, 10, 20, 20, 20],
    [10, 5, 5, 10, 10, 10, 10],
    [10, 10, 10, 3, 3, 2, 2]], np.int64)
"""Of 100 children, how many get each mutation: before 0.3 of the run, before 0.7, after it."""


@compiled
def scatter(state: Stream, count: int, cuts: Cuts, chips: Chips) -> None:
    """A random mapping on ``count`` chips."""
    for i in range(cuts.size):
        cuts[i] = below(state, 2)
    for i in range(chips.size):
        chips[i] = below(state, count)


@compiled
def costs_of(t: Tables, w: Work, contended: bool, cuts: Cuts, chips: Chips, low: int, high: int,
             costs: Floats) -> None:
    """Latency in time units times energy, of mappings ``low`` to ``high - 1`` of a population.

    Parameters
    ----------
    cuts, chips : array
        ``(population, layers - 1)`` and ``(population, nodes)``.
    """
    for i in range(low, high):
        energy, dram = issue(t, w, cuts[i], chips[i])
        costs[i] = energy * (contend(t, w, chips[i], dram, LATE) if contended
                             else alone(t, w, chips[i], LATE))


@compiled
def _winner(state: Stream, costs: Floats) -> Any:
    best = below(state, costs.size)
    for _ in range(ROUNDS - 1):
        other = below(state, costs.size)
        if costs[other] < costs[best]:
            best = other
    return best


@compiled
def _cross(state: Stream, layers: int, cuts: Cuts, chips: Chips, other_cuts: Cuts,
           other_chips: Chips) -> None:
    """Cuts of either parent; whole segments of the first parent's cuts from either."""
    start = 0
    for layer in range(layers):
        if layer == layers - 1 or cuts[layer] != 0:
            if below(state, 2):
                for base in range(0, chips.size, layers):
                    for i in range(base + start, base + layer + 1):
                        chips[i] = other_chips[i]
            start = layer + 1
    for i in range(cuts.size):
        if below(state, 2):
            cuts[i] = other_cuts[i]


@compiled
def _turn(state: Stream, cuts: Cuts) -> None:
    last = cuts.size - 1
    for i in range(cuts.size):
        if below(state, 100) < FLIP:
            cuts[i] ^= 1
    for i in range(cuts.size):
        if cuts[i] != 0 and below(state, 100) < SHIFT:
            to = i - 1 if below(state, 2) else i + 1
            if 0 <= to <= last and cuts[to] == 0:
                cuts[i] = 0
                cuts[to] = 1


@compiled
def _segment(state: Stream, cuts: Cuts) -> tuple[int, int]:
    """A random segment: first layer and one past the last."""
    wanted = below(state, 1 + np.sum(cuts))
    start = 0
    for i in range(cuts.size):
        if cuts[i] != 0:
            if wanted == 0:
                return start, i + 1
            wanted -= 1
            start = i + 1
    return start, cuts.size + 1


@compiled
def _mutate(state: Stream, rates: Ints, count: int, layers: int, cuts: Cuts, chips: Chips) -> None:
    batches = chips.size // layers
    row = below(state, batches) * layers
    if below(state, 100) < rates[0]:
        chips[below(state, chips.size)] = below(state, count)
    if below(state, 100) < rates[1] and layers > 1:
        i = below(state, batches) * layers + below(state, layers - 1)
        chips[i], chips[i + 1] = chips[i + 1], chips[i]
    if below(state, 100) < rates[2]:
        layer = below(state, layers)
        i, j = below(state, batches) * layers + layer, below(state, batches) * layers + layer
        chips[i], chips[j] = chips[j], chips[i]
    if below(state, 100) < rates[3]:
        low, high = _segment(state, cuts)
        for i in range(high - low - 1, 0, -1):
            j = below(state, i + 1)
            a, b = row + low + i, row + low + j
            chips[a], chips[b] = chips[b], chips[a]
    if below(state, 100) < rates[4]:
        low, high = _segment(state, cuts)
        row = below(state, batches) * layers
        for i in range(row + low, row + high):
            chips[i] = below(state, count)
    if below(state, 100) < rates[5]:
        low, high = _segment(state, cuts)
        other, end = _segment(state, cuts)
        if other != low:
            for base in range(0, chips.size, layers):
                for i in range(min(high - low, end - other)):
                    a, b = base + low + i, base + other + i
                    chips[a], chips[b] = chips[b], chips[a]
    if below(state, 100) < rates[6]:
        row, with_ = below(state, batches) * layers, below(state, batches) * layers
        for i in range(layers):
            chips[row + i], chips[with_ + i] = chips[with_ + i], chips[row + i]


@compiled
def breed(state: Stream, rates: Ints, count: int, cuts: Cuts, chips: Chips, costs: Floats,
          next_cuts: Cuts, next_chips: Chips) -> None:
    """The next generation: the best as it is, then children of winners of tournaments."""
    layers = cuts.shape[1] + 1
    best = np.argmin(costs)
    next_cuts[0] = cuts[best]
    next_chips[0] = chips[best]
    for i in range(1, costs.size):
        a, b = _winner(state, costs), _winner(state, costs)
        next_cuts[i] = cuts[a]
        next_chips[i] = chips[a]
        _cross(state, layers, next_cuts[i], next_chips[i], cuts[b], chips[b])
        _turn(state, next_cuts[i])
        _mutate(state, rates, count, layers, next_cuts[i], next_chips[i])
