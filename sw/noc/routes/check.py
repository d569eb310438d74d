"""Proof that a set of routes cannot stop the network: no circle of channels, nothing unreachable.

A channel is (router, output port, kind), the kinds being class 0, class 1, and transit and
arrival of class 2. A packet in one channel waits for the next of its path. Class 0 and 1 may make
every turn of XY between live links, class 0 may go over to class 1 at any router by any port (a
waypoint), transit goes over to arrival where a table says so; what the tables of class 2 do is read
from the tables. The graph of all these is sorted; if that succeeds, no set of packets can wait in a
circle. And as every live router has an entry for every live destination, and every entry leads over
a live link, every path of class 2 goes on until it is there: every live pair is connected.
Multicast trees
are unions of XY paths and add no turn (``sw.noc.labels`` refuses others).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ouroboros.hw.params.machine import MeshParams
from ouroboros.hw.params.packet import Port, Turn
from ouroboros.sw.lib.compiled import compiled
from ouroboros.sw.noc.errors import NocError
from ouroboros.sw.noc.routes.live import Ints, LiveMesh, position_of
from ouroboros.sw.noc.routes.tables import Bytes, Tables, die_members

__all__ = ["Checked", "Checker"]

KINDS = ("class 0", "class 1", "transit of class 2", "arrival of class 2")
CLASS0, CLASS1, TRANSIT, ARRIVAL = range(4)
ARRIVED, LOCAL, NONE = int(Turn.ARRIVED), int(Turn.LOCAL), int(Turn.NONE)
Turns = npt.NDArray[np.uint8]

# What is wrong with an entry.
WELL, MISSING, DEAD_PORT, LEAVES_DIE, WRONG_END = range(5)
WRONG = ("", "has no entry", "leads to a dead port", "leaves the die", "ends at the wrong place")


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """Size of the graph that was sorted."""

    channels: int
    dependencies: int


class Checker:
    """Checks all of a mesh once, then again after changes in single dies.

    Parameters
    ----------
    mesh : LiveMesh
        The mesh.
    tables : Tables
        Tables of class 2.

    Raises
    ------
    NocError
        If a table lacks an entry that a live pair needs or leads somewhere dead, or channels form a
        circle; the message names the router.
    """

    def __init__(self, mesh: LiveMesh, tables: Tables):
        self._leaves = die_members(mesh.mesh)[1]
        self._arrival = np.zeros((len(mesh.live), 4), np.uint8)
        self._cores = np.zeros(len(mesh.live), np.uint8)
        for die in range(mesh.dies):
            self._check_die(mesh, tables, die)
        self.checked = self._sort(mesh, tables)

    def changed(self, mesh: LiveMesh, tables: Tables, die: int) -> Checked:
        """Check again after routers, links or tables changed in one die.

        Raises
        ------
        NocError
            As above.
        """
        self._check_die(mesh, tables, die)
        self.checked = self._sort(mesh, tables)
        return self.checked

    def _check_die(self, mesh: LiveMesh, tables: Tables, die: int) -> None:
        within = np.flatnonzero(mesh.die == die).astype(np.int32)
        wrong, router, number = _arrival_turns(
            mesh.beyond, mesh.live, mesh.die, within, tables.members[die], self._leaves[die],
            tables.cores, self._arrival, self._cores)
        if wrong != WELL:
            raise NocError(f"table of cores of router {position_of(router, mesh.mesh)} "
                           f"{WRONG[wrong]} for core {number} of its die "
                           f"({position_of(tables.members[die, number], mesh.mesh)})")

    def _sort(self, mesh: LiveMesh, tables: Tables) -> Checked:
        turns = np.zeros((4, len(mesh.live), 4), np.uint8)
        turns[ARRIVAL] = self._arrival
        over = np.zeros((2, len(mesh.live), 4), np.uint8)
        wrong, router, die = _transit_turns(mesh.beyond, mesh.live, mesh.die, tables.dies,
                                            self._cores, turns[TRANSIT], over[1])
        if wrong != WELL:
            raise NocError(f"table of dies of router {position_of(router, mesh.mesh)} "
                           f"{WRONG[wrong]} for die {die}")
        _xy_turns(mesh.beyond, turns[CLASS0], turns[CLASS1], over[0])
        channels, dependencies, stuck = _sort_channels(mesh.beyond, turns, over)
        if stuck >= 0:
            raise NocError(_circle(mesh.mesh, stuck))
        return Checked(channels=channels, dependencies=dependencies)


def _circle(mesh: MeshParams, channel: int) -> str:
    router, port, kind = channel // 16, channel // 4 % 4, channel % 4
    return (f"routes must have no circle of channels, but packets can wait for each other in one "
            f"that leads through router {position_of(router, mesh)}, port {Port(port).name}, "
            f"{KINDS[kind]}")


@compiled
def _arrival_turns(beyond: Ints, live: npt.NDArray[np.bool_], die: Ints, within: Ints,
                   members: Ints, leaves: Ints, table: Bytes, turns: Turns,
                   exits: Turns) -> tuple[int, int, int]:
    """Turns of a die's arrival channels, by input port; and all outputs used, by router."""
    for at in within:
        turns[at] = 0
        exits[at] = 0
    for at in within:
        if not live[at]:
            continue
        for number in range(len(members)):
            end = members[number]
            if end < 0 or not live[end]:
                continue
            turn = table[at, number]
            if turn == NONE:
                return MISSING, at, number
            if at == end:
                if turn != leaves[number]:
                    return WRONG_END, at, number
                continue
            if turn > 4:
                return WRONG_END, at, number
            there = beyond[at, turn - 1]
            if there < 0:
                return DEAD_PORT, at, number
            if die[there] != die[at]:
                return LEAVES_DIE, at, number
            exits[at] |= 1 << turn - 1
            if there != end and 1 <= table[there, number] <= 4:
                turns[there, (turn + 1) % 4] |= 1 << table[there, number] - 1
    return WELL, 0, 0


@compiled
def _transit_turns(beyond: Ints, live: npt.NDArray[np.bool_], die: Ints, table: Bytes,
                   cores: Turns, turns: Turns, over: Turns) -> tuple[int, int, int]:
    """Turns of the transit channels, and from them to arrival, by router and input port."""
    nodes, dies = table.shape
    some = np.zeros(dies, np.bool_)
    for at in range(nodes):
        if live[at]:
            some[die[at]] = True
    for at in range(nodes):
        if not live[at]:
            continue
        for end in range(dies):
            if not some[end]:
                continue
            turn = table[at, end]
            if turn == NONE:
                return MISSING, at, end
            if (turn == ARRIVED) != (die[at] == end) or turn == LOCAL:
                return WRONG_END, at, end
            if turn == ARRIVED:
                continue
            there = beyond[at, turn - 1]
            if there < 0:
                return DEAD_PORT, at, end
            after = table[there, end]
            if 1 <= after <= 4:
                turns[there, (turn + 1) % 4] |= 1 << after - 1
            elif after == ARRIVED:
                over[there, (turn + 1) % 4] = cores[there]
    return WELL, 0, 0


@compiled
def _xy_turns(beyond: Ints, class0: Turns, class1: Turns, over: Turns) -> None:
    """By router and input port: x goes straight on or turns to y, y goes straight on."""
    for at in range(len(beyond)):
        exits = 0
        for port in range(4):
            if beyond[at, port] >= 0:
                exits |= 1 << port
        for port in range(4):
            if beyond[at, port] < 0:
                continue
            straight = 1 << (port + 2) % 4
            allowed = straight if port == 0 or port == 2 else straight | 0b0101
            class0[at, port] = class1[at, port] = exits & allowed
            over[at, port] = exits


@compiled
def _sort_channels(beyond: Ints, turns: Turns, over: Turns) -> tuple[int, int, int]:
    """Channels, dependencies, and a channel of a circle (-1: there is none): Kahn's algorithm."""
    nodes = len(beyond)
    before = np.zeros(nodes * 16, np.int32)
    links, dependencies = 0, 0
    for at in range(nodes):
        for port in range(4):
            there = beyond[at, port]
            if there < 0:
                continue
            links += 1
            entrance = (port + 2) % 4
            for kind in range(4):
                for exit_ in range(4):
                    if turns[kind, there, entrance] >> exit_ & 1:
                        before[there * 16 + exit_ * 4 + kind] += 1
                        dependencies += 1
            for exit_ in range(4):
                if over[0, there, entrance] >> exit_ & 1:
                    before[there * 16 + exit_ * 4 + CLASS1] += 1
                    dependencies += 1
                if over[1, there, entrance] >> exit_ & 1:
                    before[there * 16 + exit_ * 4 + ARRIVAL] += 1
                    dependencies += 1
    todo = np.zeros(links * 4, np.int32)
    waiting, done = 0, 0
    for at in range(nodes):
        for port in range(4):
            if beyond[at, port] >= 0:
                for kind in range(4):
                    if before[at * 16 + port * 4 + kind] == 0:
                        todo[waiting] = at * 16 + port * 4 + kind
                        waiting += 1
    while done < waiting:
        channel = todo[done]
        done += 1
        at, port, kind = channel // 16, channel // 4 % 4, channel % 4
        there, entrance = beyond[at, port], (port + 2) % 4
        for step in range(2):
            target = kind
            mask = turns[kind, there, entrance]
            if step == 1:
                if kind == CLASS0:
                    target, mask = CLASS1, over[0, there, entrance]
                elif kind == TRANSIT:
                    target, mask = ARRIVAL, over[1, there, entrance]
                else:
                    break
            for exit_ in range(4):
                if mask >> exit_ & 1:
                    after = there * 16 + exit_ * 4 + target
                    before[after] -= 1
                    if before[after] == 0:
                        todo[waiting] = after
                        waiting += 1
    if waiting == links * 4:
        return links * 4, dependencies, -1
    return links * 4, dependencies, _on_circle(beyond, turns, over, before)


@compiled
def _on_circle(beyond: Ints, turns: Turns, over: Turns, before: Ints) -> int:
    """A channel of a circle: from one left over go back to one that waits for it, and so on.

    Every channel left over has one before it that is left over too, so this ends in a circle.
    """
    at = 0
    while before[at] <= 0:
        at += 1
    for _ in range(len(before)):
        router, port, kind = at // 16, at // 4 % 4, at % 4
        for entrance in range(4):
            source = beyond[router, entrance]
            if source < 0:
                continue
            behind = source * 16 + (entrance + 2) % 4 * 4
            if turns[kind, router, entrance] >> port & 1 and before[behind + kind] > 0:
                at = behind + kind
                break
            if kind == CLASS1 and over[0, router, entrance] >> port & 1 and before[behind] > 0:
                at = behind
                break
            if (kind == ARRIVAL and over[1, router, entrance] >> port & 1
                    and before[behind + TRANSIT] > 0):
                at = behind + TRANSIT
                break
    return at
