"""Pools at the host ports of a machine under test: golden ranks behind RTL, with time."""

from collections import deque

import cocotb
from cocotb.triggers import Event

from ouroboros.hw.params.position import Position
from ouroboros.sw.golden.pool_end import PoolEnd, pool_ends
from ouroboros.sw.program.packets import Packet
from ouroboros.sw.program.program import Program
from ouroboros.sw.tier.pool_side import link
from ouroboros.sw.tier.technology import load_technology
from ouroboros.tb.lib.link import SimLink

__all__ = ["attach"]

CYCLE_NS = 1.0
"""Of the wafer: the 1 GHz at which an edge port has 32 GB/s (``sw/tier/edge.toml``)."""


class _Agent:
    """Takes packets at a port, lets the pool work, and sends what it says when that is due.

    The pool works off packets in their order; what it sends waits for the clocks that scores and
    sums take in a rank (``hw.params.timing.pim``), and for the link both ways.
    """

    def __init__(self, dut, program: Program, end: PoolEnd):
        mesh = program.machine.mesh
        self.link = SimLink(dut, program.machine, port=mesh.hosts.index(end.place))
        self.end = end
        self._said: list[Packet] = []
        end.connect(self._said.append)
        self._due: deque[tuple[int, list[Packet]]] = deque()
        self._more = Event()
        # The link's time is there and back.
        self._way = round(link().link_us.mid * 1e3 / 2 / CYCLE_NS)
        self._clock = load_technology("ddr4-3200")[0].of("clock_ns") / CYCLE_NS
        cocotb.start_soon(self._take())
        cocotb.start_soon(self._answer())

    async def _take(self) -> None:
        free = 0
        while True:
            packet = await self.link.recv()
            if self.end.lost:
                continue
            before = self.end.rank.clocks
            self.end.receive(packet)
            self.end.run()
            work = round((self.end.rank.clocks - before) * self._clock)
            free = max(free, self.link.cycles + self._way) + work
            if self._said:
                self._due.append((free + self._way, [*self._said]))
                self._said.clear()
                self._more.set()

    async def _answer(self) -> None:
        while True:
            while self._due:
                due, packets = self._due.popleft()
                await self.link.wait(due - self.link.cycles)
                if not self.end.lost:
                    await self.link.send(packets)
            self._more.clear()
            await self._more.wait()


def attach(dut, program: Program) -> dict[Position, PoolEnd]:
    """Connect the pools of a program to the machine that will run it."""
    ends = pool_ends(program.machine, program.pools, lambda packet: None)
    for end in ends.values():
        _Agent(dut, program, end)
    return ends
