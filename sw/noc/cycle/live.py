"""The mesh of a machine at work: others say what is sent, cycle by cycle, and hear what arrives."""

import heapq
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from ouroboros.hw.params.machine import MeshParams
from ouroboros.hw.params.noc import NocParams
from ouroboros.hw.params.packet import Port
from ouroboros.hw.params.position import Position
from ouroboros.hw.params.timing.network import CORE_LOOP_CYCLES
from ouroboros.sw.noc.cycle.flits import made
from ouroboros.sw.noc.cycle.loop import EJECT_CYCLES, advance
from ouroboros.sw.noc.cycle.state import (
    ASKS,
    BEGIN,
    CONTROL,
    CREDIT_CYCLES,
    CYCLE,
    END,
    FIRST,
    FLIT_CYCLES,
    HEADER,
    LOGGED,
    PORTS,
    SINK,
    SLOTS,
    TAIL,
    UNUSED,
    WENT,
    State,
    new_state,
    with_packets,
)
from ouroboros.sw.noc.experiment.options import LabOptions, Traffic
from ouroboros.sw.noc.routes.xy import entrance

__all__ = ["FIRST_CYCLES", "Event", "LiveMesh", "Seen"]

Link = tuple[Position, Port]
FIRST_CYCLES = 1
"""From a source's grant of a flit to the flit on the link into the first router."""
PACKETS, LABELS = 4096, 16
"""Room in the beginning; both grow."""


class Event(IntEnum):
    """What happens to a packet."""

    WENT = WENT
    """Its last flit has left the source."""
    HEADER = HEADER
    """Its header is on the link into a receiver."""
    TAIL = TAIL
    """Its last flit is."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Something that happened to a packet."""

    event: Event
    packet: int
    """Its number, as ``send`` gave it."""
    at: Position
    """The source, or a receiver."""
    cycle: int
    """Of the source's grant, or of the flit on the link into the receiver."""
    lag: int
    """Cycles for which the flit waits in the queue of the receiving core: for its look-up, or
    behind a header without a gap."""


class LiveMesh:
    """Routers, links, buffers and credits of a mesh, as model (a) has them, and its edge ports.

    Channels are those of class 0 and the control channel: packets with waypoints are not for it.

    Parameters
    ----------
    noc, mesh : NocParams, MeshParams
        Of the machine.
    edges : sequence of Position
        Edge ports where packets come from and go to.
    core_loop_cycles : int
        From a header's grant into a core to a flit that spends the credit that it gives back.
    """

    def __init__(self, noc: NocParams, mesh: MeshParams, edges: Sequence[Position], *,
                 core_loop_cycles: int = CORE_LOOP_CYCLES):
        self._mesh = mesh
        options = LabOptions(noc=noc, mesh=mesh, traffic=Traffic(rate=0.0), warmup_cycles=0,
                             measure_cycles=1)
        self._nodes = {at: n for n, at in enumerate(mesh.coordinates)}
        sides = []
        for n, edge in enumerate(edges, mesh.cores):
            self._nodes[edge] = n
            router = entrance(edge, mesh)
            side = next(port for port in Port if port is not Port.LOCAL
                        and port.beyond(router) == edge)
            sides.append((self._nodes[router], side))
        self._positions = {n: position for position, n in self._nodes.items()}
        state = new_state(options, sides, control=True)
        cores = np.arange(mesh.cores) * PORTS + SINK
        # What does not wait behind a header is consumed a cycle sooner.
        state.port[cores, CREDIT_CYCLES] = core_loop_cycles - EJECT_CYCLES - 1
        state.node[:mesh.cores, ASKS] = 1
        slots = 1 << int(state.port[:, [FLIT_CYCLES, CREDIT_CYCLES]].max() + 1).bit_length()
        state.settings[SLOTS] = slots
        nodes, ports = len(state.node), len(state.port)
        # Nothing is measured; every packet may be multicast.
        state.settings[[BEGIN, END]] = 0
        self._log = np.zeros((4 * nodes, 5), np.int32)
        self._state: State = with_packets(state._replace(
            arrivals=np.zeros(slots, np.int32), arrival=np.zeros((slots, ports, 3), np.int32),
            refunds=np.zeros(slots, np.int32), refund=np.zeros((slots, ports, 2), np.int32),
            masks=np.zeros((LABELS, nodes), np.int32),
            copying=np.zeros((len(state.channel), 8), np.int32),
            log=self._log), PACKETS)
        self._labels: dict[tuple[Link, ...], int] = {}
        self._numbers = itertools.count()
        self._waiting: list[tuple[int, ...]] = []
        self._rows: dict[int, tuple[int, int]] = {}
        """By row of the state: number of the packet, and copies that have not arrived."""
        self._quiet = 0
        """From when on nothing is under way, credits included."""

    @property
    def cycle(self) -> int:
        """The next one."""
        return int(self._state.scalars[CYCLE])

    def send(self, cycle: int, source: Position, targets: Sequence[Position],
             links: Sequence[Link], flits: int, *, control: bool = False) -> int:
        """A packet that joins the queue of its source in a cycle; returns its number.

        Parameters
        ----------
        cycle : int
            Not before ``cycle`` of the mesh.
        links : sequence of Link
            Router outputs of its tree, or of its way.
        flits : int
            Header included; at most ``multicast_flits`` to more than one receiver.
        control : bool
            A packet of one flit on the control channel.
        """
        number = next(self._numbers)
        label, destination = 0, -1
        if len(targets) == 1:
            destination = self._nodes[targets[0]]
        else:
            label = self._label(tuple(sorted(set(links))))
        heapq.heappush(self._waiting, (cycle, number, self._nodes[source], destination, flits,
                                       label, len(targets), CONTROL if control else FIRST))
        return number

    def advance(self, until: int) -> Iterator[Seen]:
        """Run until a cycle, or to the end of the first in which something happens, which is told.

        Parameters
        ----------
        until : int
            The next cycle afterwards, if nothing happens.
        """
        scalars = self._state.scalars
        while self.cycle < until:
            self._make()
            stop = min(until, self._waiting[0][0]) if self._waiting else until
            if not self._rows and self.cycle >= self._quiet:
                scalars[CYCLE] = stop
                continue
            advance(self._state, stop if self._rows else min(stop, self._quiet))
            if scalars[LOGGED]:
                break
        else:
            return
        for what, row, node, cycle, lag in self._log[:scalars[LOGGED]].tolist():
            number, copies = self._rows[row]
            if what == TAIL:
                if copies > 1:
                    self._rows[row] = number, copies - 1
                else:
                    del self._rows[row]
                    self._quiet = self.cycle + int(self._state.settings[SLOTS])
            yield Seen(Event(what), number, self._positions[node], cycle, lag)

    @property
    def busy(self) -> bool:
        """Whether any packet is under way or waits for its cycle."""
        return bool(self._rows or self._waiting)

    def _make(self) -> None:
        """Packets whose cycle has come."""
        while self._waiting and self._waiting[0][0] <= self.cycle:
            cycle, number, source, destination, flits, label, copies, queue = heapq.heappop(
                self._waiting)
            s = self._state
            if not s.scalars[UNUSED]:
                s = self._state = with_packets(s, len(s.packet))
            row = int(s.unused[s.scalars[UNUSED] - 1])
            made(s.scalars, s.settings, s.node, s.packet, s.unused, cycle, source, destination,
                 flits, -1, label, copies, queue)
            self._rows[row] = number, copies

    def _label(self, links: tuple[Link, ...]) -> int:
        if links not in self._labels:
            number = self._labels[links] = len(self._labels) + 1
            s = self._state
            if number == len(s.masks):
                s = self._state = s._replace(masks=np.concatenate([s.masks, 0 * s.masks]))
            for router, port in links:
                s.masks[number, self._nodes[router]] |= 1 << port
        return self._labels[links]
