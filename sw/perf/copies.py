"""When the packets of a vector come to their receivers, nothing else being under way.

A multicast packet leaves a router by all ports that can take it together, and each of these needs
credits for the whole packet; what else ``hw.noc.channel`` does about it is done here, by packets
instead of flits.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from ouroboros.hw.params.noc import PAYLOAD_FLITS_MAX, NocParams
from ouroboros.hw.params.packet import Port
from ouroboros.hw.params.position import Position
from ouroboros.hw.params.timing.network import (
    CORE_LOOP_CYCLES,
    HOP_CYCLES,
    LOOP_CYCLES,
    PATIENCE_CYCLES,
)
from ouroboros.sw.program.image import Link, Route

__all__ = ["packet_times"]

GRANT_CYCLES = 1
"""From a flit on the link into a router to its grant."""


@dataclass(slots=True)
class _Router:
    """A router of a tree, and what it has passed on so far; cycles are those of grants."""

    sends: dict[Port, list[int]] = field(default_factory=dict)
    """By port: when each flit was sent."""
    frees: list[int] = field(default_factory=list)
    """When each flit left the buffer."""
    free: int = 0
    """When the packet is all gone."""


def packet_times(noc: NocParams, first: int, routes: Sequence[Route],
                 flits: int) -> dict[Position, list[tuple[int, int]]]:
    """Cycles in which header and tail of each packet of a vector are on a receiver's last link.

    Parameters
    ----------
    noc : NocParams
        The network.
    first : int
        Cycle in which the first header is on the link into the first router.
    routes : Sequence[Route]
        To every receiver; several are the branches of one tree.
    flits : int
        Payload of the vector.
    """
    inner: dict[Position, dict[Port, Position]] = defaultdict(dict)
    for route in routes:
        for (at, port), (beyond, _) in zip(route.links, [*route.links[1:], (route.target, None)],
                                           strict=True):
            inner[at][port] = beyond
    times: dict[Link, list[tuple[int, int]]] = defaultdict(list)
    routers: dict[Position, _Router] = defaultdict(_Router)
    while flits:
        length = min(flits, PAYLOAD_FLITS_MAX) + 1
        # A vector's packets follow each other out of the core.
        todo = [(routes[0].links[0][0], first)]
        while todo:
            at, header = todo.pop()
            sent = _pass(noc, at, inner, routers, header + GRANT_CYCLES, length,
                         alone=len(routes) == 1)
            for port, begin in sent.items():
                header = begin - GRANT_CYCLES + HOP_CYCLES
                times[at, port].append((header, header + length - 1))
                beyond = inner[at][port]
                if beyond in inner and port is not Port.LOCAL:
                    todo.append((beyond, header))
        first += length
        flits -= length - 1
    return {route.target: times[route.links[-1]] for route in routes}


def _pass(noc: NocParams, at: Position, inner: dict[Position, dict[Port, Position]],
          routers: dict[Position, _Router], arrives: int, length: int, *,
          alone: bool) -> dict[Port, int]:
    """When the copies of a packet begin to leave a router, by port."""
    router, left = routers[at], dict(inner[at])
    begins: dict[Port, int] = {}
    waited, now = 0, max(arrives, router.free)
    ready = dict.fromkeys(left, now) if alone else {
        port: max(now, _credited(noc, router, routers, port, beyond, length))
        for port, beyond in left.items()}
    while left:
        now = max(now, min(ready[port] for port in left))
        last = max(now, *(ready[port] for port in left))
        wait = min(last - now, PATIENCE_CYCLES - waited)
        waited, now = waited + wait, now + wait
        together = [port for port in left if ready[port] <= now]
        for port in together:
            begins[port] = now
            router.sends.setdefault(port, []).extend(range(now, now + length))
            del left[port]
        if not left:
            router.frees.extend(range(now, now + length))
        now += length
    router.free = now
    return begins


def _credited(noc: NocParams, router: _Router, routers: dict[Position, _Router], port: Port,
              beyond: Position, length: int) -> int:
    """When a port has the credits for a packet."""
    sent = router.sends.get(port, [])
    back = len(sent) + length - noc.vc_depth
    if back <= 0:
        return 0
    if port is Port.LOCAL:
        return sent[back - 1] + CORE_LOOP_CYCLES
    return routers[beyond].frees[back - 1] + LOOP_CYCLES - HOP_CYCLES
