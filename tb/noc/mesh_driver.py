"""Drives and watches all ports of ``tb.noc.mesh_top.MeshTop`` from one coroutine."""

from collections import Counter, deque
from collections.abc import Callable

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge

from ouroboros.hw.noc.link import flit_layout
from ouroboros.hw.params.machine import MeshParams
from ouroboros.hw.params.noc import NocParams
from ouroboros.hw.params.packet import Port
from ouroboros.hw.params.position import Position
from ouroboros.sw.noc.routes.xy import path, tree
from ouroboros.tb.noc.mesh_top import edge_ports
from ouroboros.tb.noc.packets import Flit, Sink, header_of

__all__ = ["MeshDriver"]

SILENCE = 400


class MeshDriver:
    """Queues packets at places, checks what comes out of every place.

    Every copy must come out once, at the right place, with every bit intact, in order for each
    (source, destination, virtual channel). The source is told by the header's ``src_x``, ``src_y``.
    """

    def __init__(self, dut, noc: NocParams, mesh: MeshParams):
        self.dut, self.noc, self.mesh = dut, noc, mesh
        self.places: list[Position] = [
            *((x, y) for y in range(1, mesh.height + 1) for x in range(1, mesh.width + 1)),
            *edge_ports(mesh.width, mesh.height)]
        self.number = {place: n for n, place in enumerate(self.places)}
        self.bits = flit_layout(noc).size
        # ``pick`` chooses the next packet's channel among those that have one.
        self.queues: list[list[deque[list[Flit]]]] = [
            [deque() for _ in range(noc.channels)] for _ in self.places]
        self.sinks = [Sink() for _ in self.places]
        self.expected: dict[tuple[Position, Position, int], deque[list[Flit]]] = {}
        self.left = 0
        self.checked = 0
        self.hops = Counter()
        self.expected_hops = Counter()
        self.dropped = 0
        self.cycle = 0
        self.sent_at: dict[int, int] = {}   # cycle of each packet's head, by serial
        self.came_at: dict[int, int] = {}   # cycle of its (last) tail
        self._now: list[deque[Flit]] = [deque() for _ in self.places]
        self._held = [False] * len(self.places)  # a flit is offered: it must stay
        self._moved = 0                          # last cycle with a flit anywhere
        self.idle: Callable[[Position], bool] = lambda place: False
        self.ready: Callable[[Position], bool] = lambda place: True
        self.pick: Callable[[list[int]], int] = min

    async def reset(self) -> None:
        dut = self.dut
        for name in ("i_valid", "i_payload", "o_ready", "config__valid", "config_at",
                     "config__table", "config__address", "config__data"):
            getattr(dut, name).value = 0
        dut.rst.value = 1
        cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
        for _ in range(3):
            await RisingEdge(dut.clk)
        dut.rst.value = 0
        await RisingEdge(dut.clk)

    async def write_labels(self, entries: dict[Position, dict[int, int]]) -> None:
        """Fill label tables."""
        dut = self.dut
        dut.config__valid.value = 1
        for place, table in entries.items():
            dut.config_at.value = self.number[place]
            for label, ports in table.items():
                dut.config__address.value = label
                dut.config__data.value = ports
                await RisingEdge(dut.clk)
        dut.config__valid.value = 0

    def send(self, flits: list[Flit], *, destinations: list[Position] | None = None) -> None:
        """Queue a packet at its source; ``destinations`` unless it is unicast."""
        header = header_of(flits[0])
        source = header["src_x"], header["src_y"]
        if destinations is None:
            destinations = [(header["dst_x"], header["dst_y"])]
            used = [port for _, port in path(source, destinations[0], self.mesh)]
        else:
            used = [port for mask in tree(source, destinations, self.mesh).values()
                    for port in Port if mask >> port & 1]
        vc = flits[0].vc
        self.expected_hops[vc == self.noc.control_vc] += len(flits) * sum(
            port is not Port.LOCAL for port in used)
        for destination in destinations:
            self.expected.setdefault((source, destination, vc), deque()).append(flits)
            self.left += 1
        self.queues[self.number[source]][vc].append(flits)

    def send_wrong(self, source: Position, flits: list[Flit]) -> None:
        """Queue flits that must disappear."""
        self.queues[self.number[source]][flits[0].vc].append(flits)

    async def step(self) -> None:
        """One cycle: drive, let it settle, look."""
        dut = self.dut
        valid = payload = ready = 0
        for n, place in enumerate(self.places):
            if not self._now[n]:
                able = [vc for vc, queue in enumerate(self.queues[n]) if queue]
                if able:
                    self._now[n].extend(self.queues[n][self.pick(able)].popleft())
            if self._now[n] and (self._held[n] or not self.idle(place)):
                self._held[n] = True
                valid |= 1 << n
                payload |= self._word(self._now[n][0]) << n * self.bits
            ready |= int(self.ready(place)) << n
        dut.i_valid.value = valid
        if valid:
            dut.i_payload.value = payload
        dut.o_ready.value = ready
        await FallingEdge(dut.clk)

        sent = valid & int(dut.i_ready.value) if valid else 0
        came = ready & int(dut.o_valid.value)
        words = int(dut.o_payload.value) if came else 0
        self.hops[False] += int(dut.hops_data.value)
        self.hops[True] += int(dut.hops_control.value)
        self.dropped += int(dut.dropped.value)
        if sent or came:
            self._moved = self.cycle
        for n, place in enumerate(self.places):
            if sent >> n & 1:
                self._held[n] = False
                flit = self._now[n].popleft()
                if flit.head:
                    self.sent_at[header_of(flit)["spare"]] = self.cycle
            if came >> n & 1:
                self._take(place, words >> n * self.bits & (1 << self.bits) - 1)
        await RisingEdge(dut.clk)
        self.cycle += 1

    async def finish(self) -> None:
        """Run until every expected packet has come; then nothing more may come.

        Fails when no flit has moved at any port for ``SILENCE`` cycles.
        """
        self._moved = self.cycle
        while self.left:
            assert self.cycle - self._moved < SILENCE, (
                f"{self.left} packets are missing and nothing moves:\n{self._open()}")
            await self.step()
        for _ in range(20):
            await self.step()
        assert self.checked, "nothing was checked"
        assert not any(sink.open for sink in self.sinks), "part of a packet came out"
        assert self.hops == self.expected_hops, (
            f"hop counts {self.hops} must be {self.expected_hops}")

    def _word(self, flit: Flit) -> int:
        vc_bits = self.bits - self.noc.flit_bits - 2
        return (flit.data | flit.vc << self.noc.flit_bits
                | (flit.head | flit.tail << 1) << self.noc.flit_bits + vc_bits)

    def _take(self, place: Position, word: int) -> None:
        data = word & (1 << self.noc.flit_bits) - 1
        word >>= self.noc.flit_bits
        vc_bits = self.bits - self.noc.flit_bits - 2
        flit = Flit(data, word & (1 << vc_bits) - 1, word >> vc_bits & 1, word >> vc_bits + 1 & 1)
        flits = self.sinks[self.number[place]].take(flit)
        if flits is None:
            return
        header = header_of(flits[0])
        key = (header["src_x"], header["src_y"]), place, flits[0].vc
        assert self.expected.get(key), f"unexpected packet {header} at {place}"
        want = self.expected[key].popleft()
        assert flits == want, f"{key}: got {flits}, expected {want}"
        self.left -= 1
        self.checked += 1
        self.came_at[header["spare"]] = self.cycle

    def _open(self) -> str:
        return "\n".join(f"{key}: {len(packets)}" for key, packets in self.expected.items()
                         if packets)
