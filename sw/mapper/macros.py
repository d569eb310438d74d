"""What the host writes into a core's macros: weights, drain steps, the division of KV."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import KV_CONFIG, Unit
from ouroboros.sw.block.macros import MatrixPlan
from ouroboros.sw.program.program import Write

__all__ = ["Macros"]

Ints = npt.NDArray[np.integer]


class Macros:
    """Collects what is written to the macros of a core.

    Parameters
    ----------
    machine : Machine
        Sizes.
    steps : sequence of int
        Drain steps: macros whose sums the tree adds.
    """

    def __init__(self, machine: Machine, steps: Sequence[int] = ()):
        self._machine, self.steps = machine, tuple(steps)
        self._rows: dict[int, int] = {}
        self._weights: dict[int, Ints] = {}
        self._kv: int | None = None

    def store(self, plan: MatrixPlan, weights: Ints | None) -> None:
        """Put a matrix, int8 (outputs, inputs), where its plan says; None: leave the values out."""
        if weights is None:
            return
        cim = self._machine.cim
        for step in plan.passes:
            for tile in step.tiles:
                store = self._weights.setdefault(
                    tile.macro, np.zeros((cim.rows, cim.outputs), np.int8))
                block = weights[tile.outputs.start:tile.outputs.stop,
                                tile.inputs.start:tile.inputs.stop]
                store[tile.row:tile.row + block.shape[1], :block.shape[0]] = block.T
                self._rows[tile.macro] = (step.first_group + plan.groups) * cim.active_rows

    def set_kv(self, config: Mapping[str, int]) -> None:
        """Divide macros between K and V (``KV_CONFIG``)."""
        self._kv = KV_CONFIG.pack(config)

    def writes(self) -> list[Write]:
        """Configuration writes of the division of KV, and of weights."""
        writes = []
        if self._kv is not None:
            writes.append(Write(Unit.KV, 0, (self._kv,)))
        for macro, store in self._weights.items():
            writes.append(Write(Unit.WEIGHT + macro, 0, tuple(
                int.from_bytes(row.tobytes(), "little") for row in store[:self._rows[macro]])))
        return writes
