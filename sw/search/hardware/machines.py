"""Machines of equal silicon: how many chips, their arrays, how many are of which kind, and where.

All chips of a machine are equally large, so that they fill a grid; a kind is what its array is,
and the buffer takes what array, router and control leave. So every machine has the base's silicon,
and none is beside the constraint.
"""

import math
from dataclasses import dataclass, replace

from ouroboros.sw.search.errors import SearchError
from ouroboros.sw.search.hardware.areas import Areas
from ouroboros.sw.search.problem.instance import Instance, Kind

__all__ = ["ARRAYS", "EIGHTHS", "GRIDS", "LAYOUTS", "Chips", "built"]

GRIDS = ((2, 2), (3, 2), (3, 3), (4, 3), (4, 4), (5, 4), (6, 4), (6, 6), (8, 6), (8, 8))
"""Columns and rows of chips."""
ARRAYS = {
    "ws": ((64, 16), (64, 32), (128, 32), (128, 64), (256, 64)),
    "os": ((8, 128), (16, 128), (16, 256), (32, 256), (32, 512))}
"""Rows and columns, 1 K to 16 K MACs: the shapes of the paper's program and those between them."""
EIGHTHS = 8
"""The number of chips of the second kind is a multiple of an eighth of all."""
LAYOUTS = ("spread", "halves")
"""Chips of the second kind evenly among the others along a snake, or at the end of the columns."""
BUFFER_MIN = 1 << 16
BUFFER_STEP = 1 << 12
ENERGY_AT = (2 << 20, 2.0)
"""Bytes of a buffer, and pJ of a byte to or from it."""
ENERGY_OF_FOUR = 1.3
"""That energy in a buffer four times as large, over it; as ``problem.generate`` assumes."""


@dataclass(frozen=True, order=True, slots=True)
class Chips:
    """What is chosen of a machine."""

    grid: int
    """Index into ``GRIDS``."""
    ws: int
    """Index into the arrays that hold weights."""
    os: int
    """Index into those that hold outputs."""
    eighths: int
    """Of the chips, those that hold outputs."""
    layout: str
    """One of ``LAYOUTS``."""

    @property
    def name(self) -> str:
        """For tables."""
        columns, rows = GRIDS[self.grid]
        return f"{columns} x {rows}"


def built(chips: Chips, base: Instance, areas: Areas) -> Instance:
    """The instance with other chips of the same silicon in all.

    Raises
    ------
    SearchError
        If an array leaves no room for a buffer.
    """
    columns, rows = GRIDS[chips.grid]
    count = columns * rows
    each = areas.machine(base) / count
    second = count * chips.eighths // EIGHTHS
    kinds: list[Kind] = []
    used: list[int] = []
    for name, index, some in (("ws", chips.ws, count - second), ("os", chips.os, second)):
        used.append(len(kinds))
        if not some:
            continue
        tall, wide = ARRAYS[name][index]
        left = each - areas.fixed(base) - areas.array(tall, wide)
        bytes_ = areas.buffer(max(left, 0)) // BUFFER_STEP * BUFFER_STEP
        if bytes_ < BUFFER_MIN:
            raise SearchError(f"a chip of {each:.2f} mm2 must have at least {BUFFER_MIN:,} bytes "
                              f"beside an array of {tall} x {wide}, not {bytes_:,}")
        kinds.append(Kind(type=name, rows=tall, cols=wide, buffer=bytes_, e_buf=_energy(bytes_)))
    order = [used[int(one)] for one in _pattern(columns, rows, second, chips.layout)]
    return replace(base, name=f"{base.name}, {chips.name}", grid=(columns, rows),
                   kinds=tuple(kinds), chip_kind=tuple(order))


def _pattern(columns: int, rows: int, second: int, layout: str) -> list[bool]:
    """Of each chip, row by row, whether it is of the second kind."""
    count, found = columns * rows, [False] * (columns * rows)
    for n in range(count):
        if layout == "halves":
            place = n % rows * columns + n // rows
            found[place] = n >= count - second
        else:
            y, x = divmod(n, columns)
            place = y * columns + (columns - 1 - x if y % 2 else x)
            found[place] = (n + 1) * second // count > n * second // count
    return found


def _energy(bytes_: int) -> float:
    size, energy = ENERGY_AT
    return round(energy * math.pow(ENERGY_OF_FOUR, math.log(bytes_ / size, 4)), 4)
