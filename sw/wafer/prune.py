"""Which cells and windows of a chain can ever make a token wait: the others are left out.

Walking along the chain, two numbers bound how close tokens can follow each other there: any m + 1
of them in a row span at least ``m * rate - burst`` cycles. A cell that needs no more than ``rate -
burst`` never makes a token wait, whatever the traffic; leaving it out changes no time (the argument
of Friedman, "Reduction methods for tandem queuing systems", Operations Research 13, 1965, with
bounds instead of constants). A window never binds if its slots last longer than a token can be
under way in it.

Only sums of worst cases are used, so that what is left over may still never bind.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ouroboros.sw.wafer.chain import Chain

__all__ = ["Kept", "prune"]


@dataclass(frozen=True, slots=True)
class Kept:
    """What can bind."""

    cells: tuple[int, ...]
    """Indices in ``Chain.cells``."""
    windows: tuple[int, ...]
    """Indices in ``Chain.windows``."""
    regular: bool
    """Whether tokens follow each other behind every kept cell as its own hold has it, so that it
    does not matter how they came there."""


class _Spacing(NamedTuple):
    """Tokens k and k + m are at least ``m * rate - burst`` cycles apart."""

    rate: int
    burst: int

    @property
    def gap(self) -> int:
        """Between a token and the next; negative: it may arrive before one ahead of it."""
        return self.rate - self.burst


NOTHING = _Spacing(0, 0)
ALONE = _Spacing(1 << 60, 0)
"""As if tokens never met."""


def prune(chain: Chain) -> Kept:
    """Cells and windows that cannot be shown to be idle.

    The first cell and the windows that begin there are always kept: tokens are chosen by when they
    can go in.
    """
    # Whether a window binds for a token depends on tokens before it only. So all windows that are
    # idle if the others of them are, for the tokens before, are idle: begin with all, and take out
    # those whose proof fails, until no other fails. The same holds for what is known of how tokens
    # follow each other at the end of a window that binds.
    binding: frozenset[int] = frozenset()
    ends = [ALONE] * len(chain.windows)
    while True:
        kept, after = _pass(chain, ends, binding)
        after = [min(pair, key=lambda one: one.gap) for pair in zip(ends, after, strict=True)]
        if after == ends and binding >= set(kept.windows):
            return Kept(kept.cells, tuple(sorted(binding)), kept.regular)
        binding, ends = binding | set(kept.windows), after


def _pass(chain: Chain, ends: Sequence[_Spacing],
          binding: Collection[int]) -> tuple[Kept, list[_Spacing]]:
    """One walk; ``ends``: behind each window; ``binding``: windows that may make tokens wait."""
    hold = int(chain.hold_at[1:].min()), int(chain.hold_at[1:].max())
    way = int(chain.way_at[1:].min()), int(chain.way_at[1:].max())
    cells: list[int] = []
    windows: list[int] = []
    after = list(ends)
    at, regular = NOTHING, True
    for s, cell in enumerate(chain.cells):
        for n, window in enumerate(chain.windows):
            if window.first == s and not (s and n not in binding and _idle(
                    chain, n, at, hold[1], way[1], binding)):
                windows.append(n)
                # A token waits either for its own arrival or for the slot.
                at = _Spacing(min(at.gap, ends[n].gap), 0)
        least, most = (cell.hold + cell.context * value for value in hold)
        if not s or most > at.gap:
            cells.append(s)
            at, own = _behind(at, least, most)
            regular &= own
        if cell.context:
            at = _Spacing(at.rate, at.burst + way[1] - way[0])
        for n, window in enumerate(chain.windows):
            if window.last == s:
                after[n] = at
    return Kept(tuple(cells), tuple(sorted(windows)), regular), after


def _behind(at: _Spacing, least: int, most: int) -> tuple[_Spacing, bool]:
    """Behind a cell that makes tokens wait, and whether that follows from the cell alone."""
    regular = _Spacing(least, 0)
    if most > at.rate:
        return regular, True
    # The wait is no longer than the burst lets tokens run up behind each other.
    waited = _Spacing(at.rate, at.burst + max(0, at.burst - (at.rate - most)))
    return (regular, True) if regular.gap >= waited.gap else (waited, False)


def _idle(chain: Chain, n: int, at: _Spacing, hold: int, way: int,
          binding: Collection[int]) -> bool:
    """Whether a window never binds, tokens arriving at it as ``at`` has it."""
    window = chain.windows[n]
    inside = chain.cells[window.first:window.last + 1]
    if any(cell.hold + cell.context * hold > at.rate for cell in inside):
        return False        # tokens may queue up in there without bound
    if any(window.first <= chain.windows[other].first <= window.last
           for other in binding if other != n):
        return False
    longest = sum(cell.way + cell.context * way for cell in inside)
    # A token leaves when one before it, or itself, arrived, plus the ways, plus what those in
    # between hold, and nobody holds a cell for more than the rate: only the burst is left.
    return window.slots * at.rate - at.burst >= longest + at.burst + window.back
