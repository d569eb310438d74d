"""Links that vectors of many tokens share: when each gets where it goes."""

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.position import Position
from ouroboros.hw.params.timing.network import HOP_CYCLES, multicast_cycles
from ouroboros.sw.perf.copies import border_cycles, packet_times
from ouroboros.sw.program.image import Link, Route, packet_flits

__all__ = ["Wire", "Wires"]

_Times = dict[Position, list[tuple[int, int]]]


@dataclass(slots=True)
class Wire:
    """A link that carries a flit a cycle; vectors take it whole, each in the first gap."""

    taken: list[tuple[int, int]] = field(default_factory=list)
    """First cycle and the one after the last of each vector, in order."""

    def take(self, now: int, cycle: int, cycles: int) -> int:
        """Carry a vector that comes in a cycle; returns the one in which its first flit goes.

        Parameters
        ----------
        now : int
            Nobody asks for an earlier cycle any more.
        cycle : int
            When it could go at the earliest.
        cycles : int
            For which it takes the link.
        """
        while self.taken and self.taken[0][1] <= now:
            del self.taken[0]
        n = bisect_right(self.taken, (cycle, cycle))
        if n and self.taken[n - 1][1] > cycle:
            cycle = self.taken[n - 1][1]
        while n < len(self.taken) and self.taken[n][0] < cycle + cycles:
            cycle = self.taken[n][1]
            n += 1
        insort(self.taken, (cycle, cycle + cycles))
        return cycle


class Wires:
    """All links of a machine; vectors are sent in the order in which they leave.

    Parameters
    ----------
    machine : Machine
        Its network.
    """

    def __init__(self, machine: Machine):
        self._machine = machine
        self._wires: dict[Link, Wire] = defaultdict(Wire)
        self._times: dict[tuple[tuple[Route, ...], int], _Times] = {}

    def send(self, routes: tuple[Route, ...], flits: int,
             first: int) -> Iterator[tuple[Position, list[tuple[int, int]]]]:
        """Targets of a vector, and when header and tail of each of its packets are there.

        Parameters
        ----------
        routes : tuple of Route
            To every receiver; several are the branches of one tree.
        flits : int
            Payload.
        first : int
            Cycle in which the first header is on the link into the first router.
        """
        times = self._times.get((routes, flits))
        if times is None:
            times = self._times[routes, flits] = packet_times(self._machine, 0, routes, flits)
        whole = (packet_flits(flits) if len(routes) == 1
                 else multicast_cycles(self._machine.noc, flits))
        late_at: dict[Link, int] = {}
        for route in routes:
            late, at = 0, first
            for link in route.links:
                border = border_cycles(self._machine, link)
                at += HOP_CYCLES
                if link not in late_at:
                    cycles = whole * (self._machine.noc.die_cycles_per_flit if border else 1)
                    late_at[link] = self._wires[link].take(first, at + late, cycles) - at
                late = late_at[link]
                at += border
            yield route.target, [(first + header + late, first + tail + late)
                                 for header, tail in times[route.target]]
