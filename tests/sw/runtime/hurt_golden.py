"""The golden machine with faults: what is sent over a dead link or into a dead core is gone."""

import random
from collections import deque

from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import (
    FAULT_ADDRESS,
    FAULT_ENTRY,
    LABEL_ENTRY,
    MESH_PORTS,
    Kind,
    Port,
    Unit,
)
from ouroboros.sw.golden.machine import GoldenMachine
from ouroboros.sw.noc.routes.xy import path
from ouroboros.sw.program.packets import Packet, reply_packet

SENT_CYCLES = 10
"""Time that a packet or a step takes, to have a clock."""


class HurtMachine(GoldenMachine):
    """Tiles have the register ``FAULT_ENTRY`` and answer reads; a reset spares what RTL's does."""

    def __init__(self, machine: Machine, rng: random.Random):
        super().__init__(machine, disorder=rng)
        self.stuck: dict[tuple[int, int], int] = {}
        self.lost = 0

    def _passes(self, at, port):
        there = port.beyond(at)
        return not (self.stuck.get(at, 0) >> port & 1 or (
            port is not Port.LOCAL and self.stuck.get(there, 0) >> port.opposite & 1))

    def _post(self, packet: Packet) -> None:
        header, reached = packet.header, []
        source, place = ((header[f"{end}_x"], header[f"{end}_y"]) for end in ("src", "dst"))
        mesh, way = self.machine.mesh, (header["way_x"], header["way_y"])
        if source in self.cores and not self._passes(source, Port.LOCAL):
            self.lost += 1
            return
        if header["label"]:
            reached = self._copies(source, header["label"])
        else:
            hops = (path(source, place, mesh) if way == (0, 0) else
                    [*path(source, way, mesh)[:-1], *path(way, place, mesh)])
            if all(self._passes(*hop) for hop in hops):
                super().receivers(packet)      # it must not pass what routers know to be dead
                reached = [place]
        self.lost += not reached
        for place in reached:
            self._flows.setdefault((source, place, header["vc"]), deque()).append(packet)

    def _copies(self, source, label):
        reached, open_ = [], [source]
        while open_:
            at = open_.pop()
            ports = self.cores[at].tables.entry(Unit.LABEL, label, LABEL_ENTRY)["ports"]
            good = [port for port in Port if ports >> port & 1 and self._passes(at, port)]
            self.lost += ports.bit_count() - len(good)
            reached += [at] * (Port.LOCAL in good)
            open_ += [port.beyond(at) for port in MESH_PORTS if port in good]
        return reached

    def _deliver(self, place, packet):
        header = packet.header
        if header["kind"] == Kind.READ:
            self._post(reply_packet(
                self.machine, 0, src=place, dst=(header["src_x"], header["src_y"]),
                unit=header["unit"], address=header["address"],
                way=(header["back_x"], header["back_y"])))
        elif (header["kind"], header.get("unit"), header.get("address")) == (
                Kind.WRITE, Unit.CONTROL, FAULT_ADDRESS):
            self.stuck[place] = FAULT_ENTRY.unpack(packet.payload[0])["stuck"]
        else:
            super()._deliver(place, packet)

    def reset(self):
        """Packets, tokens and registers are gone; memories and KV stay."""
        self.to_host.clear()
        self._flows.clear()
        self._awake.clear()
        self._routers = None
        self._good.clear()
        for core in self.cores.values():
            core.slots.clear()
            core.credits = [0] * len(core.credits)
            core._sums = core.array.owner = None
            core.array._operands[:] = 0
            for unit in (Unit.STAGE, Unit.ROUTER):
                core.tables._raw.pop(unit, None)
            core.tables._entries.clear()


class HurtLink:
    """A ``ClockedLink``."""

    def __init__(self, machine: Machine, seed: int):
        self.golden = HurtMachine(machine, random.Random(seed))
        self.cycles = self.moved = 0

    async def send(self, packets):
        for packet in packets:
            self.golden.send(packet)
            self.cycles += SENT_CYCLES
            self.moved = self.cycles

    async def recv(self):
        while True:
            if (packet := await self.recv_until(self.cycles + SENT_CYCLES)) is not None:
                return packet

    async def recv_until(self, cycle):
        while not self.golden.to_host and self.cycles < cycle and self.golden.advance():
            self.cycles += 1
        if not self.golden.to_host:
            self.cycles = max(self.cycles, cycle)
            return None
        self.moved = self.cycles
        return self.golden.to_host.popleft()

    async def reset(self):
        self.golden.reset()
        self.cycles += SENT_CYCLES
