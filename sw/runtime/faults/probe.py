"""Where a machine is hurt: every link in turn is asked whether a packet gets over it and back."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from ouroboros.hw.params.counters import Counter
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import MESH_PORTS, Kind, Port, Unit
from ouroboros.hw.params.position import Position
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.noc.routes.faults import Faults
from ouroboros.sw.noc.routes.xy import path
from ouroboros.sw.program.packets import read_packet
from ouroboros.sw.program.program import NO_WAY
from ouroboros.sw.runtime.faults.watchdog import Watched

__all__ = ["Found", "ProbeError", "locate"]

HOP_CYCLES = 2
ANSWER_CYCLES = 60
"""Beyond the hops of question and answer: the core wakes up, reads and sends; host's ports."""

Join = frozenset[Position]
"""Two neighbours: a link in both directions."""


class ProbeError(OuroborosError):
    """A machine that the host cannot reach any more."""


@dataclass(slots=True)
class Found:
    """What answers, and what does not."""

    machine: Machine
    """Which."""
    alive: set[Position] = field(default_factory=set)
    """Cores that answer."""
    good: set[Join] = field(default_factory=set)
    """Links that packets get over."""
    bad: set[Join] = field(default_factory=set)
    """Links over which a core did not answer."""
    untried: set[Join] = field(default_factory=set)
    """Links that the host has no way to ask over."""
    wary: bool = False
    """Links that were not tried are taken for dead."""
    deaf: frozenset[Position] = frozenset()
    """Cores that do not answer but whose routers pass packets on: only the one beside the host's
    port is asked for that, since others can be gone around."""
    probes: int = 0
    """Questions asked."""

    @property
    def faults(self) -> Faults:
        """For the routes: cores without an answer with their routers, and links between others."""
        standing = self.alive | self.deaf
        links = self.bad | self.untried if self.wary else self.bad
        return Faults(
            mesh=self.machine.mesh,
            routers=frozenset(self.machine.mesh.coordinates) - standing,
            links=frozenset((min(join), max(join)) for join in links if join <= standing))

    @property
    def dead_links(self) -> list[tuple[Position, Position]]:
        """Links between cores that answer, over which there was no answer."""
        standing = self.alive | self.deaf
        return sorted((min(join), max(join)) for join in self.bad if join <= standing)


async def locate(link: Watched, machine: Machine) -> Found:
    """Ask every link of a machine that has just been reset.

    From the core beside the host's port outwards: a question goes over links that are known to be
    good and over one that is not, to the core behind it, and so does the answer, by one waypoint
    at most each. So what is sent cannot be lost anywhere else.

    Raises
    ------
    ProbeError
        If nothing at all answers.
    """
    found = Found(machine)
    landing = _landing(machine)
    await _ask(link, found, [(landing, None, NO_WAY, NO_WAY)])
    if landing not in found.alive:
        found.deaf = frozenset((landing,))
    while asked := list(_questions(found)):
        await _ask(link, found, asked)
    found.untried = {join for join in _joins(machine) if join not in found.good | found.bad}
    if not found.alive:
        raise ProbeError("no core answers the host: what is lost is beside its port")
    return found


_Question = tuple[Position, Join | None, Position, Position]
"""Core, link to be tried, waypoint there, waypoint back."""


def _joins(machine: Machine) -> Iterator[Join]:
    mesh = machine.mesh
    for at in mesh.coordinates:
        for port in (Port.EAST, Port.SOUTH):
            if mesh.holds(port.beyond(at)):
                yield frozenset((at, port.beyond(at)))


def _questions(found: Found) -> Iterator[_Question]:
    """One for each core behind a link that has not been tried, as far as there are ways."""
    asked: set[Position] = set()
    mesh = found.machine.mesh
    for at in sorted(found.alive | found.deaf):
        for port in MESH_PORTS:
            there = port.beyond(at)
            join = frozenset((at, there))
            if (not mesh.holds(there) or there in asked or there in found.deaf
                    or join in found.good or join in found.bad):
                continue
            ways = (_way(found, found.machine.host, there, join),
                    _way(found, there, found.machine.host, join))
            if ways[0] is not None and ways[1] is not None:
                asked.add(there)
                yield there, join, ways[0], ways[1]


def _way(found: Found, source: Position, target: Position, tried: Join) -> Position | None:
    """Waypoint of a way over the link that is tried and good ones only; None: there is none."""
    mesh = found.machine.mesh
    for way in (NO_WAY, *sorted(found.alive | found.deaf)):
        if way in (source, target, _landing(found.machine)) and way != NO_WAY:
            continue
        hops = (path(source, target, mesh) if way == NO_WAY else
                [*path(source, way, mesh)[:-1], *path(way, target, mesh)])
        joins = {frozenset((at, port.beyond(at))) for at, port in hops
                 if port is not Port.LOCAL and mesh.holds(port.beyond(at))}
        if tried in joins and joins - {tried} <= found.good:
            return way
    return None


def _landing(machine: Machine) -> Position:
    """The core beside the host's port: by way of it is straight."""
    return path(machine.host, machine.host, machine.mesh)[0][0]


async def _ask(link: Watched, found: Found, questions: list[_Question]) -> None:
    """Ask, wait, and note what answers and what does not."""
    machine = found.machine
    waiting = {}
    for core, join, there, back in questions:
        waiting[core] = join
        await link.send([read_packet(machine, src=machine.host, dst=core, unit=Unit.COUNTER,
                                     address=Counter.CYCLES, way=there, back=back)])
    found.probes += len(questions)
    longest = 4 * HOP_CYCLES * (machine.mesh.width + machine.mesh.height)
    end = link.link.cycles + longest + ANSWER_CYCLES + 4 * len(questions)
    while waiting:
        packet = await link.link.recv_until(end)
        if packet is None:
            break
        header = packet.header
        core = header["src_x"], header["src_y"]
        if header["kind"] != Kind.REPLY or core not in waiting:
            continue
        found.alive.add(core)
        if (join := waiting.pop(core)) is not None:
            found.good.add(join)
    found.bad |= {join for join in waiting.values() if join is not None}
