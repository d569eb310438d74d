"""``ouroboros htree``: the cheapest assignment of a matrix's tiles to a core's macros."""

from typing import Any

from ouroboros.sw.api.placing.htree import UNIT, HtreeOptions, assign
from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.cli.tables import table

__all__ = ["htree"]


@command(HtreeOptions)
def htree(options: HtreeOptions, output: Output) -> dict[str, Any]:
    """Place R x C tiles on the H-tree of a core, exactly.

    Partial sums travel as int32, complete columns as int8; sums are added in the nodes. The wire
    that leaves the core is not counted.
    """
    found = assign(options)
    best = found.solution
    output.say(f"{best.rows} x {best.columns} tiles on {found.tree.leaves} macros, in {UNIT}:")
    costs = table("assignment", "cost", "of the optimum", right=(1, 2))
    for words, cost in (("optimal", best.cost), ("column after column", found.column_contiguous),
                        ("row after row", found.row_contiguous)):
        costs.add_row(words, f"{cost:,}", f"{cost / best.cost:.3f} x")
    leaves = table("column tile", "row tile @ leaf", title="Optimal assignment")
    for column in range(best.columns):
        held = sorted((leaf, tile[0]) for leaf, tile in enumerate(best.leaves)
                      if tile is not None and tile[1] == column)
        leaves.add_row(str(column), "  ".join(f"{row}@{leaf}" for leaf, row in held))
    output.show(costs)
    output.detail(leaves)
    return found.as_dict()
