"""Jobs of a rank: what its host asks for."""

from enum import IntEnum

from amaranth.lib import data
from amaranth.utils import ceil_log2

from ouroboros.hw.params.pim import PimParams
from ouroboros.hw.pim.softmax import head_layout

__all__ = ["JobOp", "job_layout"]


class JobOp(IntEnum):
    """What a job does. Jobs are done in order; phases overlap where their data allow it."""

    QUERY = 0
    """Queries from the host into a half of the shared buffers (PIM_WR_SB)."""
    SCORE = 1
    """Scores of the queries of a half with K from ``row`` on, into a half of the score memory."""
    CONTEXT = 2
    """Weights of a half's scores, times V from ``row`` on: the context, unless part is HIGH."""
    APPEND_K = 3
    """K of token number ``tokens``, from the host, where it belongs in K from ``row`` on."""
    APPEND_V = 4
    """The same of V."""
    READ_K = 5
    """K of a token, to the host."""
    READ_V = 6
    """V of a token, to the host."""
    LOAD = 7
    """Queries from where K of token ``tokens`` lies into a half of the shared buffers (PIM_LD_SB).
    The next queries lie in the columns after it."""


def job_layout(pim: PimParams) -> data.StructLayout:
    """One job; ``row`` is the first one of K or V, ``head`` what weights are made by.

    ``head.tokens`` counts tokens of phases, and is the token's number of other jobs; ``head.half``
    is the half of queries and scores.
    """
    return data.StructLayout({
        "op": JobOp, "row": ceil_log2(pim.rows), "head": head_layout(pim)})
