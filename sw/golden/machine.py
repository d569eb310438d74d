"""Golden model of the whole machine: cores joined by a network without time."""

import random
from collections import deque

from hw.params.machine import Machine
from hw.params.packet import LABEL_ENTRY, Port, Unit
from sw.golden.core.core import CoreError, GoldenCore
from sw.golden.core.ni import Packet

__all__ = ["GoldenLink", "GoldenMachine"]

Place = tuple[int, int]

STEPS = {Port.NORTH: (0, -1), Port.EAST: (1, 0), Port.SOUTH: (0, 1), Port.WEST: (-1, 0)}
ADVANCES_PER_PACKET = 4
"""Steps that a machine in disorder takes, on average, while the host sends a packet."""


class GoldenMachine:
    """Every core of a mesh.

    Parameters
    ----------
    machine : Machine
        Sizes.
    disorder : random.Random, optional
        Without it packets arrive in the order in which they were sent, and each is worked off at
        once. With it everything that hardware may do in any order is done in random order: packets
        of different flows arrive, and cores and tokens go on, as they may, not as it would be
        convenient. Whatever is true of the machine has to be true of both.
    """

    def __init__(self, machine: Machine, *, disorder: random.Random | None = None):
        self.machine, self.disorder = machine, disorder
        self.to_host: deque[Packet] = deque()
        # By source, receiver and virtual channel: what the network keeps in order.
        self._flows: dict[tuple[Place, Place, int], deque[Packet]] = {}
        self._network: deque[tuple[Place, Packet]] = deque()
        self._awake: list[Place] = []
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
        if not self.cores[place].advance(self.disorder):
            self._awake.remove(place)
        return True

    def _post(self, packet: Packet) -> None:
        header = packet.header
        source = header["src_x"], header["src_y"]
        for place in self._receivers(packet):
            if self.disorder is None:
                self._network.append((place, packet))
            else:
                self._flows.setdefault((source, place, header["vc"]), deque()).append(packet)

    def _deliver(self, place: Place, packet: Packet) -> None:
        if place == self.machine.host:
            self.to_host.append(packet)
            return
        core = self.cores.get(place)
        if core is None:
            raise CoreError(f"packet to {place} must name a core or the host's port")
        core.receive(packet)
        if self.disorder is None:
            core.run()
        elif place not in self._awake:
            self._awake.append(place)

    def _receivers(self, packet: Packet) -> list[Place]:
        header = packet.header
        if not header["label"]:
            return [(header["dst_x"], header["dst_y"])]
        found, open_places = [], [(header["src_x"], header["src_y"])]
        while open_places:
            x, y = open_places.pop()
            entry = self.cores[x, y].tables[Unit.LABEL][header["label"]]
            ports = LABEL_ENTRY.unpack(entry)["ports"]
            if ports >> Port.LOCAL & 1:
                found.append((x, y))
            open_places += [(x + dx, y + dy) for port, (dx, dy) in STEPS.items()
                            if ports >> port & 1]
        return found


class GoldenLink:
    """A Link on the golden machine; see ``sw.runtime.link.Link`` and ``GoldenMachine``."""

    def __init__(self, machine: Machine, *, disorder: random.Random | None = None):
        self.golden = GoldenMachine(machine, disorder=disorder)

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

    @property
    def cycles(self) -> int | None:
        """Golden models have no clock."""
        return None
