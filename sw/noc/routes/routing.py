"""Routes between all live cores and edge ports of a mesh with faults, and what to load for them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ouroboros.hw.params.machine import MeshParams
from ouroboros.hw.params.packet import TABLE_ADDRESS, Port, Turn, Unit
from ouroboros.sw.noc.errors import NocError
from ouroboros.sw.noc.routes.check import Checker
from ouroboros.sw.noc.routes.faults import Faults, Position
from ouroboros.sw.noc.routes.live import Ints, live_mesh, position_of, router_of
from ouroboros.sw.noc.routes.tables import die_members, make_tables
from ouroboros.sw.noc.routes.waypoints import choose, choose_all

__all__ = ["Route", "Routes", "TableWrite"]

NO_WAY = (0, 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """How a unicast packet gets from one place to another."""

    route_class: int
    """0: XY; 1: XY to ``way`` and XY from there; 2: by the routers' tables."""
    way: tuple[int, int]
    """Header fields ``way_x``, ``way_y``: (0, 0), the waypoint, or a ``TABLE_ADDRESS``."""
    hops: int
    """Links between routers that it takes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TableWrite:
    """Consecutive entries of a router's tables, to be written while the network is drained."""

    at: Position
    unit: Unit
    """``ROUTER`` (mask of dead ports), ``DIES`` or ``CORES`` (entries are ``Turn``)."""
    address: int
    values: tuple[int, ...]


class Routes:
    """Routes for one set of faults: made and checked once, then asked.

    Parameters
    ----------
    faults : Faults
        What is dead.

    Raises
    ------
    NocError
        If no mesh of live cores in one piece is left, or the check of the routes fails.
    """

    def __init__(self, faults: Faults):
        self.faults = faults
        self.mesh: MeshParams = faults.mesh
        self.live = live_mesh(faults)
        self.tables = make_tables(self.live)
        self.checked = Checker(self.live, self.tables).checked
        self._leaves = die_members(self.mesh)[1]

    @property
    def cores(self) -> Ints:
        """Numbers of the live routers, ascending."""
        return np.flatnonzero(self.live.live).astype(np.int32)

    def require(self, what: str, position: Position) -> None:
        """Refuse a place that no packet can come from or go to.

        Raises
        ------
        NocError
            If ``position`` is outside of the mesh, a dead core, one cut off, or beside a dead one.
        """
        x, y = position
        inside_x, inside_y = 1 <= x <= self.mesh.width, 1 <= y <= self.mesh.height
        edge = ((inside_x and y in (0, self.mesh.height + 1))
                or (inside_y and x in (0, self.mesh.width + 1)))
        if not edge and not (inside_x and inside_y):
            raise NocError(f"{what} must be a core or an edge port of the {self.mesh.width} x "
                           f"{self.mesh.height} mesh, not {position!r}")
        router = router_of(position, self.mesh)
        if not self.live.live[router]:
            core = position_of(router, self.mesh)
            why = "cut off from its die" if core in self.live.cut_off else "dead"
            place = f"edge port {position!r} is beside core {core!r}, which" if edge else (
                f"core {position!r}")
            raise NocError(f"{what} must be alive, but {place} is {why}")

    def route(self, source: Position, destination: Position) -> Route:
        """Route of unicast packets, the shortest of the first class that has any.

        Raises
        ------
        NocError
            If source or destination do not exist or are dead.
        """
        self.require("source", source)
        self.require("destination", destination)
        start, end = router_of(source, self.mesh), router_of(destination, self.mesh)
        route_class, waypoint, hops = choose(self.mesh.width, self.live.reach, start, end)
        if route_class == 0:
            return Route(route_class=0, way=NO_WAY, hops=hops)
        if route_class == 1:
            return Route(route_class=1, way=position_of(waypoint, self.mesh), hops=hops)
        address = self.address(destination)
        return Route(route_class=2, way=(address & 127, address >> 7),
                     hops=len(list(self._table_path(start, destination))) - 1)

    def choices(self, sources: Ints, ends: Ints) -> Ints:
        """(pairs, 3): class, waypoint, hops by XY legs of pairs of live routers (``waypoints``)."""
        return choose_all(self.mesh.width, self.live.reach,
                          sources.astype(np.int32), ends.astype(np.int32))

    def vias(self, sources: Ints, ends: Ints, choices: Ints) -> Ints:
        """(pairs, n): routers between the XY legs of each pair's route, -1 after the last.

        For class 2 these are the routers where its path by the tables turns.
        """
        found = [[int(waypoint)] if route_class == 1 else []
                 for route_class, waypoint, _ in choices.tolist()]
        for n in np.flatnonzero(choices[:, 0] == 2).tolist():
            end = position_of(int(ends[n]), self.mesh)
            path = list(self._table_path(int(sources[n]), end))
            steps = np.diff(path)
            found[n] = [path[i + 1] for i in np.flatnonzero(steps[1:] != steps[:-1]).tolist()]
        vias = np.full((len(found), max((len(row) for row in found), default=0)), -1, np.int32)
        for n, row in enumerate(found):
            vias[n, :len(row)] = row
        return vias

    def address(self, destination: Position) -> int:
        """``TABLE_ADDRESS`` of a core or edge port."""
        router = router_of(destination, self.mesh)
        die = int(self.live.die[router])
        turn = int(Turn.LOCAL)
        for port, out in ((Port.NORTH, destination[1] < 1),
                          (Port.EAST, destination[0] > self.mesh.width),
                          (Port.SOUTH, destination[1] > self.mesh.height),
                          (Port.WEST, destination[0] < 1)):
            if out:
                turn = port + 1
        found = np.flatnonzero((self.tables.members[die] == router) & (self._leaves[die] == turn))
        if not len(found):
            raise NocError(f"die {die} must have at most {len(self._leaves[die])} cores and edge "
                           f"ports for the routers' tables, so {destination!r} has no number")
        return TABLE_ADDRESS.pack({"core": int(found[0]), "die": die})

    def writes(self) -> Iterator[TableWrite]:
        """Everything that live routers must be told, router by router."""
        for router in self.cores:
            at, die = position_of(router, self.mesh), self.live.die[router]
            dead = sum(1 << port for port, (dx, dy) in enumerate(((0, -1), (1, 0), (0, 1), (-1, 0)))
                       if 1 <= at[0] + dx <= self.mesh.width and 1 <= at[1] + dy <= self.mesh.height
                       and self.live.beyond[router, port] < 0)
            if dead:
                yield TableWrite(at=at, unit=Unit.ROUTER, address=0, values=(dead,))
            yield TableWrite(at=at, unit=Unit.DIES, address=0,
                             values=tuple(self.tables.dies[router].tolist()))
            count = int((self.tables.members[die] >= 0).sum())
            yield TableWrite(at=at, unit=Unit.CORES, address=0,
                             values=tuple(self.tables.cores[router, :count].tolist()))

    def _table_path(self, start: int, destination: Position) -> Iterator[int]:
        """Routers of a path of class 2."""
        number = TABLE_ADDRESS.unpack(self.address(destination))["core"]
        end, at = router_of(destination, self.mesh), start
        yield at
        while at != end:
            turn = int(self.tables.dies[at, self.live.die[end]])
            if turn == Turn.ARRIVED:
                turn = int(self.tables.cores[at, number])
            at = int(self.live.beyond[at, turn - 1])
            yield at
