"""Two layouts of a chain: few nodes while all contexts are short, all that can bind otherwise.

Long contexts are rare, and windows that bind for them only would be followed for every token. So
while tokens are of short contexts, cells and windows are left out that cannot bind for those. The
first token of a longer context brings them back: what they hold from before cannot bind, being
older than what could not. They may be left out again once the state shows that nothing which the
longer contexts left behind can reach the tokens to come. With u the kept cell before it behind
which tokens follow each other by its own hold, however they came there:

- a cell that is left out, or kept and no such u: its next start is no later than the next token's
  arrival from u;
- the slots of a window that is left out: the same for the i-th next token, i holds of u later;
- cells in such a window that are kept: even if the next token starts there at once, it is out of
  the window before the token of its slot arrives.
"""

from dataclasses import dataclass, replace

import numpy as np

from ouroboros.sw.lib.compiled import embedded
from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.wafer.chain import Chain, Ints
from ouroboros.sw.wafer.nodes import Nodes, Places, lay_out
from ouroboros.sw.wafer.prune import Kept, prune

__all__ = ["Plan", "clear", "fast_plan", "make_plan", "one_layout"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is followed, when."""

    long: Nodes
    """For all contexts."""
    short: Nodes
    """For contexts up to ``limit``; it shares the state of ``long``."""
    limit: int
    """At least the longest context where there is one layout only."""
    clear: Ints
    """``(conditions, 6)``, all of which must hold before ``short`` is used again: first place,
    slots, phase, place of u, cycles, hold of u: ``state[place + (phase + i) % slots] <= state[u] +
    cycles + i * hold``."""


def one_layout(nodes: Nodes) -> Plan:
    """A plan that never changes."""
    return Plan(nodes, nodes, len(nodes.hold_at), np.zeros((0, 6), np.int64))


def make_plan(chain: Chain) -> Plan:
    """Exact for every token."""
    whole, part, limit = _kept(chain)
    if limit == chain.contexts or chain.way_at[1:].min() < chain.way_at[1:limit + 1].min():
        return one_layout(lay_out(chain, whole.cells, whole.windows))
    long, short = _layouts(chain, whole, part)
    return Plan(long, short, limit, _conditions(_up_to(chain, limit), part, long))


def fast_plan(chain: Chain) -> Plan:
    """What can bind in the first block and in the last one, nothing between.

    What a token waits for, it waits for behind one before it, which took the same way up to there.
    Where blocks are alike, how long that is grows or falls evenly from the first block to the last,
    so that it is longest in one of the two.

    Raises
    ------
    PerfError
        If blocks differ.
    """
    _check_alike(chain)
    whole, part, limit = _kept(chain)
    whole, part = (replace(
        kept, cells=tuple(n for n in kept.cells
                          if not chain.first_block <= n < chain.last_block),
        windows=tuple(n for n in kept.windows
                      if not chain.last_block or chain.windows[n].last <= chain.first_block
                      or chain.windows[n].last >= chain.last_block))
        for kept in (whole, part))
    long, short = _layouts(chain, whole, part)
    return Plan(long, short, limit, np.zeros((0, 6), np.int64))


def _check_alike(chain: Chain) -> None:
    size = chain.block_cells
    cells = [(cell.hold, cell.way, cell.context) for cell in chain.cells]
    for n in range(chain.first_block, chain.last_block if size else 0):
        if cells[n] != cells[n + size]:
            raise PerfError("mode must be exact or full where blocks differ, as "
                            f"{chain.cells[n].name!r} and {chain.cells[n + size].name!r} do, "
                            "not fast")


def _kept(chain: Chain) -> tuple[Kept, Kept, int]:
    """What can bind for all contexts, for shorter ones, and the longest of these."""
    whole = prune(chain)

    def up_to(contexts: int) -> Kept:
        return prune(_up_to(chain, contexts), whole.ends)

    floor = len(up_to(1).windows)
    low, high = 1, chain.contexts
    # The longest contexts for which no more windows bind than for the shortest.
    while low < high and len(whole.windows) > floor:
        middle = (low + high + 1) // 2
        fits = len(up_to(middle).windows) == floor
        low, high = (middle, high) if fits else (low, middle - 1)
    limit = low if len(whole.windows) > floor else chain.contexts
    return whole, up_to(limit), limit


def _layouts(chain: Chain, whole: Kept, part: Kept) -> tuple[Nodes, Nodes]:
    """Nodes for all contexts, and for shorter ones, with one state."""
    long = lay_out(chain, {*whole.cells, *part.cells}, {*whole.windows, *part.windows})
    short = lay_out(chain, part.cells, part.windows, within=long)
    return replace(long, state=short.state), short


def _up_to(chain: Chain, limit: int) -> Chain:
    return replace(chain, hold_at=chain.hold_at[:limit + 1], way_at=chain.way_at[:limit + 1])


def _conditions(chain: Chain, part: Kept, long: Nodes) -> Ints:
    """See ``Plan.clear``."""
    found = []
    least, most = int(chain.way_at[1:].min()), int(chain.way_at[1:].max())
    slots = long.slots.astype(int).tolist()
    short_ways = np.cumsum([0, *(cell.way + cell.context * least for cell in chain.cells)])
    long_ways = np.cumsum([0, *(cell.way + cell.context * most for cell in chain.cells)])
    before = 0
    for s in range(len(chain.cells)):
        u = before
        hold, place = chain.cells[u].hold, long.cell_places[u]
        ahead = int(short_ways[s] - short_ways[u])
        for n, window in enumerate(chain.windows):
            if window.first != s or n in part.windows or n not in long.window_places:
                continue
            found.append((long.window_places[n], window.slots, slots.index(window.slots), place,
                          ahead, hold))
            for inside in range(window.first, window.last + 1):
                if inside in part.cells:
                    behind = int(long_ways[window.last + 1] - long_ways[inside])
                    found.append((long.cell_places[inside], 1, 0, place,
                                  ahead + window.slots * hold - behind - window.back, 0))
        if s in part.cells and s not in part.irregular:
            before = s
        elif s in long.cell_places:
            found.append((long.cell_places[s], 1, 0, place, ahead, 0))
    return np.array(found, np.int64).reshape(-1, 6)


@embedded
def clear(conditions: Ints, slots: Places, state: Ints, phases: Places) -> bool:
    """Whether the layout of short contexts may be used for the next token."""
    for n in range(len(conditions)):
        base, count, phase = conditions[n, 0], conditions[n, 1], conditions[n, 2]
        bound = state[conditions[n, 3]] + conditions[n, 4]
        at = np.int64(phases[phase]) if count > 1 else 0
        for _ in range(count):
            if state[base + at] > bound:
                return False
            bound += conditions[n, 5]
            at = 0 if at + 1 == count else at + 1
    return True
