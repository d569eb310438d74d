"""One core under construction: tables and programs, with limits checked."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import (
    CREDIT_ENTRY,
    DEST_ENTRY,
    LABEL_ENTRY,
    STAGE_ENTRY,
    Unit,
)
from ouroboros.hw.params.position import Position
from ouroboros.sw.block.limits import BlockError, CoreLimits
from ouroboros.sw.mapper.macros import Macros
from ouroboros.sw.program.program import CoreImage, Way, Write

__all__ = ["CoreBuilder"]

Ints = npt.NDArray[np.integer]


class CoreBuilder:
    """Collects what a core needs and refuses what it has no room for.

    Parameters
    ----------
    machine : Machine
        Limits.
    core : tuple of int
        Coordinates, used in messages.
    steps : sequence of int
        Drain steps of its macros.
    """

    def __init__(self, machine: Machine, core: Position, steps: Sequence[int] = ()):
        self.machine, self.core = machine, core
        self.limits = CoreLimits(machine, core)
        self.macros = Macros(machine, steps)
        self._params: list[int] = []
        self._dests: list[int] = []
        self._credits: list[int] = []
        self._lists: list[int] = []
        self._stages: dict[int, int] = {}
        self._program: list[int] = []
        self._labels: dict[int, int] = {}
        self._slots = 0
        self._words = 0
        self._silu: Ints | None = None
        self.stage_names: list[str] = []

    def params(self, values: Sequence[int] | Ints) -> int:
        """Store 16-bit parameters from a word boundary; returns the first word."""
        lanes = self.machine.core.lanes
        first = len(self._params)
        padded = [int(v) for v in values] + [0] * (-len(values) % lanes)
        for n in range(0, len(padded), lanes):
            self._params.append(sum((v & 0xFFFF) << 16 * k
                                    for k, v in enumerate(padded[n:n + lanes])))
        self.limits.check("parameter words", len(self._params), self.machine.core.param_words)
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
            raise BlockError(f"slots of a stage must fit {core.credit_bits} credit bits, "
                             f"not {count}")
        self._credits.append(count)
        self.limits.check("credit counters", len(self._credits), core.credits)
        return len(self._credits) - 1

    def dest(self, fields: Mapping[str, int]) -> int:
        """Index of a destination-list entry with these fields, the others 0; new or shared."""
        entry = DEST_ENTRY.pack({f.name: fields.get(f.name, 0) for f in DEST_ENTRY.fields})
        if entry not in self._dests:
            self._dests.append(entry)
            self.limits.check("destinations", len(self._dests), self.machine.core.dests)
        return self._dests.index(entry)

    def stage(self, index: int, *, name: str, slots: int, words: int, code: Sequence[int],
              owners: Sequence[tuple[Position, int, Way]]) -> None:
        """Add a stage with its program and the (core, counter, way there) of who reserves slots."""
        core = self.machine.core
        self.limits.check("stages", index + 1, core.stages)
        if index in self._stages:
            raise BlockError(f"core {self.core}: stage {index} must be used once, not by {name}")
        program = len(self._program)
        self._program.extend(code)
        self.limits.check("program words", len(self._program), core.program_words)
        credit_first = len(self._lists)
        self._lists.extend(CREDIT_ENTRY.pack({"x": x, "y": y, "counter": counter,
                                               "way_x": way.at[0], "way_y": way.at[1],
                                               "table": int(way.table)})
                           for (x, y), counter, way in owners)
        self.limits.check("credit list entries", len(self._lists), core.credit_list_words)
        self._stages[index] = STAGE_ENTRY.pack({
            "slot_first": self._slots, "slot_count": slots, "base": self._words,
            "stride": words, "program": program, "credit_first": credit_first,
            "credit_count": len(owners)})
        self._slots += slots
        self._words += slots * words
        self.limits.check("token slots", self._slots, core.slots)
        self.limits.check(f"buffer words (stage {name})", self._words, core.buffer_words)
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
        put(Unit.STEP, self.macros.steps)
        for label, ports in self._labels.items():
            put(Unit.LABEL, [ports], label)
        if self._silu is not None:
            put(Unit.SILU, [int(v) & 0xFFFF for v in self._silu])
        image.writes.extend(self.macros.writes())
        return image
