"""The machine at work with its routers: a vector is flits in buffers, and who sends it waits.

Routers, links, buffers and credits are those of ``sw.noc.cycle``, which is equal to RTL. The send
unit is busy until its last flit is gone, and a multicast needs credits for a whole packet at every
branch, which what is behind it waits for, too. CREDITs travel on a channel of their own and share
links with data.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

from ouroboros.hw.params.noc import PAYLOAD_FLITS_MAX
from ouroboros.hw.params.position import Position
from ouroboros.hw.params.timing.control import ACCEPT_CYCLES, ISSUE_CYCLES
from ouroboros.hw.params.timing.network import (
    COUNT_CYCLES,
    CREDIT_IN_CYCLES,
    CREDIT_OUT_CYCLES,
    GAP_CYCLES,
    HOST_CYCLES,
    LEAVE_CYCLES,
    LOOKUP_CYCLES,
)
from ouroboros.sw.noc.cycle.live import FIRST_CYCLES, Event, LiveMesh, Seen
from ouroboros.sw.perf.core_queue import Core, Work
from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.perf.host import Host
from ouroboros.sw.perf.running import STUCK, Running
from ouroboros.sw.program.image import Instruction, Route, Stage, unicast
from ouroboros.sw.program.program import Program

__all__ = ["Routed"]

LONG_CYCLES = 1 << 20
"""No packet is under way for so long."""


@dataclass(slots=True, eq=False)
class _Vector:
    """A vector under way."""

    number: int
    """Of its token."""
    stage: int
    operand: int
    sender: Position | None
    """Core whose send unit it comes from; None: the host."""
    left: int
    """Packets whose last flit has not left the sender."""
    due: dict[Position, int]
    """By receiver: packets that have not come."""


@dataclass(slots=True, eq=False)
class _Packet:
    """One of its packets."""

    vector: _Vector
    length: int
    """Flits of its payload."""
    headers: dict[Position, int] = field(default_factory=dict)
    """By receiver: cycle of its header on the link into the core."""


@dataclass(slots=True, eq=False)
class _Sender:
    """A send unit."""

    work: Work | None = None
    """Whose SEND it has."""
    waiting: tuple[Work, Instruction, int] | None = None
    """What stands in its register, and since when."""


class Routed(Running):
    """As ``Running``, with the cycle model of the network below.

    Parameters
    ----------
    program, stages, host : Program, sequence of Stage, Host
        As for ``sw.perf.flow.follow``.
    """

    def __init__(self, program: Program, stages: Sequence[Stage], host: Host):
        super().__init__(program, stages, host)
        self._mesh = LiveMesh(self.machine.noc, self.machine.mesh, self.machine.mesh.hosts)
        self._packets: dict[int, _Packet] = {}
        self._senders = {core: _Sender() for core in self.cores}
        self._credits: dict[int, tuple[Position, int]] = {}
        self._heads: dict[int, tuple[tuple[Position, int, int], int]] = {}

    def next_event(self) -> tuple[int, int, Position | None] | None:
        """The next thing that happens, after the network has come to its cycle."""
        while self._mesh.busy:
            if self.events and self._mesh.cycle >= self.events[0][0]:
                break
            until = self.events[0][0] if self.events else self._mesh.cycle + LONG_CYCLES
            for seen in self._mesh.advance(until):
                self._see(seen)
            if not self.events and self._mesh.cycle >= until:
                raise PerfError(STUCK.format(sum(map(bool, self.owed))))
        event = super().next_event()
        if event is not None and event[1] in self._heads:
            self.allocate(*self._heads.pop(event[1]))
        return event

    def deliver(self, number: int, source: Position, routes: tuple[Route, ...], stage: int,
                operand: int, flits: int, first: int) -> None:
        """Put the packets of a vector into the queue of their source."""
        packets = -(-flits // PAYLOAD_FLITS_MAX)
        targets = [route.target for route in routes]
        vector = _Vector(number, stage, operand, source if source in self.cores else None,
                         packets, dict.fromkeys(targets, packets))
        links = [link for route in routes for link in route.links]
        for _ in range(packets):
            length = min(flits, PAYLOAD_FLITS_MAX)
            flits -= length
            self._packets[self._mesh.send(first - FIRST_CYCLES, source, targets, links,
                                          length + 1)] = _Packet(vector, length)

    def give(self, at: Position, owner: Position, counter: int, end: int) -> None:
        """A credit goes back as a packet of the control channel."""
        number = self._mesh.send(end + CREDIT_OUT_CYCLES - FIRST_CYCLES, at, [owner],
                                 unicast(self.machine.mesh, at, owner).links, 1, control=True)
        self._credits[number] = owner, counter

    def _see(self, seen: Seen) -> None:
        if seen.packet in self._credits:
            if seen.event is Event.TAIL:
                owner, counter = self._credits.pop(seen.packet)
                self.credit(owner, counter, seen.cycle + (
                    HOST_CYCLES if owner == self.machine.host
                    else CREDIT_IN_CYCLES + seen.lag))
            return
        packet = self._packets[seen.packet]
        vector = packet.vector
        if seen.event is Event.WENT:
            vector.left -= 1
            if not vector.left and vector.sender is not None:
                self._went(vector.sender, seen.cycle + 1)
            return
        if seen.at == self.machine.host:
            if seen.event is Event.TAIL:
                self._come(packet, seen)
                if not vector.due[seen.at]:
                    self.come_back(vector.number, seen.cycle)
            return
        place = seen.at, vector.stage, vector.number
        if seen.event is Event.HEADER:
            packet.headers[seen.at] = seen.cycle
            event, cycle = next(self.order), seen.cycle + LOOKUP_CYCLES
            self._heads[event] = place, cycle
            heapq.heappush(self.events, (cycle, event, seen.at))
            return
        header = packet.headers[seen.at]
        self._come(packet, seen)
        event, cycle = next(self.order), max(seen.cycle + 1, header + LOOKUP_CYCLES)
        self.arrivals[event] = [(place, vector.operand, header + LOOKUP_CYCLES,
                                 seen.cycle + COUNT_CYCLES - GAP_CYCLES * (1 - seen.lag))]
        heapq.heappush(self.events, (cycle, event, seen.at))

    def _come(self, packet: _Packet, seen: Seen) -> None:
        due = packet.vector.due
        due[seen.at] -= 1
        if not any(due.values()) and not packet.vector.left:
            del self._packets[seen.packet]

    # The send unit

    def send(self, at: Position, core: Core, work: Work, i: Instruction, offered: int) -> None:
        """A SEND that is offered to its unit in a cycle; done when its last flit has left."""
        work.ready = None
        sender = self._senders[at]
        if sender.work is None:
            self._take(at, core, work, i, offered)
        else:
            sender.waiting = work, i, offered
            core.send_held = None

    def _take(self, at: Position, core: Core, work: Work, i: Instruction, offered: int) -> None:
        accepted = max(offered, core.send)
        core.send_held = accepted
        flits = i.fields["flits"]
        if not flits:
            core.send = accepted + self._cycles(work, i)
            work.ready = core.send + ISSUE_CYCLES - ACCEPT_CYCLES
            self.wake(at, work.ready)
            return
        self._senders[at].work = work
        delivery = work.stage.dests[i.fields["dest"]]
        self.deliver(work.number, at, delivery.routes, delivery.stage, delivery.operand, flits,
                     accepted + LEAVE_CYCLES)

    def _went(self, at: Position, cycle: int) -> None:
        """The last flit of a SEND has left: the unit is free."""
        core, sender = self.cores[at], self._senders[at]
        work, sender.work = sender.work, None
        assert work is not None, "a SEND"
        core.send = cycle
        work.ready = cycle + ISSUE_CYCLES - ACCEPT_CYCLES
        self.wake(at, work.ready)
        if sender.waiting is not None:
            waiting, sender.waiting = sender.waiting, None
            self._take(at, core, *waiting)
            assert core.send_held is not None, "it has been accepted"
            self.wake(at, core.send_held)
