"""The recurrence of encoders: tokens one by one, but attention when all of the input is there.

A chain is cut before every cell of attention. Tokens of an input pass a part one after the other,
as those of a decoder do; at its end each waits for the last one, as it attends to that, too::

    start[k, attention] = max(out[last of its input, QKV], start[k-1, attention] + hold)

Every token holds attention for as long as one that attends to the whole input, writing its own K
and V included. Inputs do not overtake each other. ``tests/sw/wafer/test_encoder.py`` says the same
in plain Python.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ouroboros.sw.lib.compiled import compiled
from ouroboros.sw.wafer.chain import Chain, Ints

__all__ = ["Passed", "pass_inputs"]

HOLD, WAY, CONTEXT = range(3)
FIRST, LAST, SLOTS, BACK, PLACE = range(5)
EARLY = -(1 << 40)
"""A time before any other."""


@dataclass(frozen=True, slots=True)
class Passed:
    """When inputs passed a chain; cycles."""

    first: Ints
    """``(inputs,)``: the first token of each came out."""
    end: Ints
    """``(inputs,)``: the last one did."""
    kept: Ints
    """``(inputs, blocks)``: from then on a block kept something of it: K and V of its first
    token."""
    left: Ints
    """``(inputs, blocks)``: until then: the last token has attended."""


def pass_inputs(chain: Chain, arrivals: Ints, lengths: Ints) -> Passed:
    """Send inputs through, in the order given.

    Parameters
    ----------
    chain : Chain
        Cells and windows; a window from before a cell of attention to that cell or behind it must
        have slots for every input.
    arrivals, lengths : array
        ``(inputs,)``: cycles, not falling; tokens, at least 1.

    Raises
    ------
    ValueError
        If an input would wait for ever, for the slots that its own tokens have.
    """
    cells = np.array([(cell.hold, cell.way, cell.context) for cell in chain.cells], np.int64)
    cuts = np.flatnonzero(cells[:, CONTEXT])
    longest = int(lengths.max(initial=0))
    windows = np.zeros((len(chain.windows), 5), np.int64)
    place = 0
    # In the order of their first cells, so that a cell's own are a range.
    for n, window in enumerate(sorted(chain.windows, key=lambda one: one.first)):
        spans = ((window.first < cuts) & (cuts <= window.last)).any()
        if spans and window.slots < longest:
            raise ValueError(f"window {window.name!r} must have {longest} slots, those of the "
                             f"longest input, not {window.slots}")
        windows[n] = window.first, window.last, window.slots, window.back, place
        place += window.slots
    first, end = np.zeros(len(lengths), np.int64), np.zeros(len(lengths), np.int64)
    kept = np.zeros((len(lengths), len(cuts)), np.int64)
    left = np.zeros_like(kept)
    every = range(len(cells))
    opens = np.searchsorted(windows[:, FIRST], [*every, len(cells)]).astype(np.int64)
    order = np.argsort(windows[:, LAST], kind="stable")
    closes = np.searchsorted(windows[order, LAST], [*every, len(cells)]).astype(np.int64)
    _pass(arrivals, lengths, chain.hold_at, chain.way_at, cells, windows, opens, closes, order,
          np.full(place, EARLY, np.int64), np.append(cuts, len(cells)), np.zeros(longest, np.int64),
          first, end, kept, left)
    return Passed(first, end, kept, left)


@compiled
def _pass(arrivals: Ints, lengths: Ints, hold_at: Ints, way_at: Ints, cells: Ints, windows: Ints,
          opens: Ints, closes: Ints, order: npt.NDArray[np.intp], state: Ints, cuts: Ints, x: Ints,
          first: Ints, end: Ints, kept: Ints, left: Ints) -> None:
    """``x``: scratch, a place for each token of the longest input."""
    free = np.full(len(cells), EARLY, np.int64)
    before = 0
    for i in range(len(lengths)):
        count, begin = lengths[i], 0
        hold, way = hold_at[count], way_at[count]
        x[:count] = arrivals[i]
        for part in range(len(cuts)):
            for t in range(count):
                now = x[t]
                for s in range(begin, cuts[part]):
                    for n in range(opens[s], opens[s + 1]):
                        slots = windows[n, SLOTS]
                        now = max(now, state[windows[n, PLACE] + (before + t) % slots])
                    now = max(now, free[s])
                    more = cells[s, CONTEXT]
                    free[s] = now + cells[s, HOLD] + more * hold
                    now += cells[s, WAY] + more * way
                    for m in range(closes[s], closes[s + 1]):
                        n = order[m]
                        slots = windows[n, SLOTS]
                        state[windows[n, PLACE] + (before + t) % slots] = now + windows[n, BACK]
                    if more and t == count - 1:
                        left[i, part - 1] = now
                x[t] = now
            begin = cuts[part]
            if part < len(cuts) - 1:
                kept[i, part] = x[0]
                x[:count] = x[count - 1]
        first[i], end[i] = x[0], x[count - 1]
        before += count
