"""`ouroboros tier rtl`: attention of whole heads on the RTL of a rank."""

from typing import Any

from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.cli.tables import table
from ouroboros.tb.pim.measure import TierRtl, as_json, attention

__all__ = ["rtl"]


@command(TierRtl)
def rtl(options: TierRtl, output: Output) -> dict[str, Any]:
    """Run attention of whole heads on the RTL of a DIMM-PIM rank, against the golden model."""
    found = attention(options)
    shown = table("quantity", "value", "", right=(1,), title=(
        f"{options.heads} x {options.tokens:,} tokens on rank '{options.rank}', "
        f"{'staggered' if options.staggered else 'lockstep'}, {options.on}"))
    shown.add_row("values", f"{found.values:,}", "of int8, equal to the golden model's, and sums")
    shown.add_row("cycles", f"{found.cycles:,}", "from the first query to the last word")
    shown.add_row("formula", f"{found.formula:,.0f}", f"{found.off:+.2%} measured")
    shown.add_row("efficiency", f"{found.efficiency:.3f}", "of the MACs that tCCD_L allows")
    shown.add_row("broken timings", f"{found.breaks}", "by the checker beside the controller")
    for name, count in found.commands.items():
        shown.add_row(name, f"{count:,}", "commands")
    output.show(shown)
    return as_json(options, found)
