"""What a rank of memory with processing units computes, and where K and V lie in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ouroboros.hw.params.pim import BURST_BYTES, SCORE_BITS, PimParams
from ouroboros.sw.golden import numerics, wide
from ouroboros.sw.golden.operands import Ints, RangeError

__all__ = ["Context", "Place", "attend", "chip_words", "coarse", "coarse_back", "combine",
           "key_places", "relayout", "relayout_back", "scores_of", "value_places"]

Symbols = npt.NDArray[Any]


def relayout(beats: Symbols, parts: int) -> Symbols:
    """Fine step of the re-layout of beats (beats, chips): whole elements into one chip.

    The host's symbols come in linear order, ``parts`` to an element. In a group of ``parts`` beats
    beat t of the result has part t of element j in chip j.

    Raises
    ------
    RangeError
        If the beats are no whole groups.
    """
    groups = _groups(beats, parts)
    return groups.reshape(len(groups), -1, parts).swapaxes(1, 2).reshape(beats.shape)


def relayout_back(beats: Symbols, parts: int) -> Symbols:
    """Inverse of ``relayout``."""
    groups = _groups(beats, parts)
    return groups.swapaxes(1, 2).reshape(beats.shape)


def _groups(beats: Symbols, parts: int) -> Symbols:
    if len(beats) % parts:
        raise RangeError(f"beats must be groups of {parts}, not {len(beats)}")
    return beats.reshape(-1, parts, beats.shape[1])


def coarse(vectors: Symbols, head_chips: int) -> Symbols:
    """Coarse step: vectors (slots, head_dim) to beats (head_dim / head_chips, chips).

    Chip c of beat i gets dimension ``head_chips * i + c % head_chips`` of slot
    ``c // head_chips``.
    """
    slots = len(vectors)
    return vectors.reshape(slots, -1, head_chips).swapaxes(0, 1).reshape(-1, slots * head_chips)


def coarse_back(beats: Symbols, head_chips: int) -> Symbols:
    """Inverse of ``coarse``."""
    count, chips = beats.shape
    return beats.reshape(count, chips // head_chips, head_chips).swapaxes(0, 1).reshape(
        chips // head_chips, -1)


def chip_words(beats: Symbols) -> list[list[int]]:
    """Bursts of beats (8 n, chips) of bytes: n lists of a 64-bit word a chip."""
    bursts = (beats.astype(np.int64) & 255).reshape(-1, BURST_BYTES, beats.shape[1])
    return [[sum(int(one) << (8 * n) for n, one in enumerate(burst[:, chip]))
             for chip in range(beats.shape[1])] for burst in bursts]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a column of a token lies."""

    bank: int
    row: int
    column: int


def _place(pim: PimParams, bank: int, row: int, index: int) -> Place:
    row += index // pim.columns
    if row >= pim.rows:
        raise RangeError(f"row must be below {pim.rows}, not {row}: the rank is too small")
    return Place(bank, row, index % pim.columns)


def key_places(pim: PimParams, row: int, token: int) -> list[Place]:
    """Columns of K of a token, of K from ``row`` on."""
    first = token // pim.banks * pim.token_columns
    return [_place(pim, token % pim.banks, row, first + n) for n in range(pim.token_columns)]


def value_places(pim: PimParams, row: int, token: int) -> list[Place]:
    """Columns of V of a token: ``spread`` banks share them."""
    step, group = divmod(token, pim.step_tokens)
    return [_place(pim, group * pim.spread + n % pim.spread, row,
                   step * pim.value_columns + n // pim.spread)
            for n in range(pim.token_columns)]


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """Of one query, or of one and the same query over some of its tokens."""

    top: int
    """Score that the weights are relative to: the largest of the whole head."""
    den: int
    """Sum of the weights."""
    sums: Ints
    """Weights times V, (head_dim,)."""

    @property
    def values(self) -> Ints:
        """Normalised, (head_dim,) of int8."""
        return numerics.normalise(self.sums, np.asarray(self.den))


def scores_of(q: npt.ArrayLike, k: npt.ArrayLike) -> Ints:
    """Step 6: scores (tokens,) of a query (head_dim,) with K (tokens, head_dim).

    Raises
    ------
    RangeError
        If a score does not fit the bits in which chips send their parts.
    """
    scores: Ints = numerics.mvm(np.asarray(q)[None], k)[0]
    if (np.abs(scores) >= 1 << (SCORE_BITS - 1)).any():
        raise RangeError(f"scores must fit {SCORE_BITS} bits")
    return scores


def attend(q: npt.ArrayLike, k: npt.ArrayLike, v: npt.ArrayLike, me: int, se: int, *,
           floor: int | None = None, exp_bits: int = 7) -> Context:
    """Steps 6 and 7 of a query (head_dim,) over K and V (tokens, head_dim).

    Parameters
    ----------
    floor : int
        Largest score of the same head over tokens that are elsewhere.
    exp_bits : int
        Of a weight: 7, or 12 in two passes.
    """
    scores = scores_of(q, k)
    top = max(int(scores.max()), floor if floor is not None else int(scores.max()))
    e = numerics.exp_weights(scores, np.asarray(top), me, se, None, exp_bits)
    sums = wide.mvm_digits(e[None], np.asarray(v).T, exp_bits + 1)[0]
    return Context(top, int(e.sum()), np.asarray(sums))


def combine(parts: Sequence[Context]) -> Context:
    """Parts of one head, wherever they were made: sums add up, and nothing is rounded.

    Raises
    ------
    RangeError
        If their weights are not relative to the same largest score.
    """
    tops = {part.top for part in parts}
    if len(tops) != 1:
        raise RangeError(f"parts of a head must have one largest score, not {sorted(tops)}")
    sums: Ints = sum((part.sums for part in parts), np.zeros_like(parts[0].sums))
    return Context(tops.pop(), sum(part.den for part in parts), sums)
