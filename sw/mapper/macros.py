"""A core's macros under construction: matrices tiled over them, and room for KV."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ouroboros.hw.params.packet import KV_CONFIG, Unit
from ouroboros.sw.mapper.limits import CoreLimits, MapperError
from ouroboros.sw.program.program import Write

__all__ = ["Macros", "MatrixPass", "MatrixPlan"]

Ints = npt.NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class MatrixPass:
    """One MVM of a matrix: column tiles side by side, row tiles added by the tree."""

    loads: tuple[tuple[int, int, int], ...]
    """(first input, inputs, macro mask) of every row tile."""
    macros: int
    """Mask of all its macros."""
    first_group: int
    """Row group where its weights begin."""
    step: int
    """First drain step."""
    steps: int
    """Column tiles."""
    low: int
    """First output."""
    high: int
    """One past the last output."""


@dataclass(frozen=True, slots=True)
class MatrixPlan:
    """How a matrix lies in a core's macros."""

    passes: tuple[MatrixPass, ...]
    groups: int
    """Row groups that each pass takes."""


class Macros:
    """Gives out macros and collects what is written to them.

    Parameters
    ----------
    limits : CoreLimits
        Of the core.
    """

    def __init__(self, limits: CoreLimits):
        self._limits, self._machine = limits, limits.machine
        self._groups = [0] * self._machine.core.macros
        self._taken = 0
        self._weights: dict[int, Ints] = {}
        self.steps: list[int] = []
        """Drain steps: macros whose sums the tree adds."""
        self._kv: int | None = None

    def take(self, count: int) -> list[int]:
        """Reserve the next ``count`` macros."""
        self._limits.check("macros", self._taken + count, self._machine.core.macros)
        taken = [*range(self._taken, self._taken + count)]
        self._taken += count
        return taken

    @property
    def left(self) -> int:
        """Macros that nobody has reserved."""
        return self._machine.core.macros - self._taken

    @property
    def used(self) -> int:
        """Macros that somebody has reserved."""
        return self._taken

    def place(self, weights: Ints, macros: Sequence[int], *, cut: int | None = None) -> MatrixPlan:
        """Tile ``weights`` (outputs, inputs) over macros that hold nothing else.

        Column tiles go side by side; macros left over split the inputs into row tiles, so that the
        array needs fewer cycles; what does not fit side by side is stacked into further passes.
        A pass begins at output ``cut`` if that takes no more of them: what ends there then needs
        no SFU instruction for a rest in the next pass.
        """
        cim, word_bytes = self._machine.cim, self._machine.core.word_bits // 8
        outputs, inputs = weights.shape
        least_rows = -(-inputs // cim.rows)
        if least_rows > len(macros):
            raise MapperError(f"core {self._limits.core}: macros for a matrix of {inputs} inputs "
                              f"must be at least {least_rows}, not {len(macros)}: too few by "
                              f"{least_rows - len(macros)}")
        side_by_side = len(macros) // least_rows
        spans = self._passes(0, outputs, side_by_side)
        if cut is not None:
            parted = (*self._passes(0, cut, side_by_side),
                      *self._passes(cut, outputs, side_by_side))
            spans = parted if len(parted) == len(spans) else spans
        per_pass = max(-(-(high - low) // cim.outputs) for low, high in spans)
        tile = -(-inputs // (len(macros) // per_pass))
        tile = min(-(-tile // word_bytes) * word_bytes, cim.rows)
        rows = -(-inputs // tile)
        groups = -(-tile // cim.active_rows)
        self._limits.check("row groups of a macro", len(spans) * groups, cim.groups)

        plan = []
        for n, (low, high) in enumerate(spans):
            first_group = n * groups
            step, loads = len(self.steps), [0] * rows
            for column, left in enumerate(range(low, high, cim.outputs)):
                leaves = 0
                for row in range(rows):
                    macro = macros[column * rows + row]
                    leaves |= 1 << macro
                    loads[row] |= 1 << macro
                    block = weights[left:min(left + cim.outputs, high),
                                    row * tile:(row + 1) * tile]
                    self._store(macro, first_group * cim.active_rows, block)
                    self._groups[macro] = first_group + groups
                self.steps.append(leaves)
            self._limits.check("drain steps", len(self.steps), self._machine.core.step_words)
            plan.append(MatrixPass(
                loads=tuple((row * tile, min(tile, inputs - row * tile), mask)
                            for row, mask in enumerate(loads)),
                macros=int(np.bitwise_or.reduce(loads)), first_group=first_group,
                step=step, steps=len(self.steps) - step, low=low, high=high))
        return MatrixPlan(tuple(plan), groups)

    def _passes(self, low: int, high: int, side_by_side: int) -> tuple[tuple[int, int], ...]:
        """Outputs of each pass over ``low .. high``, as even as whole column tiles allow."""
        columns = -(-(high - low) // self._machine.cim.outputs)
        span = -(-columns // -(-columns // side_by_side)) * self._machine.cim.outputs
        return tuple((left, min(left + span, high)) for left in range(low, high, span))

    def _store(self, macro: int, row: int, block: Ints) -> None:
        store = self._weights.setdefault(
            macro, np.zeros((self._machine.cim.rows, self._machine.cim.outputs), np.int8))
        store[row:row + block.shape[1], :block.shape[0]] = block.T

    def set_kv(self, macros: Sequence[int], *, head_dim: int, heads: int, members: int,
               member: int) -> tuple[int, int]:
        """Divide macros between K and V; blocks of all heads that fit, and of one sequence alone.

        One sequence may have less than all: its V blocks of one head share a column slot.
        """
        cim, kv = self._machine.cim, self._machine.kv
        self._limits.check("KV heads", heads, kv.heads)
        if cim.rows < cim.outputs:
            raise MapperError(f"cim.rows must be at least cim.outputs ({cim.outputs}) to hold KV "
                              f"blocks, not {cim.rows}")
        if len(macros) < 2:
            raise MapperError(f"core {self._limits.core}: macros for KV must be at least 2, "
                              f"not {len(macros)}: too few by {2 - len(macros)}")
        k_macros, v_macros = macros[:len(macros) // 2], macros[len(macros) // 2:]
        k_groups = -(-head_dim // cim.active_rows)
        k_blocks = cim.groups // k_groups
        v_slots = cim.outputs // head_dim
        self._limits.check("row groups of a macro", k_groups, cim.groups)
        self._kv = KV_CONFIG.pack({
            "k_macros": sum(1 << m for m in k_macros), "v_macros": sum(1 << m for m in v_macros),
            "k_groups": k_groups, "k_blocks": k_blocks, "v_slots": v_slots,
            "head_dim": head_dim, "heads": heads, "members_log2": members.bit_length() - 1,
            "member": member})
        k_room = len(k_macros) * k_blocks
        slot_room = len(v_macros) * (cim.rows // cim.outputs)
        heads_per_slot = -(-heads // v_slots)
        room = min(k_room, slot_room * v_slots) // heads
        if not room:
            raise MapperError(f"core {self._limits.core}: {heads} KV heads must have at least one "
                              f"block each, not {k_room} K and {slot_room * v_slots} V blocks "
                              "in all")
        return room, min(room, slot_room // heads_per_slot)

    def writes(self) -> list[Write]:
        """Configuration writes of the division of KV, and of weights."""
        writes = []
        if self._kv is not None:
            writes.append(Write(Unit.KV, 0, (self._kv,)))
        for macro, store in self._weights.items():
            used = self._groups[macro] * self._machine.cim.active_rows
            writes.append(Write(Unit.WEIGHT + macro, 0, tuple(
                int.from_bytes(row.tobytes(), "little") for row in store[:used])))
        return writes
