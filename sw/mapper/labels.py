"""Multicast labels: one number for each tree, shared by trees that do not meet."""

from collections.abc import Sequence

from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.position import Position
from ouroboros.sw.mapper.limits import MapperError
from ouroboros.sw.noc.routes.xy import tree

__all__ = ["LabelAllocator"]


class LabelAllocator:
    """Gives every multicast group the lowest label that is free in all routers of its tree."""

    def __init__(self, machine: Machine):
        self.machine = machine
        self.tables: dict[Position, dict[int, int]] = {}
        self._groups: dict[tuple[Position, tuple[Position, ...]], int] = {}

    def label(self, source: Position, targets: Sequence[Position]) -> int:
        """Label of the group, new or known.

        Raises
        ------
        MapperError
            If the routers' tables are full.
        """
        key = (source, tuple(sorted(targets)))
        if key not in self._groups:
            masks = tree(source, targets, self.machine.mesh)
            for label in range(1, self.machine.noc.labels):
                if not any(label in self.tables.get(core, {}) for core in masks):
                    break
            else:
                raise MapperError(f"multicast from core {source}: labels must be at most "
                                  f"{self.machine.noc.labels - 1} per router, and all are taken")
            for core, ports in masks.items():
                self.tables.setdefault(core, {})[label] = ports
            self._groups[key] = label
        return self._groups[key]
