"""Which cells and windows of a chain can ever make a token wait: the others are left out.

Walking along the chain, pairs of numbers bound how close tokens can follow each other there: any
m + 1 of them in a row span at least ``m * rate - burst`` cycles. That is the same as a grid of
points, each at least ``rate`` behind the one before, with token k in the ``burst`` cycles from the
k-th point on: let the point be the latest time at which tokens up to k, ``rate`` apart from each of
them on, could be, less the burst. A cell that holds tokens for no more than the rate keeps each
within its cycles: who is early waits for those before, none of which is later than its own. And a
cell that needs no more than ``rate - burst`` never makes a token wait, whatever the traffic;
leaving it out changes no time (the argument of Friedman, "Reduction methods for tandem queuing
systems", Operations Research 13, 1965, with bounds instead of constants). A window never binds if
its slots last longer than a token can be under way in it.

Only sums of worst cases are used, so that what is left over may still never bind.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
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
    irregular: frozenset[int]
    """Kept cells behind which more is known of how tokens follow each other than from the cell's
    own hold: it depends on how they came there."""
    ends: tuple[int, ...]
    """By window: least cycles from a slot that is given back to the next."""


class _Spacing(NamedTuple):
    """Tokens k and k + m are at least ``m * rate - burst`` cycles apart."""

    rate: int
    burst: int

    @property
    def gap(self) -> int:
        """Between a token and the next."""
        return self.rate - self.burst


_Bounds = tuple[_Spacing, ...]
"""All of them hold."""
NOTHING: _Bounds = (_Spacing(0, 0),)
ALONE = 1 << 60
"""Gap of tokens that never meet."""


def prune(chain: Chain, ends: Sequence[int] | None = None) -> Kept:
    """Cells and windows that cannot be shown to be idle.

    The first cell and the windows that begin there are always kept: tokens are chosen by when they
    can go in.

    Parameters
    ----------
    chain : Chain
        The chain, with the contexts that tokens may have.
    ends : sequence of int, optional
        ``Kept.ends`` of all contexts, where tokens of longer ones have been in the chain before:
        who waits for their slots follows as those were given back.
    """
    # Whether a window binds for a token depends on tokens before it only. So all windows that are
    # idle if the others of them are, for the tokens before, are idle: begin with all, and take out
    # those whose proof fails, until no other fails. The same holds for what is known of how tokens
    # follow each other at the end of a window that binds.
    binding: frozenset[int] = frozenset()
    gaps = list(ends or [ALONE] * len(chain.windows))
    while True:
        kept, after = _pass(chain, gaps, binding)
        after = [min(pair) for pair in zip(gaps, after, strict=True)]
        if after == gaps and binding >= set(kept.windows):
            return replace(kept, windows=tuple(sorted(binding)), ends=tuple(gaps))
        binding, gaps = binding | set(kept.windows), after


def _pass(chain: Chain, ends: Sequence[int],
          binding: Collection[int]) -> tuple[Kept, list[int]]:
    """One walk; ``ends``: gaps behind each window; ``binding``: windows that may make tokens
    wait.
    """
    hold = int(chain.hold_at[1:].min()), int(chain.hold_at[1:].max())
    way = int(chain.way_at[1:].min()), int(chain.way_at[1:].max())
    cells: list[int] = []
    windows: list[int] = []
    irregular: list[int] = []
    after = list(ends)
    at = NOTHING
    for s, cell in enumerate(chain.cells):
        for n, window in enumerate(chain.windows):
            if window.first == s and not (s and n not in binding and any(
                    _idle(chain, n, one, hold[1], way[1], binding) for one in at)):
                windows.append(n)
                # A token waits either for its own arrival or for the slot.
                at = (_Spacing(min(_gap(at), ends[n]), 0),)
        least, most = (cell.hold + cell.context * value for value in hold)
        if not s or most > _gap(at):
            cells.append(s)
            at = _behind(at, least, most)
            if len(at) > 1 or at[0] != (least, 0):
                irregular.append(s)
        if cell.context:
            at = tuple(_Spacing(one.rate, one.burst + way[1] - way[0]) for one in at)
        for n, window in enumerate(chain.windows):
            if window.last == s:
                after[n] = _gap(at)
    return Kept(tuple(cells), tuple(sorted(windows)), frozenset(irregular), ()), after


def _gap(at: _Bounds) -> int:
    """Between a token and the next, at least; negative: it may arrive before one ahead of it."""
    return max(one.gap for one in at)


def _behind(at: _Bounds, least: int, most: int) -> _Bounds:
    """Behind a cell that may make tokens wait."""
    found = [*(one for one in at if most <= one.rate), _Spacing(least, 0)]
    return tuple(one for n, one in enumerate(found) if not any(
        other.rate >= one.rate and other.burst <= one.burst and (other != one or m < n)
        for m, other in enumerate(found) if m != n))


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
    # With p the token's point: it arrives at p or later, and leaves no later than at p, plus the
    # burst, plus the ways, as nobody before it is later against his own point, and none holds a
    # cell for more than the rate. Who takes its slot comes no sooner than slots points later.
    return window.slots * at.rate >= at.burst + longest + window.back
