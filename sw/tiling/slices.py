"""Which channels lie on which core of a tiled matrix."""

from ouroboros.hw.params.machine import Machine
from ouroboros.sw.perf.substage import Tiling, divide

__all__ = ["column_slices", "home_slices", "overlap", "row_slices"]


def overlap(a: range, b: range) -> int:
    """Channels in both."""
    return max(0, min(a.stop, b.stop) - max(a.start, b.start))


def column_slices(machine: Machine, tiling: Tiling, outputs: int) -> list[range]:
    """Outputs of each column slice."""
    width = tiling.columns * machine.cim.outputs
    return [range(n * width, min((n + 1) * width, outputs)) for n in range(tiling.column_slices)]


def row_slices(machine: Machine, tiling: Tiling, inputs: int) -> list[range]:
    """Inputs of each row slice."""
    height = tiling.rows * machine.cim.rows
    return [range(n * height, min((n + 1) * height, inputs)) for n in range(tiling.row_slices)]


def home_slices(machine: Machine, tiling: Tiling, outputs: int) -> list[range]:
    """Outputs that each core is home to, column slice by column slice.

    The cores of a column slice share its outputs once their partial sums are added.
    """
    homes: list[range] = []
    for columns in column_slices(machine, tiling, outputs):
        share = divide(len(columns), tiling.row_slices)
        homes += [range(min(columns.start + n * share, columns.stop),
                        min(columns.start + (n + 1) * share, columns.stop))
                  for n in range(tiling.row_slices)]
    return homes
