"""Verilog of a rank, and of its controller with a checker beside it."""

from collections.abc import Mapping

from ouroboros.hw.lib.library import Library
from ouroboros.hw.params.pim import PimParams
from ouroboros.hw.pim.rank import Rank
from ouroboros.tb.pim.alone import ControllerAlone

__all__ = ["ALONE", "RANK_TOP", "emit_controller", "emit_rank"]

RANK_TOP, ALONE = "pim_rank", "pim_controller_alone"


def emit_rank(pim: PimParams) -> Mapping[str, str]:
    """Verilog of a rank by module name."""
    library = Library()
    library.define(RANK_TOP, lambda: Rank(pim, library), params=pim)
    return library.sources()


def emit_controller(pim: PimParams) -> Mapping[str, str]:
    """Verilog of ``ControllerAlone`` by module name."""
    library = Library()
    library.define(ALONE, lambda: ControllerAlone(pim), params=pim)
    return library.sources()
