"""Golden model of the whole machine: cores joined by a network without time."""

import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import LABEL_ENTRY, MESH_PORTS, Kind, Port, Unit
from ouroboros.sw.golden.core import CoreError, GoldenCore
from ouroboros.sw.golden.pool_end import PoolEnd, pool_ends
from ouroboros.sw.noc.routes.classes import RouterTables, class_path
from ouroboros.sw.noc.routes.xy import entrance, neighbour
from ouroboros.sw.program.packets import Packet
from ouroboros.sw.program.program import PoolStage

__all__ = ["GoldenLink", "GoldenMachine"]

Place = tuple[int, int]

ROUTER_UNITS = (Unit.ROUTER, Unit.DIES, Unit.CORES)
"""What the host tells routers about dead parts and ways around them."""
ADVANCES_PER_PACKET = 4
"""Steps that a machine in disorder takes, on average, while the host sends a packet."""


class GoldenMachine:
    """Every core of a mesh.

    Once routers have been told of dead ports, every packet must find its way past them.

    Parameters
    ----------
    machine : Machine
        Sizes.
    pools : sequence of PoolStage
        Members of KV groups at edge ports.
    disorder : random.Random, optional
        Without it packets arrive in the order in which they were sent, and each is worked off at
        once. With it everything that hardware may do in any order is done in random order: packets
        of different flows arrive, and cores and tokens go on, as they may, not as it would be
        convenient. Whatever is true of the machine has to be true of both.
    """

    def __init__(self, machine: Machine, *, pools: Sequence[PoolStage] = (),
                 disorder: random.Random | None = None):
        self.machine, self.disorder = machine, disorder
        self.pools = pool_ends(machine, pools, self._post)
        self.to_host: deque[Packet] = deque()
        self.watch: Callable[[Packet, int, int], None] | None = None
        """Told of every data packet of a core, with the stage and the address of its SEND."""
        # By source, receiver and virtual channel: what the network keeps in order.
        self._flows: dict[tuple[Place, Place, int], deque[Packet]] = {}
        self._network: deque[tuple[Place, Packet]] = deque()
        self._awake: list[Place] = []
        self._routers: RouterTables | None = None
        self._good: set[tuple[Place, Place, Place, bool]] = set()
        self.cores = {(x, y): GoldenCore(machine, (x, y), self._post)
                      for x in range(1, machine.mesh.width + 1)
                      for y in range(1, machine.mesh.height + 1)}

    def send(self, packet: Packet) -> None:
        """Inject a packet at the host's port and run: until nothing moves, or for a while."""
        self._post(packet)
        if self.disorder is None:
            self.settle()
            return
        for _ in range(self.disorder.randrange(2 * ADVANCES_PER_PACKET)):
            self.advance()

    def settle(self) -> None:
        """Deliver and execute until nothing moves."""
        while self.advance():
            pass

    def advance(self) -> bool:
        """Deliver one packet or let one core go on; false if nothing moves any more."""
        if self.disorder is None:
            if not self._network:
                return False
            self._deliver(*self._network.popleft())
            return True
        choices = len(self._flows) + len(self._awake)
        if not choices:
            return False
        choice = self.disorder.randrange(choices)
        if choice < len(self._flows):
            key = [*self._flows][choice]
            packet = self._flows[key].popleft()
            if not self._flows[key]:
                del self._flows[key]
            self._deliver(key[1], packet)
            return True
        place = self._awake[choice - len(self._flows)]
        if not self._at(place).advance(self.disorder):
            self._awake.remove(place)
        return True

    def _at(self, place: Place) -> GoldenCore | PoolEnd:
        found = self.cores.get(place) or self.pools.get(place)
        if found is None:
            raise CoreError(f"packet to {place} must name a core, a pool or the host's port")
        return found

    def _post(self, packet: Packet) -> None:
        header = packet.header
        source = header["src_x"], header["src_y"]
        if self.watch is not None and header["kind"] == Kind.DATA and source in self.cores:
            self.watch(packet, *self.cores[source].sending)
        for place in self.receivers(packet):
            if self.disorder is None:
                self._network.append((place, packet))
            else:
                self._flows.setdefault((source, place, header["vc"]), deque()).append(packet)

    def _deliver(self, place: Place, packet: Packet) -> None:
        if place == self.machine.host:
            self.to_host.append(packet)
            return
        core = self._at(place)
        core.receive(packet)
        if packet.header["kind"] == Kind.WRITE and packet.header["unit"] in ROUTER_UNITS:
            self._read_routers()
        if self.disorder is None:
            core.run()
        elif place not in self._awake:
            self._awake.append(place)

    def receivers(self, packet: Packet) -> list[Place]:
        """Cores, or the host's port, that a packet reaches."""
        header = packet.header
        if not header["label"]:
            place = header["dst_x"], header["dst_y"]
            if self._routers is not None:
                self._check_way(header, place)
            return [place]
        source = header["src_x"], header["src_y"]
        found, open_places = [], [entrance(source, self.machine.mesh)]
        while open_places:
            x, y = open_places.pop()
            ports = self.cores[x, y].tables.entry(
                Unit.LABEL, header["label"], LABEL_ENTRY)["ports"]
            if self._routers is not None and ports & self._routers.dead_ports.get((x, y), 0):
                raise CoreError(f"label {header['label']} must lead by no dead port of router "
                                f"{(x, y)}")
            if ports >> Port.LOCAL & 1:
                found.append((x, y))
            open_places += [port.beyond((x, y)) for port in MESH_PORTS
                            if ports >> port & 1]
        return found

    def _read_routers(self) -> None:
        """Routers were written: what they know now, and no way is known to be good any more."""
        found: dict[int, dict[Place, dict[int, int]]] = {unit: {} for unit in ROUTER_UNITS}
        for place, core in self.cores.items():
            for unit in ROUTER_UNITS:
                if table := core.tables.written(unit):
                    found[unit][place] = table
        self._routers = RouterTables(
            dead_ports={place: table[0] for place, table in found[Unit.ROUTER].items()},
            dies=_lists(found[Unit.DIES]), cores=_lists(found[Unit.CORES]))
        self._good.clear()

    def _check_way(self, header: Mapping[str, int], place: Place) -> None:
        """Follow a unicast packet as routers do; only live ports may be on its way."""
        assert self._routers is not None
        noc, way = self.machine.noc, (header["way_x"], header["way_y"])
        source = header["src_x"], header["src_y"]
        table = bool(noc.class2_vcs) and noc.transit_vc <= header["vc"] < noc.control_vc
        key = source, place, way, table
        if key not in self._good:
            last = class_path(source, place, way, 2 if table else 0, self.machine.mesh,
                              self._routers)[-1]
            end = last.at if last.port is None or last.port is Port.LOCAL else neighbour(
                last.at, last.port)
            if last.port is None or end != place:
                raise CoreError(f"packet from {source} to {place} by way of {way} must pass no "
                                f"dead port: it ends at router {last.at}")
            self._good.add(key)


def _lists(tables: Mapping[Place, Mapping[int, int]]) -> dict[Place, list[int]]:
    """Tables of routers with zeros where nothing was written."""
    return {place: [table.get(n, 0) for n in range(max(table) + 1)]
            for place, table in tables.items()}


class GoldenLink:
    """A Link on the golden machine; see ``sw.runtime.link.Link`` and ``GoldenMachine``."""

    def __init__(self, machine: Machine, *, pools: Sequence[PoolStage] = (),
                 disorder: random.Random | None = None):
        self.golden = GoldenMachine(machine, pools=pools, disorder=disorder)

    async def reset(self) -> None:
        """Another machine of the same cores, without a program and without pools."""
        self.golden = GoldenMachine(self.golden.machine, disorder=self.golden.disorder)

    async def send(self, packets: list[Packet]) -> None:
        """Inject packets in order."""
        for packet in packets:
            self.golden.send(packet)

    async def recv(self) -> Packet:
        """Take the next packet that reached the host.

        Raises
        ------
        CoreError
            If there is none: nothing moves any more, so none will ever come.
        """
        while not self.golden.to_host and self.golden.advance():
            pass
        if not self.golden.to_host:
            raise CoreError("the machine is idle and has sent nothing to the host")
        return self.golden.to_host.popleft()

    async def wait(self, cycles: int) -> None:
        """Golden models have no clock, so nothing passes."""

    @property
    def cycles(self) -> int | None:
        """Golden models have no clock."""
        return None
