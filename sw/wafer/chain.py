"""The machine as tokens see it: a chain of cells that each takes one token at a time.

A token enters cell s when it is out of cell s-1 and the token before it has held cell s long
enough::

    start[k, s] = max(out[k, s-1], start[k-1, s] + hold[k-1, s])
    out[k, s]   = start[k, s] + way[k, s]

A window stands for the slots of a stage that lie between two cells: token k passes its beginning no
sooner than token k - slots has passed its end, plus the way of the credit back. Tokens do not
overtake each other. ``tests/sw/wafer/reference.py`` says the same in plain Python.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = ["Cell", "Chain", "Ints", "Window"]

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Cell:
    """A server of the chain; cycles."""

    name: str
    """What it stands for."""
    hold: int
    """From a token's start to the earliest start of the next; above ``hold_at`` if ``context``."""
    way: int
    """From a token's start to its arrival at the next cell; above ``way_at`` if ``context``."""
    context: bool = False
    """Whether ``Chain.hold_at`` and ``way_at`` of the token's context are added."""


@dataclass(frozen=True, slots=True)
class Window:
    """Slots that a token holds from the beginning of one cell to the end of another."""

    name: str
    """What it stands for."""
    first: int
    """Index of the cell before whose start a slot must be free."""
    last: int
    """Index of the cell at whose end the slot is given back."""
    slots: int
    """Tokens in between at most."""
    back: int
    """Cycles from there until another token may take it; may be negative: the slot is taken later
    than the token arrives, or returned earlier."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Cells in a token's order.

    Raises
    ------
    ValueError
        If a window does not lie in the chain, or a time is negative.
    """

    cells: tuple[Cell, ...]
    """In order."""
    windows: tuple[Window, ...] = ()
    """In any order."""
    hold_at: Ints = field(default_factory=lambda: np.zeros(2, np.int64))
    """``(contexts + 1,)``: by tokens that the token attends to, itself included; 0 is unused."""
    way_at: Ints = field(default_factory=lambda: np.zeros(2, np.int64))
    """As ``hold_at``."""
    first_block: int = 0
    """Cells up to the end of the first of many blocks that are much alike; 0: there are none."""
    last_block: int = 0
    """Index of the first cell of the last one."""
    block_cells: int = 0
    """Cells of a block."""

    def __post_init__(self) -> None:
        if self.hold_at.shape != self.way_at.shape or len(self.hold_at) < 2:
            raise ValueError("hold_at and way_at must be as long as each other, and at least 2, "
                             f"not {len(self.hold_at)} and {len(self.way_at)}")
        least = int(self.hold_at[1:].min()), int(self.way_at[1:].min())
        for cell in self.cells:
            if cell.hold + cell.context * least[0] < 0 or cell.way + cell.context * least[1] < 0:
                raise ValueError(f"hold and way of cell {cell.name!r} must be at least 0, "
                                 f"not {cell.hold} and {cell.way}")
        for window in self.windows:
            if not 0 <= window.first <= window.last < len(self.cells) or window.slots < 1:
                raise ValueError(f"window {window.name!r} must have slots and lie in a chain of "
                                 f"{len(self.cells)} cells, not {window}")

    @property
    def contexts(self) -> int:
        """Longest context that has times."""
        return len(self.hold_at) - 1

    def latency(self, context: int) -> int:
        """Cycles of a token that never waits."""
        return sum(cell.way + (int(self.way_at[context]) if cell.context else 0)
                   for cell in self.cells)

    def hold_of(self, cell: Cell, context: int) -> int:
        """Cycles for which a token holds a cell."""
        return cell.hold + (int(self.hold_at[context]) if cell.context else 0)
