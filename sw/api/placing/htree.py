"""The cheapest assignment of a matrix's tiles to a core's macros, beside simple ones."""

from dataclasses import dataclass
from typing import Any

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.api.shared import OnWafer
from ouroboros.sw.lib.digest import digest_of
from ouroboros.sw.lib.options import option
from ouroboros.sw.mapper.htree.solve import Solution, solve
from ouroboros.sw.mapper.htree.tree import HTree, column_contiguous, row_contiguous

__all__ = ["UNIT", "Assigned", "HtreeOptions", "assign"]

UNIT = "bytes x length of a leaf's wire, per output of a column tile"


@dataclass(frozen=True, kw_only=True)
class HtreeOptions(OnWafer):
    """A matrix and a core's tree."""

    rows: int = option(metavar="R")
    """Row tiles: inputs over a macro's rows."""
    columns: int = option(metavar="C")
    """Column tiles: outputs over a macro's outputs."""
    requantise_from: int = option(0, metavar="LEVEL")
    """Lowest tree level whose nodes turn a complete column into int8; 0: the leaves, number of
    levels: none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Assigned:
    """An optimal assignment and the cost of two simple ones."""

    tree: HTree
    """The core's."""
    solution: Solution
    """Optimal."""
    column_contiguous: int
    """Cost of column after column."""
    row_contiguous: int
    """Cost of row after row."""
    machine_digest: str
    """Of the machine's parameters."""

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        one = self.solution
        return {
            "rows": one.rows, "columns": one.columns, "unit": UNIT,
            "lengths": list(self.tree.lengths), "requantise_from": self.tree.requantise_from,
            "cost": one.cost, "optimal": True, "column_contiguous": self.column_contiguous,
            "row_contiguous": self.row_contiguous,
            "leaves": [None if tile is None else list(tile) for tile in one.leaves],
            "masks": list(one.masks), "machine_digest": self.machine_digest}


def assign(options: HtreeOptions) -> Assigned:
    """Solve one matrix exactly.

    Raises
    ------
    OuroborosError
        If it has more tiles than the core has macros.
    """
    machine = load_machine(options.machine)
    tree = HTree.of(machine.core.macros, requantise_from=options.requantise_from)
    rows, columns = options.rows, options.columns
    return Assigned(
        tree=tree, solution=solve(rows, columns, tree), machine_digest=digest_of(machine),
        column_contiguous=tree.cost(column_contiguous(rows, columns, tree.leaves), rows),
        row_contiguous=tree.cost(row_contiguous(rows, columns, tree.leaves), rows))
