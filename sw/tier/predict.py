"""What the scheduler knows beforehand: times of attention and of dense layers, fitted to runs.

Attention beside the memory is linear in the context of the fullest group and in sequences. Of a
context the scheduler counts what banks read, a multiple of their number: where few sequences are in
a group, the rest of the last row does not average out. Dense layers are piecewise linear in tokens,
between numbers of tokens that were timed. Both are fitted to the log of runs or to timed steps, and
held against those of others.

Ref: CHIME, ISCA 2026: linear in (context, requests) and by regression; errors of about 1 %.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ouroboros.sw.tier.dense import Dense
from ouroboros.sw.tier.errors import TierError

__all__ = ["KNOTS", "Prediction", "fit"]

Floats = npt.NDArray[np.float64]
KNOTS = tuple(sorted({*range(1, 257), *range(288, 8193, 32), *range(257, 8193, 32)}))
"""Numbers of tokens whose dense layers are timed."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Prediction:
    """Coefficients and timed points."""

    floats: dict[str, float]
    """Of attention: ``pim_fixed_s``, ``pim_context_s``, ``pim_sequence_s``, for ``loop.serve``."""
    knots: Floats
    """Tokens whose dense layers were timed."""
    times: Floats
    """Seconds of a block for each."""

    def pim_s(self, context: Floats, sequences: Floats) -> Floats:
        """Attention of a block.

        Parameters
        ----------
        context : array
            Of the fullest group, times the number of groups.
        sequences : array
            In all.
        """
        f = self.floats
        found: Floats = (f["pim_fixed_s"] + f["pim_context_s"] * context
                         + f["pim_sequence_s"] * sequences)
        return found

    def dense_s(self, tokens: Floats) -> Floats:
        """Dense layers of a block; beyond the last number that was timed in proportion."""
        last = self.knots[-1]
        found: Floats = np.interp(tokens, self.knots, self.times) * np.maximum(tokens / last, 1)
        return found

    def dense(self, most: int) -> Floats:
        """``(most + 1,)``: the same by tokens; 0 for none."""
        found = self.dense_s(np.arange(most + 1, dtype=float))
        found[0] = 0.0
        return found


def fit(dense: Dense, context: Floats, sequences: Floats, pim_s: Floats) -> Prediction:
    """Fitted to steps of a run, and to dense layers timed at ``KNOTS``.

    Raises
    ------
    TierError
        If there are fewer steps than coefficients.
    """
    if len(pim_s) < 3:
        raise TierError(f"steps to fit to must be at least 3, not {len(pim_s)}: serve more "
                        f"requests")
    columns = np.stack([np.ones(len(pim_s)), context, sequences], axis=1)
    # Relative errors count, so that short steps are as good as long ones.
    scaled = columns / pim_s[:, None]
    found, *_ = np.linalg.lstsq(scaled / np.abs(scaled).max(axis=0), np.ones(len(pim_s)),
                                rcond=None)
    found = found / np.abs(scaled).max(axis=0)
    knots = np.array(KNOTS, float)
    return Prediction(
        floats=dict(zip(("pim_fixed_s", "pim_context_s", "pim_sequence_s"), map(float, found),
                        strict=True)),
        knots=knots, times=np.array([dense.block_s(int(tokens)) for tokens in KNOTS]))
