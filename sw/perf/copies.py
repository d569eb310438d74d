"""When the packets of a vector come to their receivers, nothing else being under way.

A multicast packet leaves a router by all ports that can take it together, and each of these needs
credits for the whole packet; what else ``hw.noc.channel`` does about it is done here, by packets
instead of flits.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.noc import PAYLOAD_FLITS_MAX
from ouroboros.hw.params.packet import Port
from ouroboros.hw.params.position import Position
from ouroboros.hw.params.timing.network import (
    CORE_LOOP_CYCLES,
    COUNT_CYCLES,
    GAP_CYCLES,
    HOP_CYCLES,
    LOOKUP_CYCLES,
    LOOP_CYCLES,
    PATIENCE_CYCLES,
    crossing_cycles,
)
from ouroboros.sw.program.image import Link, Route

__all__ = ["border_cycles", "packet_times", "seen_cycles"]

GRANT_CYCLES = 1
"""From a flit on the link into a router to its grant."""


@dataclass(slots=True)
class _Router:
    """A router of a tree, and what it has passed on so far; cycles are those of grants."""

    sends: dict[Port, list[int]] = field(default_factory=dict)
    """By port: when each flit was sent."""
    crossed: dict[Port, list[int]] = field(default_factory=dict)
    """By port to another die: when each flit left for the wire."""
    frees: list[int] = field(default_factory=list)
    """When each flit left the buffer."""
    free: int = 0
    """When the packet is all gone."""


def packet_times(machine: Machine, first: int, routes: Sequence[Route], flits: int,
                 wires: dict[Link, int] | None = None) -> dict[Position, list[tuple[int, int]]]:
    """Cycles in which header and tail of each packet of a vector are on a receiver's last link.

    Parameters
    ----------
    machine : Machine
        Its network. A border between dies adds its cycles, and spreads flits if it is narrow.
    first : int
        Cycle in which the first header is on the link into the first router.
    routes : Sequence[Route]
        To every receiver; several are the branches of one tree.
    flits : int
        Payload of the vector.
    wires : dict[Link, int], optional
        From when on each border is free of what was sent before; brought up to date.
    """
    tree = _Tree(machine, {} if wires is None else wires, alone=len(routes) == 1)
    for route in routes:
        for (at, port), (beyond, _) in zip(route.links, [*route.links[1:], (route.target, None)],
                                           strict=True):
            tree.inner[at][port] = beyond
    while flits:
        length = min(flits, PAYLOAD_FLITS_MAX) + 1
        # A vector's packets follow each other out of the core.
        tree.send(routes[0].links[0][0], list(range(first, first + length)))
        first += length
        flits -= length - 1
    return {route.target: tree.times[route.links[-1]] for route in routes}


def seen_cycles(times: Sequence[tuple[int, int]], flits: int) -> list[tuple[int, int]]:
    """When the header of each packet of a vector is looked up, and when a WAIT sees its count.

    Parameters
    ----------
    times : Sequence[tuple[int, int]]
        Cycles of header and tail on the link into the core, as ``packet_times`` gives them.
    flits : int
        Payload of the vector.
    """
    found = []
    for header, tail in times:
        length = min(flits, PAYLOAD_FLITS_MAX)
        flits -= length
        found.append((header + LOOKUP_CYCLES,
                      tail + COUNT_CYCLES - (GAP_CYCLES if tail - header > length else 0)))
    return found


class _Tree:
    """The routers of a tree, packet after packet."""

    def __init__(self, machine: Machine, wires: dict[Link, int], *, alone: bool):
        self.machine, self.noc, self.wires, self.alone = machine, machine.noc, wires, alone
        self.inner: dict[Position, dict[Port, Position]] = defaultdict(dict)
        self.times: dict[Link, list[tuple[int, int]]] = defaultdict(list)
        self.routers: dict[Position, _Router] = defaultdict(_Router)

    def send(self, root: Position, flits: list[int]) -> None:
        """A packet whose flits are on the link into the root in these cycles."""
        todo = [(root, flits)]
        while todo:
            at, flits = todo.pop()
            for port, grants in self._pass(at, [cycle + GRANT_CYCLES for cycle in flits]).items():
                on_link = self._cross(at, port, [g - GRANT_CYCLES + HOP_CYCLES for g in grants])
                self.times[at, port].append((on_link[0], on_link[-1]))
                beyond = self.inner[at][port]
                if beyond in self.inner and port is not Port.LOCAL:
                    todo.append((beyond, on_link))

    def _pass(self, at: Position, arrives: list[int]) -> dict[Port, list[int]]:
        """When the flits of a packet's copies leave a router, by port."""
        router, left, length = self.routers[at], dict(self.inner[at]), len(arrives)
        found: dict[Port, list[int]] = {}
        waited, now = 0, max(arrives[0], router.free)
        ready = dict.fromkeys(left, now) if self.alone else {
            port: max(now, self._credited(at, port, length)) for port in left}
        while left:
            now = max(now, min(ready[port] for port in left))
            last = max(now, *(ready[port] for port in left))
            wait = min(last - now, PATIENCE_CYCLES - waited)
            waited, now = waited + wait, now + wait
            grants = [max(now + n, arrival) for n, arrival in enumerate(arrives)]
            for port in [port for port in left if ready[port] <= now]:
                found[port] = grants
                router.sends.setdefault(port, []).extend(grants)
                del left[port]
            if not left:
                router.frees.extend(grants)
            now = grants[-1] + 1
        router.free = now
        return found

    def _cross(self, at: Position, port: Port, flits: list[int]) -> list[int]:
        """When flits on a router's output are on the link into what lies beyond."""
        border = border_cycles(self.machine, (at, port))
        if not border:
            return flits
        free, leaves = self.wires.get((at, port), 0), list[int]()
        for cycle in flits:
            leaves.append(max(cycle, free))
            free = leaves[-1] + self.noc.die_cycles_per_flit
        self.wires[at, port] = free
        self.routers[at].crossed.setdefault(port, []).extend(
            cycle + GRANT_CYCLES for cycle in leaves)
        return [cycle + border for cycle in leaves]

    def _credited(self, at: Position, port: Port, length: int) -> int:
        """When a port has the credits for a packet."""
        router = self.routers[at]
        sent = router.sends.get(port, [])
        back = len(sent) + length - self.noc.vc_depth
        if back <= 0:
            return 0
        if port is Port.LOCAL:
            return sent[back - 1] + CORE_LOOP_CYCLES
        # A border's near end takes flits, and gives credits back, as a router does.
        frees = router.crossed.get(port) or self.routers[self.inner[at][port]].frees
        return frees[back - 1] + LOOP_CYCLES - HOP_CYCLES


def border_cycles(machine: Machine, link: Link) -> int:
    """Cycles that a border between dies adds to a router's output link; 0 where there is none."""
    at, port = link
    return crossing_cycles(machine.noc) if machine.mesh.crosses(at, port.beyond(at)) else 0
