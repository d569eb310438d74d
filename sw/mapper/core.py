"""One core under construction: macros, tables and programs, with limits checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hw.params.machine import Machine
from hw.params.packet import (
    CREDIT_ENTRY,
    DEST_ENTRY,
    KV_CONFIG,
    LABEL_ENTRY,
    STAGE_ENTRY,
    Unit,
)
from sw.errors import OuroborosError
from sw.mapper.program import Coordinate, CoreImage, Way, Write

__all__ = ["CoreBuilder", "MapperError", "MatrixPass", "MatrixPlan"]

Ints = npt.NDArray[np.integer]


class MapperError(OuroborosError):
    """A model does not fit a machine; says which limit and by how much."""


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


class CoreBuilder:
    """Collects what a core needs and refuses what it has no room for.

    Parameters
    ----------
    machine : Machine
        Limits.
    core : tuple of int
        Coordinates, used in messages.
    """

    def __init__(self, machine: Machine, core: Coordinate):
        self.machine, self.core = machine, core
        self._macro_groups = [0] * machine.core.macros
        self._taken = 0
        self._weights: dict[int, Ints] = {}
        self._params: list[int] = []
        self._steps: list[int] = []
        self._dests: list[int] = []
        self._credits: list[int] = []
        self._lists: list[int] = []
        self._stages: dict[int, int] = {}
        self._program: list[int] = []
        self._labels: dict[int, int] = {}
        self._slots = 0
        self._words = 0
        self._silu: Ints | None = None
        self._kv: int | None = None
        self.stage_names: list[str] = []

    def limit(self, what: str, need: int, have: int) -> None:
        """Refuse ``need`` above what the machine has."""
        if need > have:
            raise MapperError(f"core {self.core}: {what} must be at most {have} on machine "
                              f"{self.machine.name!r}, not {need}: too many by {need - have}")

    # Macros

    def take_macros(self, count: int) -> list[int]:
        """Reserve the next ``count`` macros."""
        self.limit("macros", self._taken + count, self.machine.core.macros)
        taken = [*range(self._taken, self._taken + count)]
        self._taken += count
        return taken

    @property
    def macros_left(self) -> int:
        """Macros that nobody has reserved."""
        return self.machine.core.macros - self._taken

    @property
    def macros_used(self) -> int:
        """Macros that somebody has reserved."""
        return self._taken

    def place_matrix(self, weights: Ints, macros: Sequence[int], *,
                     cut: int | None = None) -> MatrixPlan:
        """Tile ``weights`` (outputs, inputs) over macros that hold nothing else.

        Column tiles go side by side; macros left over split the inputs into row tiles, so that the
        array needs fewer cycles; what does not fit side by side is stacked into further passes.
        A pass begins at output ``cut`` if that takes no more of them: what ends there then needs
        no SFU instruction for a rest in the next pass.
        """
        cim, word_bytes = self.machine.cim, self.machine.core.word_bits // 8
        outputs, inputs = weights.shape
        least_rows = -(-inputs // cim.rows)
        if least_rows > len(macros):
            raise MapperError(f"core {self.core}: macros for a matrix of {inputs} inputs must be "
                              f"at least {least_rows}, not {len(macros)}: too few by "
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
        self.limit("row groups of a macro", len(spans) * groups, cim.groups)

        plan = []
        for n, (low, high) in enumerate(spans):
            first_group = n * groups
            step, loads = len(self._steps), [0] * rows
            for column, left in enumerate(range(low, high, cim.outputs)):
                leaves = 0
                for row in range(rows):
                    macro = macros[column * rows + row]
                    leaves |= 1 << macro
                    loads[row] |= 1 << macro
                    block = weights[left:min(left + cim.outputs, high),
                                    row * tile:(row + 1) * tile]
                    self._store(macro, first_group * cim.active_rows, block)
                    self._macro_groups[macro] = first_group + groups
                self._steps.append(leaves)
            self.limit("drain steps", len(self._steps), self.machine.core.step_words)
            plan.append(MatrixPass(
                loads=tuple((row * tile, min(tile, inputs - row * tile), mask)
                            for row, mask in enumerate(loads)),
                macros=int(np.bitwise_or.reduce(loads)), first_group=first_group,
                step=step, steps=len(self._steps) - step, low=low, high=high))
        return MatrixPlan(tuple(plan), groups)

    def _passes(self, low: int, high: int, side_by_side: int) -> tuple[tuple[int, int], ...]:
        """Outputs of each pass over ``low .. high``, as even as whole column tiles allow."""
        columns = -(-(high - low) // self.machine.cim.outputs)
        span = -(-columns // -(-columns // side_by_side)) * self.machine.cim.outputs
        return tuple((left, min(left + span, high)) for left in range(low, high, span))

    def _store(self, macro: int, row: int, block: Ints) -> None:
        store = self._weights.setdefault(
            macro, np.zeros((self.machine.cim.rows, self.machine.cim.outputs), np.int8))
        store[row:row + block.shape[1], :block.shape[0]] = block.T

    def set_kv(self, macros: Sequence[int], *, head_dim: int, heads: int, members: int,
               member: int) -> tuple[int, int]:
        """Divide macros between K and V; blocks of all heads that fit, and of one sequence alone.

        One sequence may have less than all: its V blocks of one head share a column slot.
        """
        cim, kv = self.machine.cim, self.machine.kv
        self.limit("KV heads", heads, kv.heads)
        if cim.rows < cim.outputs:
            raise MapperError(f"cim.rows must be at least cim.outputs ({cim.outputs}) to hold KV "
                              f"blocks, not {cim.rows}")
        if len(macros) < 2:
            raise MapperError(f"core {self.core}: macros for KV must be at least 2, "
                              f"not {len(macros)}: too few by {2 - len(macros)}")
        k_macros, v_macros = macros[:len(macros) // 2], macros[len(macros) // 2:]
        k_groups = -(-head_dim // cim.active_rows)
        k_blocks = cim.groups // k_groups
        v_slots = cim.outputs // head_dim
        self.limit("row groups of a macro", k_groups, cim.groups)
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
            raise MapperError(f"core {self.core}: {heads} KV heads must have at least one block "
                              f"each, not {k_room} K and {slot_room * v_slots} V blocks in all")
        return room, min(room, slot_room // heads_per_slot)

    # Tables

    def params(self, values: Sequence[int] | Ints) -> int:
        """Store 16-bit parameters from a word boundary; returns the first word."""
        lanes = self.machine.core.lanes
        first = len(self._params)
        padded = [int(v) for v in values] + [0] * (-len(values) % lanes)
        for n in range(0, len(padded), lanes):
            self._params.append(sum((v & 0xFFFF) << 16 * k
                                    for k, v in enumerate(padded[n:n + lanes])))
        self.limit("parameter words", len(self._params), self.machine.core.param_words)
        return first

    def silu(self, table: Ints) -> None:
        """Set the SiLU table, int16[256]."""
        self._silu = table

    def label(self, label: int, ports: int) -> None:
        """Set an entry of the router's label table."""
        self._labels[label] = LABEL_ENTRY.pack({"ports": ports})

    def credit_counter(self, count: int) -> int:
        """A new credit counter that starts at ``count``."""
        core = self.machine.core
        if count >= 1 << core.credit_bits:
            raise MapperError(f"slots of a stage must fit {core.credit_bits} credit bits, "
                              f"not {count}")
        self._credits.append(count)
        self.limit("credit counters", len(self._credits), core.credits)
        return len(self._credits) - 1

    def dest(self, fields: Mapping[str, int]) -> int:
        """Index of a destination-list entry with these fields, the others 0; new or shared."""
        entry = DEST_ENTRY.pack({f.name: fields.get(f.name, 0) for f in DEST_ENTRY.fields})
        if entry not in self._dests:
            self._dests.append(entry)
            self.limit("destinations", len(self._dests), self.machine.core.dests)
        return self._dests.index(entry)

    def stage(self, index: int, *, name: str, slots: int, words: int, code: Sequence[int],
              owners: Sequence[tuple[Coordinate, int, Way]]) -> None:
        """Add a stage with its program and the (core, counter, way there) of who reserves slots."""
        core = self.machine.core
        self.limit("stages", index + 1, core.stages)
        if index in self._stages:
            raise MapperError(f"core {self.core}: stage {index} must be used once, not by {name}")
        program = len(self._program)
        self._program.extend(code)
        self.limit("program words", len(self._program), core.program_words)
        credit_first = len(self._lists)
        self._lists.extend(CREDIT_ENTRY.pack({"x": x, "y": y, "counter": counter,
                                               "way_x": way.at[0], "way_y": way.at[1],
                                               "table": int(way.table)})
                           for (x, y), counter, way in owners)
        self.limit("credit list entries", len(self._lists), core.credit_list_words)
        self._stages[index] = STAGE_ENTRY.pack({
            "slot_first": self._slots, "slot_count": slots, "base": self._words,
            "stride": words, "program": program, "credit_first": credit_first,
            "credit_count": len(owners)})
        self._slots += slots
        self._words += slots * words
        self.limit("token slots", self._slots, core.slots)
        self.limit(f"buffer words (stage {name})", self._words, core.buffer_words)
        self.stage_names.append(name)

    def image(self) -> CoreImage:
        """All configuration writes of the core."""
        image = CoreImage()

        def put(unit: int, values: Sequence[int], address: int = 0) -> None:
            if values:
                image.writes.append(Write(unit, address, tuple(values)))

        put(Unit.PROGRAM, self._program)
        for index, entry in self._stages.items():
            put(Unit.STAGE, [entry], index)
        put(Unit.CREDIT_LIST, self._lists)
        put(Unit.CREDIT, self._credits)
        put(Unit.DEST, self._dests)
        put(Unit.PARAM, self._params)
        put(Unit.STEP, self._steps)
        for label, ports in self._labels.items():
            put(Unit.LABEL, [ports], label)
        if self._silu is not None:
            put(Unit.SILU, [int(v) & 0xFFFF for v in self._silu])
        if self._kv is not None:
            put(Unit.KV, [self._kv])
        for macro, store in self._weights.items():
            used = self._macro_groups[macro] * self.machine.cim.active_rows
            put(Unit.WEIGHT + macro,
                [int.from_bytes(row.tobytes(), "little") for row in store[:used]])
        return image


