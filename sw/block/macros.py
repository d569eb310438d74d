"""A core's macros: matrices tiled over them, and room for KV."""

from collections.abc import Sequence
from dataclasses import dataclass

from ouroboros.sw.block.limits import BlockError, CoreLimits

__all__ = ["KvRoom", "MacroTile", "Macros", "MatrixPass", "MatrixPlan", "kv_room"]


@dataclass(frozen=True, slots=True)
class MacroTile:
    """Part of a matrix in one macro."""

    macro: int
    """Which."""
    row: int
    """First row of the macro."""
    outputs: range
    """Outputs of the matrix."""
    inputs: range
    """Inputs of the matrix."""


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
    tiles: tuple[MacroTile, ...]
    """What each macro holds, column tile by column tile."""


@dataclass(frozen=True, slots=True)
class MatrixPlan:
    """How a matrix lies in a core's macros."""

    passes: tuple[MatrixPass, ...]
    groups: int
    """Row groups that each pass takes."""


@dataclass(frozen=True, slots=True)
class KvRoom:
    """How K and V lie in a core."""

    config: dict[str, int]
    """Fields of ``KV_CONFIG``."""
    blocks: int
    """Blocks of all sequences that fit; one is K and V of every head of the core."""
    sequence_blocks: int
    """The same for one sequence alone; its V blocks of one head share a column slot."""


class Macros:
    """Gives out macros and drain steps.

    Parameters
    ----------
    limits : CoreLimits
        Of the core.
    """

    def __init__(self, limits: CoreLimits):
        self._limits, self._machine = limits, limits.machine
        self._taken = 0
        self.steps: list[int] = []
        """Drain steps: macros whose sums the tree adds."""

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

    def place(self, outputs: int, inputs: int, macros: Sequence[int], *,
              cut: int | None = None) -> MatrixPlan:
        """Tile a matrix over macros that hold nothing else.

        Column tiles go side by side; macros left over split the inputs into row tiles, so that the
        array needs fewer cycles; what does not fit side by side is stacked into further passes.
        A pass begins at output ``cut`` if that takes no more of them: what ends there then needs
        no SFU instruction for a rest in the next pass.
        """
        cim, word_bytes = self._machine.cim, self._machine.core.word_bits // 8
        least_rows = -(-inputs // cim.rows)
        if least_rows > len(macros):
            raise BlockError(f"core {self._limits.core}: macros for a matrix of {inputs} inputs "
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
            step, loads, tiles = len(self.steps), [0] * rows, []
            for column, left in enumerate(range(low, high, cim.outputs)):
                leaves = 0
                for row in range(rows):
                    macro = macros[column * rows + row]
                    leaves |= 1 << macro
                    loads[row] |= 1 << macro
                    tiles.append(MacroTile(
                        macro, first_group * cim.active_rows,
                        range(left, min(left + cim.outputs, high)),
                        range(row * tile, min((row + 1) * tile, inputs))))
                self.steps.append(leaves)
            self._limits.check("drain steps", len(self.steps), self._machine.core.step_words)
            every = 0
            for mask in loads:
                every |= mask
            plan.append(MatrixPass(
                loads=tuple((row * tile, min(tile, inputs - row * tile), mask)
                            for row, mask in enumerate(loads)),
                macros=every, first_group=first_group, step=step,
                steps=len(self.steps) - step, low=low, high=high, tiles=tuple(tiles)))
        return MatrixPlan(tuple(plan), groups)

    def _passes(self, low: int, high: int, side_by_side: int) -> tuple[tuple[int, int], ...]:
        """Outputs of each pass over ``low .. high``, as even as whole column tiles allow."""
        columns = -(-(high - low) // self._machine.cim.outputs)
        span = -(-columns // -(-columns // side_by_side)) * self._machine.cim.outputs
        return tuple((left, min(left + span, high)) for left in range(low, high, span))

    def set_kv(self, *, head_dim: int, heads: int, members: int, member: int) -> KvRoom:
        """Divide all macros that are left between K and V."""
        room = kv_room(self._limits, self.take(self.left), head_dim=head_dim, heads=heads)
        kv = self._machine.kv
        return KvRoom(room.config | {"members": members, "member": member,
                                     "ring": int(kv.ring), "v_stays": int(kv.v_stays)},
                      room.blocks, room.sequence_blocks)


def kv_room(limits: CoreLimits, macros: Sequence[int], *, head_dim: int, heads: int) -> KvRoom:
    """Half of ``macros`` for K, half for V, and the blocks of all heads that fit.

    Macros and page table bound them.

    Raises
    ------
    BlockError
        If not even one block of each head fits.
    """
    machine = limits.machine
    cim, kv = machine.cim, machine.kv
    limits.check("KV heads", heads, kv.heads)
    if cim.rows < cim.outputs:
        raise BlockError(f"cim.rows must be at least cim.outputs ({cim.outputs}) to hold KV "
                         f"blocks, not {cim.rows}")
    if len(macros) < 2:
        raise BlockError(f"core {limits.core}: macros for KV must be at least 2, "
                         f"not {len(macros)}: too few by {2 - len(macros)}")
    k_macros, v_macros = macros[:len(macros) // 2], macros[len(macros) // 2:]
    k_groups = -(-head_dim // cim.active_rows)
    k_blocks = cim.groups // k_groups
    v_slots = cim.outputs // head_dim
    limits.check("row groups of a macro", k_groups, cim.groups)
    k_room = len(k_macros) * k_blocks
    slot_room = len(v_macros) * (cim.rows // cim.outputs)
    heads_per_slot = -(-heads // v_slots)
    room = min(k_room, slot_room * v_slots, kv.pages) // heads
    if not room:
        raise BlockError(f"core {limits.core}: {heads} KV heads must have at least one "
                         f"block each, not {k_room} K and {slot_room * v_slots} V blocks "
                         f"and {kv.pages} pages in all")
    config = {"k_macros": sum(1 << m for m in k_macros), "v_macros": sum(1 << m for m in v_macros),
              "k_groups": k_groups, "k_blocks": k_blocks, "v_slots": v_slots,
              "head_dim": head_dim, "heads": heads}
    return KvRoom(config, room, min(room, slot_room // heads_per_slot))
