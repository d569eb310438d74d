"""A rank as a member of KV groups: K and V as the re-layout leaves them, scores and sums of both.

What it computes is that of ``sw.golden.pim``, which benches hold the RTL of a rank against.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.pim import BURST_BYTES, PimParams
from ouroboros.hw.params.timing.pim import PHASE_CYCLES, activate_span, phase_cycles
from ouroboros.sw.golden.array import ArrayGolden, Issue, Outcome
from ouroboros.sw.golden.numerics import mvm
from ouroboros.sw.golden.pim import (
    Place,
    coarse,
    coarse_back,
    key_places,
    relayout,
    relayout_back,
    scores_of,
    value_places,
)

__all__ = ["PoolArray", "Rank"]

Bytes = npt.NDArray[np.int8]
Owner = tuple[int, int, int]
"""Stage of the pool, sequence, head of the stage."""
Places = Callable[[PimParams, int], Sequence[Place]]
PARTS = 1
"""Symbols of an element: int8 on chips of 8 bits."""


@dataclass(slots=True)
class _Kept:
    """A head of a sequence."""

    slot: int
    row: int
    valid: npt.NDArray[np.bool_]
    """Its local tokens that are there."""


class Rank:
    """Cells of a rank, and which rows of them are whose.

    A head of a sequence takes rows for ``pim.context`` tokens of K, and behind them of V, in the
    first slot that has them free.

    Parameters
    ----------
    pim : PimParams
        Sizes.
    """

    def __init__(self, pim: PimParams):
        self.pim = pim
        # (chips, banks, rows, columns, bytes)
        self.cells = np.zeros((pim.chips, pim.banks, pim.rows, pim.columns, BURST_BYTES), np.int8)
        self.value_row = pim.key_rows(pim.context)
        self.head_rows = self.value_row + pim.value_rows(pim.context)
        self._kept: dict[Owner, _Kept] = {}
        self.clocks = 0.0
        """Of the command bus, that scores and sums have taken."""

    @property
    def heads(self) -> int:
        """Heads of sequences that it has rows for."""
        return self.pim.slots * (self.pim.rows // self.head_rows)

    @property
    def used(self) -> int:
        """Heads of sequences that have rows."""
        return len(self._kept)

    def tokens(self, stage: int, sequence: int, head: int = 0) -> int:
        """Tokens that are there of a head."""
        kept = self._kept.get((stage, sequence, head))
        return 0 if kept is None else int(kept.valid.sum())

    def sequences(self, stage: int) -> list[int]:
        """Sequences of which the stage keeps something."""
        return sorted({owner[1] for owner in self._kept if owner[0] == stage})

    def append(self, owner: Owner, token: int, k: Bytes, v: Bytes) -> bool:
        """Write K and V (head_dim,) of a local token; false, and nothing is written, if full."""
        kept = self._kept.get(owner) or self._take(owner)
        if kept is None or token >= self.pim.context:
            return False
        for places, vector, row in ((_keys(self.pim, token), k, 0),
                                    (_values(self.pim, token), v, self.value_row)):
            beats = relayout(coarse(vector[None], self.pim.head_chips), PARTS)
            bursts = beats.reshape(-1, BURST_BYTES, self.pim.head_chips)
            for place, burst in zip(places, bursts, strict=True):
                self.cells[self._chips(kept), place.bank, kept.row + row + place.row,
                           place.column] = burst.T
        kept.valid[token] = True
        return True

    def free(self, stage: int, sequence: int) -> None:
        """Rows of a sequence are nobody's."""
        for owner in [one for one in self._kept if one[:2] == (stage, sequence)]:
            del self._kept[owner]

    def scores(self, owner: Owner, q: Bytes, count: int) -> tuple[npt.NDArray[np.int64],
                                                                 npt.NDArray[np.bool_]]:
        """Scores of the first ``count`` tokens, and which of them are there; 0 where none is."""
        kept = self._kept.get(owner)
        if kept is None or not count:
            return np.zeros(count, np.int64), np.zeros(count, bool)
        self._spend(self.pim.score_units(count), self.pim.score_unit_macs,
                    self.pim.score_unit_bursts)
        valid = kept.valid[:count]
        keys = self._read(kept, _keys, 0, count)
        return np.where(valid, scores_of(q, keys), 0), valid

    def sums(self, owner: Owner, weights: Bytes) -> npt.NDArray[np.int64]:
        """Weights (tokens,) times V of the first tokens, (head_dim,)."""
        kept, count = self._kept.get(owner), len(weights)
        if kept is None or not count:
            return np.zeros(self.pim.head_dim, np.int64)
        self._spend(self.pim.value_units(count), self.pim.value_unit_macs,
                    self.pim.value_unit_bursts)
        values = self._read(kept, _values, self.value_row, count)
        found: npt.NDArray[np.int64] = mvm(
            np.where(kept.valid[:count], weights, 0)[None], values.T)[0]
        return found

    def _spend(self, units: int, macs: int, bursts: int) -> None:
        """Clocks of one phase of one head, rows opened for it."""
        pim = self.pim
        self.clocks += PHASE_CYCLES + activate_span(pim) + pim.timing.rcd + max(
            phase_cycles(pim, units * macs), units * bursts * pim.timing.ccd_s)

    def _take(self, owner: Owner) -> _Kept | None:
        taken = {(kept.slot, kept.row) for kept in self._kept.values()}
        for row in range(0, self.pim.rows - self.head_rows + 1, self.head_rows):
            for slot in range(self.pim.slots):
                if (slot, row) not in taken:
                    self._kept[owner] = _Kept(slot, row, np.zeros(self.pim.context, bool))
                    return self._kept[owner]
        return None

    def _chips(self, kept: _Kept) -> slice:
        first = kept.slot * self.pim.head_chips
        return slice(first, first + self.pim.head_chips)

    def _read(self, kept: _Kept, places: Places, row: int, count: int) -> Bytes:
        """Vectors (count, head_dim) of K, or of V, by the way that is the re-layout's inverse."""
        at = [place for token in range(count) for place in places(self.pim, token)]
        bursts = self.cells[self._chips(kept), [p.bank for p in at],
                            [kept.row + row + p.row for p in at], [p.column for p in at]]
        chips = self.pim.head_chips
        beats = bursts.swapaxes(0, 1).swapaxes(1, 2).reshape(count, -1, chips)
        return np.concatenate([coarse_back(relayout_back(one, PARTS), chips) for one in beats])


class PoolArray(ArrayGolden):
    """What takes the place of a core's array in a pool: K and V lie in the rank.

    Parameters
    ----------
    machine : Machine
        Of which the pool's end of the link has buffer and blocks.
    rank : Rank
        Shared by all stages of the pool.
    stage : int
        Number of the stage there.
    buffer : array
        Bytes of the stage's buffer.
    name : str
        Whose errors they are.
    """

    def __init__(self, machine: Machine, rank: Rank, stage: int, *,
                 buffer: npt.NDArray[np.uint8], name: str):
        super().__init__(machine, buffer=buffer, name=name)
        self.rank, self.stage = rank, stage

    def _append(self, issue: Issue, fields: Mapping[str, int]) -> Outcome:
        settings, size = self._configured().settings, self.machine.block_tokens
        block, token = divmod(issue.position, size)
        if block % settings.members != settings.mine(issue.sequence):
            return Outcome()
        vectors = (self._vector(issue.base + fields[name], settings.head_dim)
                   for name in ("k", "v"))
        return Outcome(poison=not self.rank.append(
            self._owner(issue, fields), block // settings.members * size + token, *vectors))

    def _score(self, issue: Issue, fields: Mapping[str, int]) -> Outcome:
        size = self.machine.block_tokens
        q = self._vector(issue.base + fields["src"], self._configured().settings.head_dim)
        sums, keep = self.rank.scores(self._owner(issue, fields), q, issue.tokens)
        # Frames are whole blocks, as a core's.
        more = -issue.tokens % size
        return Outcome(sums=(np.pad(sums, (0, more)), np.pad(keep, (0, more))))

    def _context(self, issue: Issue, fields: Mapping[str, int]) -> Outcome:
        e = self._vector(issue.base + fields["src"], issue.tokens)
        sums = self.rank.sums(self._owner(issue, fields), e)
        return Outcome(sums=(sums, np.ones(len(sums), bool)))

    def _free(self, sequence: int) -> None:
        self.rank.free(self.stage, sequence)

    def _owner(self, issue: Issue, fields: Mapping[str, int]) -> Owner:
        return self.stage, issue.sequence, fields["head"]


def _keys(pim: PimParams, token: int) -> Sequence[Place]:
    return _places(pim, token, True)


def _values(pim: PimParams, token: int) -> Sequence[Place]:
    return _places(pim, token, False)


@cache
def _places(pim: PimParams, token: int, keys: bool) -> Sequence[Place]:
    return (key_places if keys else value_places)(pim, 0, token)
