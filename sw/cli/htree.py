"""``ouroboros htree``: the cheapest assignment of a matrix's tiles to a core's macros."""

from pathlib import Path
from typing import Any

import click
from rich.table import Table

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.cli.options import json_option, machine_option, print_whole, write_json
from ouroboros.sw.mapper.htree.solve import solve
from ouroboros.sw.mapper.htree.tree import HTree, column_contiguous, row_contiguous

__all__ = ["htree"]

UNIT = "bytes x length of a leaf's wire, per output of a column tile"


@click.command()
@click.option("--rows", required=True, type=int, metavar="R",
              help="Row tiles: inputs over a macro's rows.")
@click.option("--columns", required=True, type=int, metavar="C",
              help="Column tiles: outputs over a macro's outputs.")
@machine_option("wafer")
@click.option("--requantise-from", default=0, show_default=True, metavar="LEVEL",
              help="Lowest tree level whose nodes turn a complete column into int8; 0: the "
                   "leaves, number of levels: none.")
@json_option
def htree(rows: int, columns: int, machine_name: str, requantise_from: int,
          json_path: Path | None) -> None:
    """Place R x C tiles on the H-tree of a core, exactly.

    Partial sums travel as int32, complete columns as int8; sums are added in the nodes. The wire
    that leaves the core is not counted.
    """
    tree = HTree.of(load_machine(machine_name).core.macros, requantise_from=requantise_from)
    solution = solve(rows, columns, tree)
    found: dict[str, Any] = {
        "rows": rows, "columns": columns, "unit": UNIT, "lengths": list(tree.lengths),
        "requantise_from": requantise_from, "cost": solution.cost, "optimal": True,
        "column_contiguous": tree.cost(column_contiguous(rows, columns, tree.leaves), rows),
        "row_contiguous": tree.cost(row_contiguous(rows, columns, tree.leaves), rows),
        "leaves": [None if tile is None else list(tile) for tile in solution.leaves],
        "masks": list(solution.masks)}
    table = Table("assignment", "cost", "of the optimum",
                  title=f"{rows} x {columns} tiles on {tree.leaves} macros; {UNIT}")
    for words, key in (("optimal", "cost"), ("column after column", "column_contiguous"),
                       ("row after row", "row_contiguous")):
        table.add_row(words, f"{found[key]:,}", f"{found[key] / solution.cost:.3f} x")
    print_whole(table)
    leaves = Table("column tile", "row tile @ leaf", title="Optimal assignment")
    for column in range(columns):
        held = sorted((leaf, tile[0]) for leaf, tile in enumerate(solution.leaves)
                      if tile is not None and tile[1] == column)
        leaves.add_row(str(column), "  ".join(f"{row}@{leaf}" for leaf, row in held))
    print_whole(leaves)
    write_json(json_path, found)
