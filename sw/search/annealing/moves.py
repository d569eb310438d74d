"""Moves of the annealing: small changes of a mapping, in place."""

from typing import Any

import numpy as np

from ouroboros.sw.lib.compiled import compiled
from ouroboros.sw.search.annealing.draw import Stream, below
from ouroboros.sw.search.annealing.ground import Ground
from ouroboros.sw.search.problem.layers import Ints
from ouroboros.sw.search.problem.mapping import Chips, Cuts

__all__ = ["BLOCKS", "COLUMNS", "EQUAL", "FULL", "MOVES", "move"]

MOVES = 16
"""Kinds of moves."""
FULL = np.array([22, 10, 6, 10, 8, 6, 4, 6, 3, 3, 4, 4, 6, 4, 2, 2], np.int64)
"""How often each is drawn in the full encoding."""
EQUAL = np.array([22, 10, 6, 10, 8, 6, 4, 6, 3, 0, 0, 4, 6, 4, 2, 2], np.int64)
"""How often where all micro-batches share one row."""
BLOCKS = [14, 15]
"""Kinds that change whole blocks."""
COLUMNS = np.array([30, 45, 15, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0], np.int64)
"""How often in a search that moves, swaps and copies single layers, as Gemini does.

Ref: Gemini, Cai et al., HPCA 2024.
"""


@compiled
def _span(g: Ground, state: Stream, equal: bool) -> tuple[int, int]:
    """Micro-batches that a move changes: all, one, or some in a row."""
    if equal or g.batches == 1 or below(state, 100) < 45:
        return 0, g.batches
    low = below(state, g.batches)
    if below(state, 3) == 0:
        return low, min(g.batches, low + 1 + below(state, max(1, g.batches // 2)))
    return low, low + 1


@compiled
def _mate(g: Ground, state: Stream, layer: int) -> Any:
    """Another layer, mostly of the same stage."""
    if below(state, 4) != 0:
        s = g.stage[layer]
        return g.first[s] + below(state, g.first[s + 1] - g.first[s])
    return below(state, g.layers)


@compiled
def move(g: Ground, state: Stream, weights: Ints, equal: bool, cuts: Cuts, chips: Chips,
         ) -> int:
    """Change a mapping; the kind of move.

    Parameters
    ----------
    weights : array
        How often each kind is drawn, whole numbers, ``(MOVES,)``.
    equal : bool
        Change all micro-batches alike.
    cuts, chips : array
        The mapping; ``chips`` flat.
    """
    layers, count, stages = g.layers, g.kind.size, g.first.size - 1
    total = 0
    for i in range(weights.size):
        total += weights[i]
    drawn = below(state, total)
    kind = 0
    while drawn >= weights[kind]:
        drawn -= weights[kind]
        kind += 1
    low, high = _span(g, state, equal)
    a = below(state, layers)
    if kind == 0:           # a layer to any chip
        c = below(state, count)
        for b in range(low, high):
            chips[b * layers + a] = c
    elif kind == 1:         # two layers change places
        m = _mate(g, state, a)
        for b in range(low, high):
            i, j = b * layers + a, b * layers + m
            chips[i], chips[j] = chips[j], chips[i]
    elif kind == 2:         # a layer to the chip of a mate
        m = _mate(g, state, a)
        for b in range(low, high):
            chips[b * layers + a] = chips[b * layers + m]
    elif kind == 3:         # a layer to the chip of one that it reads, or that reads it
        near = g.near_start[a + 1] - g.near_start[a]
        if near > 0:
            m = g.near[g.near_start[a] + below(state, near)]
            for b in range(low, high):
                chips[b * layers + a] = chips[b * layers + m]
    elif kind == 4:         # a layer to the next chip
        c = chips[low * layers + a]
        x, y = c % g.columns, c // g.columns
        side = below(state, 4)
        x += (side == 0) - (side == 1)
        y += (side == 2) - (side == 3)
        if 0 <= x < g.columns and 0 <= y < g.lines:
            for b in range(low, high):
                chips[b * layers + a] = y * g.columns + x
    elif kind == 5:         # a stage takes the chips of another
        s, o = g.stage[a], below(state, stages)
        size = g.first[o + 1] - g.first[o]
        for b in range(low, high):
            for i in range(g.first[s], g.first[s + 1]):
                chips[b * layers + i] = chips[b * layers + g.first[o] + (i - g.first[s]) % size]
    elif kind == 6:         # a stage to a piece of the snake
        s, wide, start = g.stage[a], 1 + below(state, count), below(state, count)
        for i in range(g.first[s], g.first[s + 1]):
            c = g.snake[(start + (i - g.first[s]) % wide) % count]
            for b in range(low, high):
                chips[b * layers + i] = c
    elif kind == 7:         # a segment ends, or no longer ends, behind a stage
        if stages > 1:
            s = below(state, stages - 1)
            cuts[g.first[s + 1] - 1] ^= 1
    elif kind == 8:         # or anywhere
        if layers > 1:
            cuts[below(state, layers - 1)] ^= 1
    elif kind == 9:         # a micro-batch takes the row of another, or they change
        b, d = below(state, g.batches), below(state, g.batches)
        swap = below(state, 2) == 0
        for i in range(layers):
            i, j = b * layers + i, d * layers + i
            c = chips[i]
            chips[i] = chips[j]
            if swap:
                chips[j] = c
    elif kind == 10:        # micro-batches take one layer's chip from the next one
        b = below(state, g.batches)
        d = b + 1 if b + 1 < g.batches else b - 1
        if d >= 0:
            s = g.stage[a]
            for i in range(g.first[s], g.first[s + 1]):
                chips[b * layers + i] = chips[d * layers + i]
    elif kind == 11:        # two chips change their layers of some stages
        c, d = below(state, count), below(state, count)
        s = g.stage[a]
        e = min(stages, s + 1 + below(state, 8))
        for b in range(low, high):
            for i in range(b * layers + g.first[s], b * layers + g.first[e]):
                if chips[i] == c:
                    chips[i] = d
                elif chips[i] == d:
                    chips[i] = c
    elif kind == 12:        # a run of tiles to neighbouring pieces of the snake
        s = g.stage[a]
        run = 1 + below(state, 4)
        start = below(state, count)
        for i in range(a, min(a + run, g.first[s + 1])):
            for b in range(low, high):
                chips[b * layers + i] = g.snake[(start + i - a) % count]
    elif kind == 13:        # a stage is turned by some tiles
        s = g.stage[a]
        size = g.first[s + 1] - g.first[s]
        turn = below(state, size)
        for b in range(low, high):
            base = b * layers + g.first[s]
            for _ in range(turn):
                c = chips[base]
                for i in range(size - 1):
                    chips[base + i] = chips[base + i + 1]
                chips[base + size - 1] = c
    elif kind == 14:        # a block takes the chips of another
        if g.blocks > 1:
            size = layers // g.blocks
            o, p = below(state, g.blocks), below(state, g.blocks)
            for b in range(low, high):
                for i in range(size):
                    chips[b * layers + o * size + i] = chips[b * layers + p * size + i]
    elif g.blocks > 1:      # a stage of all blocks takes the chips of that of one
        size, s = layers // g.blocks, g.stage[a]
        within = g.first[s] % size
        for o in range(g.blocks):
            for b in range(low, high):
                for i in range(g.first[s + 1] - g.first[s]):
                    chips[b * layers + o * size + within + i] = chips[
                        b * layers + g.first[s] + i]
    return kind
