"""Commands on the way from a controller to the chips."""

from amaranth.lib import data
from amaranth.utils import ceil_log2

from ouroboros.hw.params.dram import Op
from ouroboros.hw.params.pim import SCORES_A_GROUP, PimParams

__all__ = ["command_layout", "score_address", "sum_address"]


def score_address(pim: PimParams) -> data.StructLayout:
    """``column`` of a RD_RB of scores: burst ``part`` (0 to 2) of 8 banks' scores of a query."""
    return data.StructLayout({
        "part":  2,
        "octet": ceil_log2(pim.banks // SCORES_A_GROUP),
        "query": ceil_log2(pim.queries),
        "entry": ceil_log2(pim.result_depth),
    })


def sum_address(pim: PimParams) -> data.StructLayout:
    """``column`` of a RD_RB of sums: two accumulators of a bank."""
    return data.StructLayout({
        "sum":  ceil_log2(pim.accumulators // 2),
        "bank": ceil_log2(pim.banks),
    })


def command_layout(pim: PimParams) -> data.StructLayout:
    """One command; what a field is for depends on ``op``.

    ``banks`` is a set, ``row`` is of ACT. ``column`` is of RD, WR and LD_SB a column; of WR_SB a
    burst of weights (with ``value``) or of queries; of RD_RB a burst of sums (``value``) or of
    scores, by ``sum_address`` or ``score_address``. WR_R has ``value`` (sums, else scores).
    ``half`` is of the queries: of LD_SB, WR_SB, WR_R.
    """
    column = max(ceil_log2(pim.columns), ceil_log2(pim.query_bursts), score_address(pim).size,
                 sum_address(pim).size, ceil_log2(pim.weight_depth * pim.value_unit_bursts))
    return data.StructLayout({
        "op":     4,
        "banks":  pim.banks,
        "row":    ceil_log2(pim.rows),
        "column": column,
        "value":  1,
        "half":   1,
    })


assert max(Op) < 1 << 4
