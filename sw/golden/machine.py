"""Golden model of the whole machine: cores joined by a network that delivers at once."""

from collections import deque

from hw.params.machine import Machine
from hw.params.packet import LABEL_ENTRY, Port, Unit
from sw.golden.core.core import CoreError, GoldenCore
from sw.golden.core.ni import Packet

__all__ = ["GoldenLink", "GoldenMachine"]

STEPS = {Port.NORTH: (0, -1), Port.EAST: (1, 0), Port.SOUTH: (0, 1), Port.WEST: (-1, 0)}


class GoldenMachine:
    """Every core of a mesh; packets arrive in the order in which they were sent."""

    def __init__(self, machine: Machine):
        self.machine = machine
        self.to_host: deque[Packet] = deque()
        self._network: deque[Packet] = deque()
        self.cores = {(x, y): GoldenCore(machine, (x, y), self._network.append)
                      for x in range(1, machine.mesh.width + 1)
                      for y in range(1, machine.mesh.height + 1)}

    def send(self, packet: Packet) -> None:
        """Inject a packet at the host's port and run until nothing moves."""
        self._network.append(packet)
        self.settle()

    def settle(self) -> None:
        """Deliver and execute until nothing moves."""
        while self._network:
            packet = self._network.popleft()
            for place in self._receivers(packet):
                if place == self.machine.host:
                    self.to_host.append(packet)
                    continue
                core = self.cores.get(place)
                if core is None:
                    raise CoreError(f"packet to {place} must name a core or the host's port")
                core.receive(packet)
                core.run()

    def _receivers(self, packet: Packet) -> list[tuple[int, int]]:
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
    """A Link on the golden machine; see ``sw.runtime.link.Link``."""

    def __init__(self, machine: Machine):
        self.golden = GoldenMachine(machine)

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
        if not self.golden.to_host:
            raise CoreError("the machine is idle and has sent nothing to the host")
        return self.golden.to_host.popleft()

    @property
    def cycles(self) -> int | None:
        """Golden models have no clock."""
        return None
