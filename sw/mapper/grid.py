"""A machine's cores as the placer sees them."""

from collections.abc import Iterable

from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.position import Position
from ouroboros.sw.place.instance import Grid

__all__ = ["DIE_PENALTY_HOPS", "core_at", "machine_grid", "place_of"]

DIE_PENALTY_HOPS = 3
"""Extra hops that a die border counts in the placer's objective: a choice of the benchmark
instances, so that figures compare. The extra cycles of a crossing are another constant."""


def machine_grid(machine: Machine, defects: Iterable[int] = ()) -> Grid:
    """The grid of a machine with the dead cores ``defects`` (ids ``x + width * y`` from 0).

    Raises
    ------
    PlaceError
        If a defect is no core of the machine.
    """
    mesh = machine.mesh
    return Grid(width=mesh.width, height=mesh.height, die_width=mesh.die_width,
                die_height=mesh.die_height, die_penalty_hops=DIE_PENALTY_HOPS,
                defects=tuple(sorted(set(defects))))


def place_of(grid: Grid, core: int) -> Position:
    """(x, y) from 1 of a core id."""
    return int(core) % grid.width + 1, int(core) // grid.width + 1


def core_at(grid: Grid, place: Position) -> int:
    """Core id of (x, y) from 1."""
    return place[0] - 1 + grid.width * (place[1] - 1)
