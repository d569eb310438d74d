"""A Link on the machine under test, through its host port."""

import random
from collections import deque
from typing import Any, NamedTuple

import cocotb
from cocotb.queue import Queue
from cocotb.triggers import (
    ClockCycles,
    Event,
    FallingEdge,
    First,
    ReadOnly,
    RisingEdge,
    Timer,
)
from cocotb.utils import get_sim_time

from ouroboros.hw.noc.link import flit_layout
from ouroboros.hw.params.machine import Machine
from ouroboros.sw.program.packets import Flit, Packet, packets_of
from ouroboros.tb.lib.stream import pack, unpack

__all__ = ["PERIOD_NS", "RESET_CYCLES", "SimLink"]

PERIOD_NS = 2
"""Clock period of the benches."""
RESET_CYCLES = 4
HOLDS_CYCLES = (1, 4, 80)
"""How long a host that stalls takes nothing; in the longest, idle cores stop their clocks."""


class _Stream(NamedTuple):
    """Signals of a stream of flits."""

    payload: Any
    valid: Any
    ready: Any


class SimLink:
    """See ``sw.runtime.link.Link``.

    The driver wakes on a clock edge only while it has flits to send, the monitor only while flits
    arrive, so that the simulator runs on its own in between.

    Parameters
    ----------
    dut
        The ``hw.mesh.die.Die`` under test.
    machine : Machine
        Its parameters.
    stall : float
        How often the host does not take a flit that the machine offers.
    port : int
        Which of the machine's host ports: 0 is the host's, others those of ``mesh.more_hosts``.
    """

    def __init__(self, dut, machine: Machine, *, stall: float = 0.0, port: int = 0):
        self._dut, self._stall = dut, stall
        self._in, self._out = (_Stream(*(getattr(dut, f"host{port or ''}_{way}__{member}")
                                         for member in ("payload", "valid", "ready")))
                               for way in ("i", "o"))
        self._hold = self._moved = 0
        self._layout = flit_layout(machine.noc)
        self._sending: deque[int] = deque()
        self._wake: Queue[None] = Queue()
        self._received: Queue[Packet] = Queue()
        self._open: dict[int, list[Flit]] = {}
        self._came = Event()
        self._in.valid.value = 0
        self._out.ready.value = 1
        cocotb.start_soon(self._drive())
        cocotb.start_soon(self._monitor())

    async def send(self, packets: list[Packet]) -> None:
        """Queue packets; the driver sends them flit by flit."""
        for packet in packets:
            for flit in packet.flits():
                self._sending.append(pack(self._layout, {
                    "data": flit.data, "vc": flit.vc, "head": int(flit.head),
                    "tail": int(flit.tail)}))
        self._wake.put_nowait(None)

    async def recv(self) -> Packet:
        """Wait for the next whole packet."""
        return await self._received.get()

    async def wait(self, cycles: int) -> None:
        """Let cycles pass in which nothing has to pass the host's port."""
        if cycles > 0:
            self._moved = self.cycles + cycles
            await Timer(cycles * PERIOD_NS, "ns")

    async def recv_until(self, cycle: int) -> Packet | None:
        """Wait for the next whole packet, or until a cycle: then None."""
        while self._received.empty():
            left = cycle - self.cycles
            if left <= 0:
                return None
            self._came.clear()
            await First(self._came.wait(), Timer(left * PERIOD_NS, "ns"))
        return self._received.get_nowait()

    async def reset(self) -> None:
        """Reset the machine; forget what was to be sent and what has come."""
        self._dut.rst.value = 1
        self._sending.clear()
        await ClockCycles(self._dut.clk, RESET_CYCLES)
        self._open.clear()
        while not self._received.empty():
            self._received.get_nowait()
        self._dut.rst.value = 0

    @property
    def cycles(self) -> int:
        """Clock cycles since the start of the simulation."""
        return int(get_sim_time("ns")) // PERIOD_NS

    @property
    def moved(self) -> int:
        """Cycle in which the last flit passed the host's port, in or out."""
        return self._moved

    async def watch(self, limit_cycles: int) -> None:
        """Fail when no flit has passed the host's port, in or out, for so many cycles."""
        while True:
            left = self._moved + limit_cycles - self.cycles
            assert left > 0, (f"nothing has passed the host's port for {limit_cycles} cycles, up "
                              f"to cycle {self.cycles}: a packet or a credit is lost")
            await Timer(left * PERIOD_NS, "ns")

    async def _drive(self) -> None:
        dut = self._dut
        while True:
            await self._wake.get()
            while self._sending:
                self._in.payload.value = self._sending[0]
                self._in.valid.value = 1
                await ReadOnly()
                ready = self._in.ready.value == 1
                await RisingEdge(dut.clk)
                if ready and self._sending:
                    self._sending.popleft()
                    self._moved = self.cycles
            self._in.valid.value = 0

    async def _monitor(self) -> None:
        dut = self._dut
        while True:
            # Sampled at the falling edge: outputs are registered and have settled.
            if self._out.valid.value != 1:
                await RisingEdge(self._out.valid)
            await FallingEdge(dut.clk)
            while self._out.valid.value == 1:
                refused = self._refuses()
                if self._stall:
                    self._out.ready.value = int(not refused)
                if not refused:
                    view = unpack(self._layout, int(self._out.payload.value))
                    self._flit(Flit(int(view.data), int(view.vc), bool(view.head), bool(view.tail)))
                await FallingEdge(dut.clk)

    def _refuses(self) -> bool:
        if not self._hold and random.random() < self._stall:
            self._hold = random.choice(HOLDS_CYCLES)
        refused = self._hold > 0
        self._hold -= refused
        return refused

    def _flit(self, flit: Flit) -> None:
        self._moved = self.cycles
        held = self._open.setdefault(flit.vc, [])
        held.append(flit)
        if flit.tail:
            for packet in packets_of(self._open.pop(flit.vc)):
                self._received.put_nowait(packet)
                self._came.set()
