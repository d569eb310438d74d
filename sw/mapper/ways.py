"""Ways of a program's packets: XY, or around the dead cores and links that routes know of."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import Unit
from ouroboros.hw.params.position import Position
from ouroboros.sw.mapper.limits import MapperError
from ouroboros.sw.noc.routes.xy import path
from ouroboros.sw.program.program import Detours, Way, Write

if TYPE_CHECKING:       # machines without faults need not wait for the compiler behind it
    from ouroboros.sw.noc.routes.routing import Routes

__all__ = ["Ways"]


class Ways:
    """Ways between cores and the host's port.

    Parameters
    ----------
    machine : Machine
        Whose network.
    routes : Routes, optional
        Routes around what is dead; without them every packet goes XY.
    deaf : collection of tuple of int
        Cores that do not answer, though their routers pass packets on: none is sent there, and no
        multicast by way of them, since their routers cannot be told of labels.

    Raises
    ------
    MapperError
        If the routes are of another mesh.
    NocError
        If the host's port is beside a dead core.
    """

    def __init__(self, machine: Machine, routes: "Routes | None" = None,
                 deaf: Collection[Position] = ()):
        self.machine, self.routes, self.deaf = machine, routes, frozenset(deaf)
        self._tables = False
        if routes is not None:
            if routes.mesh != machine.mesh:
                raise MapperError(f"routes must be made for the mesh of machine {machine.name!r}, "
                                  f"{machine.mesh}, not {routes.mesh}")
            routes.require("the host's port", machine.host)

    @property
    def live(self) -> tuple[Position, ...] | None:
        """Cores that are alive, row by row; None: all."""
        if self.routes is None:
            return None
        width = self.machine.mesh.width
        cores = ((n % width + 1, n // width + 1) for n in self.routes.cores.tolist())
        return tuple(core for core in cores if core not in self.deaf)

    def way(self, source: Position, target: Position, *, tables: bool = True) -> Way:
        """Way of unicast packets, by the routers' tables only if ``tables``.

        Raises
        ------
        MapperError
            If there is none, or the network has no channels for it.
        NocError
            If an end is dead.
        """
        if self.routes is None:
            return Way()
        found = self.routes.route(source, target)
        if found.route_class == 2 and not tables:
            raise MapperError(f"way from {source} to {target} must need no tables in the routers "
                              f"(class 2), since the host loads them over the network: too much is "
                              f"dead between them")
        noc = self.machine.noc
        for number, have, need in ((1, noc.class1_vcs, 1), (2, noc.class2_vcs, 2)):
            if found.route_class == number and have < need:
                raise MapperError(
                    f"way from {source} to {target} must go around dead cores or links on class "
                    f"{number}: noc.class{number}_vcs of machine {self.machine.name!r} must be at "
                    f"least {need}, not {have}")
        self._tables |= found.route_class == 2
        return Way(found.way, table=found.route_class == 2)

    def dest(self, source: Position, target: Position) -> dict[str, int]:
        """Fields of a unicast ``DEST_ENTRY`` that choose the route."""
        way = self.way(source, target)
        return {"vc": self.machine.noc.transit_vc if way.table else 0,
                "way_x": way.at[0], "way_y": way.at[1]}

    def groups(self, source: Position,
               targets: Sequence[Position]) -> list[tuple[Position, ...]]:
        """Who is sent to together: those whose XY way is alive, then each of the others alone."""
        straight = [target for target in targets if self.routes is None or (
            self.routes.route(source, target).route_class == 0
            and self.deaf.isdisjoint(at for at, _ in path(source, target, self.machine.mesh)))]
        return [*([tuple(straight)] if straight else []),
                *((target,) for target in targets if target not in straight)]

    def detours(self, used: Collection[Position]) -> Detours | None:
        """The host's part, once all ways of the program have been asked for.

        Raises
        ------
        MapperError
            If the host cannot exchange packets with a core in ``used`` without tables, or tables
            are needed and it cannot load all of them.
        """
        if self.routes is None:
            return None
        host, there, back = self.machine.host, {}, {}
        for core in self.live or ():
            try:
                ways = self.way(host, core, tables=False), self.way(core, host, tables=False)
            except MapperError:
                # Idle cores need not hear of anything, unless others' ways lead past them.
                if core in used or self._tables:
                    raise
                continue
            there[core], back[core] = ways[0].at, ways[1].at
        units = (Unit.ROUTER, Unit.DIES, Unit.CORES) if self._tables else (Unit.ROUTER,)
        return Detours(there=there, back=back, writes=tuple(
            (write.at, Write(write.unit, write.address, write.values))
            for write in self.routes.writes() if write.unit in units and write.at in there))
