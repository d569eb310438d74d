"""A chain laid out for the compiled recurrence: what is left to do between two nodes is merged.

A node is a cell, the beginning of a window or its end. ``push`` takes one token through all.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ouroboros.sw.lib.compiled import compiled, inlined
from ouroboros.sw.wafer.chain import Chain, Ints

__all__ = ["CELL", "CLOSE", "OPEN", "PORT", "Nodes", "free_at", "lay_out", "push", "push_all",
           "push_unit"]

CELL, OPEN, CLOSE = 0, 1, 2
"""Kinds of node."""
KIND, BASE, WAY, CONTEXT_WAYS, HOLD, CONTEXT_HOLD, SLOTS = range(7)
"""Columns of ``Nodes.table``; of a CLOSE, HOLD is the window's ``back``."""
PORT = -(1 << 40)
"""A time before any other."""


@dataclass(frozen=True, slots=True)
class Nodes:
    """Nodes of a chain in order, and the times that they start with."""

    table: Ints
    """``(nodes, 7)``: kind; first index in the state; cycles since the node before, without and
    by number of context cells; hold, and whether the context's comes on top; slots."""
    end: Ints
    """``(2,)``: cycles after the last node, as WAY and CONTEXT_WAYS."""
    state: int
    """Length of the state: the next start of every cell, the next taking of every slot."""
    hold_at: Ints
    """See ``Chain``."""
    way_at: Ints
    """See ``Chain``."""
    first: int
    """Nodes of the first cell: whether they let a token in is known when it is chosen."""

    def fresh(self) -> tuple[Ints, npt.NDArray[np.int64]]:
        """State and turns (which slot of a window comes next) of an empty machine."""
        return np.full(self.state, PORT, np.int64), np.zeros(len(self.table), np.int64)


def lay_out(chain: Chain, cells: Collection[int] | None = None,
            windows: Collection[int] | None = None) -> Nodes:
    """Nodes of some cells and windows of a chain, by default of all; the ways of all are kept."""
    kept = set(range(len(chain.cells)) if cells is None else cells)
    left = [chain.windows[n] for n in
            (range(len(chain.windows)) if windows is None else sorted(windows))]
    base: dict[int, int] = {}
    state = 0
    for n, window in enumerate(left):
        base[n], state = state, state + window.slots
    rows: list[tuple[int, ...]] = []
    way = context_ways = first = 0

    def node(kind: int, at: int, hold: int, context: int, slots: int) -> None:
        nonlocal way, context_ways
        rows.append((kind, at, way, context_ways, hold, context, slots))
        way = context_ways = 0

    for s, cell in enumerate(chain.cells):
        for n, window in enumerate(left):
            if window.first == s:
                node(OPEN, base[n], 0, 0, window.slots)
        if s in kept:
            node(CELL, state, cell.hold, int(cell.context), 1)
            state += 1
        if s == 0:
            first = len(rows)
        way, context_ways = way + cell.way, context_ways + cell.context
        for n, window in enumerate(left):
            if window.last == s:
                node(CLOSE, base[n], window.back, 0, window.slots)
    return Nodes(table=np.array(rows, np.int64).reshape(-1, 7),
                 end=np.array([way, context_ways], np.int64), state=max(state, 1),
                 hold_at=chain.hold_at, way_at=chain.way_at, first=first)


@inlined
def free_at(table: Ints, first: int, state: Ints, turns: Ints) -> int:
    """When the first cell and the windows that begin there take the next token."""
    found = PORT
    for n in range(first):
        found = max(found, state[table[n, BASE] + turns[n]])
    return found


@inlined
def push(x: int, hold: int, way: int, table: Ints, end: Ints, state: Ints, turns: Ints) -> int:
    """When a token that arrives at ``x`` is through; hold and way are those of its context."""
    for n in range(len(table)):
        x += table[n, WAY] + table[n, CONTEXT_WAYS] * way
        at, kind = table[n, BASE], table[n, KIND]
        if kind == CELL:
            x = max(x, state[at])
            state[at] = x + table[n, HOLD] + table[n, CONTEXT_HOLD] * hold
        else:
            turn = turns[n]
            if kind == OPEN:
                x = max(x, state[at + turn])
            else:
                state[at + turn] = x + table[n, HOLD]
            turn += 1
            turns[n] = 0 if turn == table[n, SLOTS] else turn
    return x + end[0] + end[1] * way


@inlined
def push_unit(x: int, tokens: int, holds: int, hold: int, way: int, table: Ints, end: Ints,
              state: Ints, turns: Ints) -> int:
    """When the last of several tokens is through that every cell takes as one.

    Every cell must have its node. ``holds`` is the sum of ``hold_at`` over their contexts, hold and
    way are those of the last.
    """
    for n in range(len(table)):
        x += table[n, WAY] + table[n, CONTEXT_WAYS] * way
        at, kind = table[n, BASE], table[n, KIND]
        if kind == CELL:
            x = max(x, state[at])
            before = (tokens - 1) * table[n, HOLD] + table[n, CONTEXT_HOLD] * (holds - hold)
            x += before
            state[at] = x + table[n, HOLD] + table[n, CONTEXT_HOLD] * hold
        else:
            turn = turns[n]
            if kind == OPEN:
                x = max(x, state[at + turn])
            else:
                state[at + turn] = x + table[n, HOLD]
            turn += 1
            turns[n] = 0 if turn == table[n, SLOTS] else turn
    return x + end[0] + end[1] * way


@compiled
def push_all(arrivals: Ints, contexts: Ints, table: Ints, end: Ints, state: Ints, turns: Ints,
             hold_at: Ints, way_at: Ints) -> Ints:
    """When each of many tokens is through: ``(tokens,)``."""
    found = np.zeros(len(arrivals), np.int64)
    for k in range(len(arrivals)):
        found[k] = push(arrivals[k], hold_at[contexts[k]], way_at[contexts[k]], table, end, state,
                        turns)
    return found
