"""A chain laid out for the compiled recurrence: what is left to do between two nodes is merged.

A node is a cell, the beginning of a window or its end. All are one operation, so that the inner
loop has no branch: wait until what is read has come, write when the next may come. The beginning
of a window writes, and its end reads, where it does not matter.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from ouroboros.sw.lib.compiled import compiled, inlined
from ouroboros.sw.wafer.chain import Chain, Ints

__all__ = ["PORT", "Nodes", "free_at", "lay_out", "push", "push_all", "push_unit", "turn"]

WAY, CONTEXT_WAYS, READ, WRITE, PHASE, HOLD, CONTEXT_HOLD, CELL = range(8)
"""Columns of ``Nodes.table``."""
PORT = -(1 << 40)
"""A time before any other."""


@dataclass(frozen=True, slots=True)
class Nodes:
    """Nodes of a chain in order."""

    table: Ints
    """``(nodes, 8)``: cycles since the node before, without context and in ways of the context;
    indices in the state that are read and written, and the phase that is added to both; hold (of a
    window's end: the way back), holds of the context; 1 for a cell."""
    end: Ints
    """``(2,)``: cycles after the last node, as WAY and CONTEXT_WAYS."""
    slots: Ints
    """``(phases,)``: token k is in phase ``k mod slots``."""
    state: int
    """Length of the state: times from which on something takes the next token."""
    hold_at: Ints
    """See ``Chain``."""
    way_at: Ints
    """See ``Chain``."""
    first: int
    """Nodes of the first cell: whether they let a token in is known when it is chosen."""

    def fresh(self) -> tuple[Ints, Ints]:
        """State and phases of an empty machine."""
        return np.full(self.state, PORT, np.int64), np.zeros(len(self.slots), np.int64)


def lay_out(chain: Chain, cells: Collection[int] | None = None,
            windows: Collection[int] | None = None) -> Nodes:
    """Nodes of some cells and windows of a chain, by default of all; the ways of all are kept."""
    kept = set(range(len(chain.cells)) if cells is None else cells)
    left = [chain.windows[n] for n in
            (range(len(chain.windows)) if windows is None else sorted(windows))]
    slots = [1, *sorted({window.slots for window in left} - {1})]
    always, nowhere = 0, max(slots)
    state = 2 * max(slots)
    base = []
    for window in left:
        base.append(state)
        state += window.slots
    rows: list[tuple[int, ...]] = []
    way = context_ways = first = 0

    def node(read: int, write: int, phase: int, hold: int, context: int, cell: int) -> None:
        nonlocal way, context_ways
        rows.append((way, context_ways, read, write, phase, hold, context, cell))
        way = context_ways = 0

    for s, cell in enumerate(chain.cells):
        for n, window in enumerate(left):
            if window.first == s:
                node(base[n], nowhere, slots.index(window.slots), 0, 0, 0)
        if s in kept:
            node(state, state, 0, cell.hold, int(cell.context), 1)
            state += 1
        if s == 0:
            first = len(rows)
        way, context_ways = way + cell.way, context_ways + cell.context
        for n, window in enumerate(left):
            if window.last == s:
                node(always, base[n], slots.index(window.slots), window.back, 0, 0)
    return Nodes(table=np.array(rows, np.int64).reshape(-1, 8),
                 end=np.array([way, context_ways], np.int64), slots=np.array(slots, np.int64),
                 state=state, hold_at=chain.hold_at, way_at=chain.way_at, first=first)


@inlined
def free_at(table: Ints, first: int, state: Ints, phases: Ints) -> int:
    """When the first cell and the windows that begin there take the next token."""
    found = PORT
    for n in range(first):
        found = max(found, state[table[n, READ] + phases[table[n, PHASE]]])
    return found


@inlined
def turn(slots: Ints, phases: Ints) -> None:
    """The next token is in the next phase."""
    for n in range(1, len(slots)):
        phase = phases[n] + 1
        phases[n] = 0 if phase == slots[n] else phase


@inlined
def push(x: int, hold: int, way: int, table: Ints, end: Ints, slots: Ints, state: Ints,
         phases: Ints) -> int:
    """When a token that arrives at ``x`` is through; hold and way are those of its context."""
    for n in range(len(table)):
        phase = phases[table[n, PHASE]]
        x = max(x + table[n, WAY] + table[n, CONTEXT_WAYS] * way, state[table[n, READ] + phase])
        state[table[n, WRITE] + phase] = x + table[n, HOLD] + table[n, CONTEXT_HOLD] * hold
    turn(slots, phases)
    return x + end[0] + end[1] * way


@inlined
def push_unit(x: int, tokens: int, holds: int, hold: int, way: int, table: Ints, end: Ints,
              slots: Ints, state: Ints, phases: Ints) -> int:
    """When the last of several tokens is through that every cell takes as one.

    Every cell must have its node. ``holds`` is the sum of ``hold_at`` over their contexts, hold and
    way are those of the last.
    """
    for n in range(len(table)):
        phase = phases[table[n, PHASE]]
        x = max(x + table[n, WAY] + table[n, CONTEXT_WAYS] * way, state[table[n, READ] + phase])
        x += table[n, CELL] * ((tokens - 1) * table[n, HOLD]
                               + table[n, CONTEXT_HOLD] * (holds - hold))
        state[table[n, WRITE] + phase] = x + table[n, HOLD] + table[n, CONTEXT_HOLD] * hold
    turn(slots, phases)
    return x + end[0] + end[1] * way


@compiled
def push_all(arrivals: Ints, contexts: Ints, table: Ints, end: Ints, slots: Ints, state: Ints,
             phases: Ints, hold_at: Ints, way_at: Ints) -> Ints:
    """When each of many tokens is through: ``(tokens,)``."""
    found = np.zeros(len(arrivals), np.int64)
    for k in range(len(arrivals)):
        found[k] = push(arrivals[k], hold_at[contexts[k]], way_at[contexts[k]], table, end, slots,
                        state, phases)
    return found
