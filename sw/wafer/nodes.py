"""A chain laid out for the compiled recurrence: what lies between two waits is merged.

A token passes operations: it waits for a cell or a slot (a read of the state), and says when the
next may take it (a write). A node is some reads, at most two, that nothing is written between, and
the writes behind them, at most two. Its time x is that of its last read; reads before it and writes
behind it are moved there by the cycles in between.

Blocks that are alike have the same nodes at other places of the state, a constant number of them
further on: a section. The table stays small enough for the first cache.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ouroboros.sw.lib.compiled import compiled, embedded
from ouroboros.sw.wafer.chain import Chain, Ints

__all__ = ["PORT", "Nodes", "Places", "free_at", "lay_out", "push", "push_all", "push_unit"]

# Columns of ``Nodes.times``. A plain cell needs the first only.
(PLAIN, WAY, WAYS, HOLD, HOLDS, BEHIND, LATER2, LATERS2, HOLD2, BEHIND2) = range(10)
"""WAY: cycles since the node before; HOLD: cycles until what is written; LATER: between a read and
the node. With an S, and BEHIND of a HOLD: how often the context's way or hold comes on top."""
# Columns of ``Nodes.places``.
READ, WRITE, PHASE, PHASE_OUT, READ2, PHASE2, WRITE2, PHASE_OUT2 = range(8)
Places = npt.NDArray[np.uint64]
"""Without a sign there is no counting from the end, which would take a third of the time."""
TIMES, PLACES = 10, 8
LONGEST = 16
"""Rows of what may be repeated; a block has up to six."""
ONE = np.uint64(1)
PORT = -(1 << 40)
"""A time before any other."""


@dataclass(frozen=True, slots=True)
class Nodes:
    """Nodes of a chain in order."""

    times: Ints
    """``(rows, 10)``: see the columns."""
    places: Places
    """``(rows, 8)``: places in the state, and the phases that are added to them."""
    sections: Places
    """``(sections, 4)``: first row, row behind the last, repetitions, places of the state from one
    repetition to the next."""
    end: Ints
    """``(2,)``: cycles after the last node, as WAY and WAYS."""
    slots: Places
    """``(phases,)``: token k is in phase ``k mod slots``."""
    state: int
    """Length of the state: times from which on something takes the next token."""
    hold_at: Ints
    """See ``Chain``."""
    way_at: Ints
    """See ``Chain``."""
    first: int
    """Nodes of the first cell: whether they let a token in is known when it is chosen."""
    cell_places: Mapping[int, int]
    """Place in the state by cell."""
    window_places: Mapping[int, int]
    """First place in the state by window."""

    @property
    def count(self) -> int:
        """Nodes that a token passes."""
        rows = self.sections.astype(np.int64)
        return int(((rows[:, 1] - rows[:, 0]) * rows[:, 2]).sum())

    def fresh(self) -> tuple[Ints, Places]:
        """State and phases of an empty machine."""
        return np.full(self.state, PORT, np.int64), np.zeros(len(self.slots), np.uint64)


@dataclass(slots=True)
class _Open:
    """A node under construction."""

    way: tuple[int, int] = (0, 0)
    reads: list[tuple[int, int, int, int]] = field(default_factory=list)
    """Index, phase, cycles before the node's time, in constants and in ways."""
    writes: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    """Index, phase, cycles behind the node's time: constant, holds, ways."""


class _Layout:
    """Nodes so far."""

    def __init__(self, *, merged: bool):
        self.merged, self.state = merged, 0
        self.rows: list[list[int]] = []
        self.node = _Open()
        self.since = (0, 0)
        """Cycles since the time of the node under construction."""

    def place(self, count: int = 1) -> int:
        """New places of the state."""
        self.state += count
        return self.state - count

    def read(self, index: int, phase: int) -> None:
        """The token waits for something."""
        node = self.node
        if node.writes or len(node.reads) == 2 or (node.reads and not self.merged):
            self.close()
            node = self.node
        way, ways = self.since
        node.reads = [(i, p, a + way, b + ways) for i, p, a, b in node.reads]
        node.reads.append((index, phase, 0, 0))
        node.way = node.way[0] + way, node.way[1] + ways
        self.since = (0, 0)

    def write(self, index: int, phase: int, hold: int, holds: int, *, own: bool = False) -> None:
        """The next token may pass ``hold`` cycles from here; ``own``: what was just read."""
        if len(self.node.writes) == 2 or (not own and not self.merged):
            since = self.since
            self.close()
            self.node.reads.append((self.place(), 0, 0, 0))
            self.node.way, self.since = (0, 0), since
        way, ways = self.since
        self.node.writes.append((index, phase, hold + way, holds, ways))

    def close(self) -> None:
        """The node is complete; the next begins at its time."""
        node = self.node
        self.node = _Open(way=self.since if not (node.reads or node.writes) else (0, 0))
        if not node.reads and not node.writes:
            return
        # The last read is that without cycles behind it; a place of its own stands for none.
        reads = [*reversed(node.reads), *((self.place(), 0, 0, 0) for _ in range(2))][:2]
        writes = [*node.writes, *((self.place(), 0, 0, 0, 0) for _ in range(2))][:2]
        plain = (len(node.reads) == len(node.writes) == 1 and not writes[0][4]
                 and not reads[0][1] and reads[0][0] == writes[0][0])
        assert not writes[1][3], "a cell is written before any window that ends at it"
        self.rows.append([
            int(plain), *node.way, *writes[0][2:], *reads[1][2:], writes[1][2], writes[1][4],
            reads[0][0], writes[0][0], reads[0][1], writes[0][1], *reads[1][:2], *writes[1][:2]])


def lay_out(chain: Chain, cells: Collection[int] | None = None,
            windows: Collection[int] | None = None, *, merged: bool = True,
            within: Nodes | None = None) -> Nodes:
    """Nodes of some cells and windows of a chain, by default of all; the ways of all are kept.

    Parameters
    ----------
    chain : Chain
        The chain.
    cells, windows : collection of int, optional
        Indices of those that are kept.
    merged : bool
        As few nodes as possible; else one for every operation, for ``push_unit``.
    within : Nodes, optional
        Nodes of the same cells and windows, and of others, whose state these share.
    """
    kept = set(range(len(chain.cells)) if cells is None else cells)
    left = sorted(range(len(chain.windows)) if windows is None else windows)
    slots = within.slots.astype(int).tolist() if within else [
        1, *sorted({chain.windows[n].slots for n in left} - {1})]
    opening: dict[int, list[int]] = {}
    closing: dict[int, list[int]] = {}
    for n in left:
        opening.setdefault(chain.windows[n].first, []).append(n)
        closing.setdefault(chain.windows[n].last, []).append(n)
    made, first = _Layout(merged=merged), 0
    if within is not None:
        made.state = within.state
    cell_places, window_places = dict[int, int](), dict[int, int]()
    for s, cell in enumerate(chain.cells):
        for n in opening.get(s, ()):
            count = chain.windows[n].slots
            window_places[n] = within.window_places[n] if within else made.place(count)
            made.read(window_places[n], slots.index(count))
        if s in kept:
            own = cell_places[s] = within.cell_places[s] if within else made.place()
            made.read(own, 0)
            made.write(own, 0, cell.hold, int(cell.context), own=True)
        if s == 0:
            first = len(made.rows) + 1
        made.since = made.since[0] + cell.way, made.since[1] + cell.context
        for n in closing.get(s, ()):
            window = chain.windows[n]
            made.write(window_places[n], slots.index(window.slots), window.back, 0)
    end = made.since
    made.close()
    rows, sections = _fold(np.array(made.rows, np.int64).reshape(-1, TIMES + PLACES), first)
    return Nodes(times=np.ascontiguousarray(rows[:, :TIMES]),
                 places=rows[:, TIMES:].astype(np.uint64), sections=sections,
                 end=np.array(end, np.int64), slots=np.array(slots, np.uint64), state=made.state,
                 hold_at=chain.hold_at, way_at=chain.way_at, first=first,
                 cell_places=cell_places, window_places=window_places)


def _fold(rows: Ints, first: int) -> tuple[Ints, Places]:
    """Rows without repetitions, and their sections; those of the first cell stay by themselves."""
    table: list[Ints] = []
    sections: list[tuple[int, int, int, int]] = []
    moved = [TIMES + column for column in (READ, WRITE, READ2, WRITE2)]
    fixed = [column for column in range(TIMES + PLACES) if column not in moved]

    def add(at: int, period: int, times: int, stride: int) -> None:
        sections.append((len(table), len(table) + period, times, stride))
        table.extend(rows[at:at + period])

    if first:
        add(0, first, 1, 0)
    at = alone = first
    while at < len(rows):
        best = (0, 0, 0)        # rows saved, period, repetitions
        for period in range(1, min(LONGEST, (len(rows) - at) // 2) + 1):
            step = rows[at + period:] - rows[at:len(rows) - period]
            good = (step[:, fixed] == 0).all(1) & (step[:, moved] == step[0, moved[0]]).all(1)
            run = len(good) if good.all() else int(np.argmin(good))
            best = max(best, (run // period * period, -period, run // period + 1))
        saved, period, times = best[0], -best[1], best[2]
        if not saved:
            at += 1
            continue
        if alone < at:
            add(alone, at - alone, 1, 0)
        add(at, period, times, int(rows[at + period, moved[0]] - rows[at, moved[0]]))
        at = alone = at + period * times
    if alone < at:
        add(alone, at - alone, 1, 0)
    return (np.array(table, np.int64).reshape(-1, TIMES + PLACES),
            np.array(sections, np.uint64).reshape(-1, 4))


@embedded
def free_at(places: Places, first: int, state: Ints, phases: Places) -> int:
    """When the first cell and the windows that begin there take the next token."""
    found = PORT
    for n in range(first):
        found = max(found, state[places[n, READ] + phases[places[n, PHASE]]],
                    state[places[n, READ2] + phases[places[n, PHASE2]]])
    return found


@embedded
def _turn(slots: Places, phases: Places) -> None:
    """The next token is in the next phase."""
    for n in range(1, len(slots)):
        phases[n] = np.uint64(0) if phases[n] + ONE == slots[n] else phases[n] + ONE


@embedded
def push(x: int, hold: int, way: int, times: Ints, places: Places, sections: Places, end: Ints,
         slots: Places, state: Ints, phases: Places, own: Ints, at: Places) -> int:
    """When a token that arrives at ``x`` is through; hold and way are those of its context.

    ``own`` and ``at`` are scratch, as long as the rows: what a row is for this token, once for all
    blocks that are alike.
    """
    for n in range(len(times)):
        own[n, 0] = times[n, WAY] + times[n, WAYS] * way
        own[n, 1] = times[n, HOLD] + times[n, HOLDS] * hold
        if not times[n, PLAIN]:
            own[n, 1] += times[n, BEHIND] * way
            own[n, 2] = times[n, LATER2] + times[n, LATERS2] * way
            own[n, 3] = times[n, HOLD2] + times[n, BEHIND2] * way
            at[n, 0] = places[n, READ] + phases[places[n, PHASE]]
            at[n, 1] = places[n, WRITE] + phases[places[n, PHASE_OUT]]
            at[n, 2] = places[n, READ2] + phases[places[n, PHASE2]]
            at[n, 3] = places[n, WRITE2] + phases[places[n, PHASE_OUT2]]
    for section in range(len(sections)):
        first, last, shift = sections[section, 0], sections[section, 1], np.uint64(0)
        stride = sections[section, 3]
        if first + ONE == last and times[first, PLAIN]:
            # As below; most tokens of most runs pass most cells here.
            here, later, until = places[first, READ], own[first, 0], own[first, 1]
            for _ in range(sections[section, 2]):
                x = max(x + later, state[here])
                state[here] = x + until
                here += stride
            continue
        for _ in range(sections[section, 2]):
            for n in range(first, last):
                if times[n, PLAIN]:
                    here = places[n, READ] + shift
                    x = max(x + own[n, 0], state[here])
                    state[here] = x + own[n, 1]
                else:
                    x = max(x + own[n, 0], state[at[n, 0] + shift],
                            state[at[n, 2] + shift] + own[n, 2])
                    state[at[n, 1] + shift] = x + own[n, 1]
                    state[at[n, 3] + shift] = x + own[n, 3]
            shift += stride
    _turn(slots, phases)
    return int(x + end[0] + end[1] * way)


@embedded
def push_unit(x: int, tokens: int, holds: int, hold: int, way: int, times: Ints, places: Places,
              sections: Places, end: Ints, slots: Places, state: Ints, phases: Places) -> int:
    """When the last of several tokens is through that every cell takes as one.

    Every operation must have its node. ``holds`` is the sum of ``hold_at`` over their contexts,
    hold and way are those of the last.
    """
    for section in range(len(sections)):
        shift = np.uint64(0)
        for _ in range(sections[section, 2]):
            for n in range(sections[section, 0], sections[section, 1]):
                x = max(x + times[n, WAY] + times[n, WAYS] * way,
                        state[places[n, READ] + phases[places[n, PHASE]] + shift])
                if times[n, PLAIN]:
                    x += (tokens - 1) * times[n, HOLD] + times[n, HOLDS] * (holds - hold)
                state[places[n, WRITE] + phases[places[n, PHASE_OUT]] + shift] = (
                    x + times[n, HOLD] + times[n, HOLDS] * hold + times[n, BEHIND] * way)
            shift += sections[section, 3]
    _turn(slots, phases)
    return int(x + end[0] + end[1] * way)


@compiled
def push_all(arrivals: Ints, contexts: Ints, times: Ints, places: Places, sections: Places,
             end: Ints, slots: Places, state: Ints, phases: Places, hold_at: Ints,
             way_at: Ints) -> Ints:
    """When each of many tokens is through: ``(tokens,)``."""
    found = np.zeros(len(arrivals), np.int64)
    own, at = np.zeros((len(times), 4), np.int64), np.zeros((len(times), 4), np.uint64)
    for k in range(len(arrivals)):
        found[k] = push(arrivals[k], hold_at[contexts[k]], way_at[contexts[k]], times, places,
                        sections, end, slots, state, phases, own, at)
    return found
