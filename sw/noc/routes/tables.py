"""Class 2: two-level up*/down* tables, to the destination's die, then to the core in it.

All live routers are put in one order, breadth first from a root in the middle; a hop to an earlier
router is up, to a later one down. A path never goes up after it went down, so its channels cannot
form a circle. A table does not know how a packet came; so a router from which there is a way down
always sends down, and all others up. Ref: Schroeder et al., Autonet, 1991 (up*/down*).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ouroboros.hw.params.machine import MeshParams
from ouroboros.hw.params.packet import Port, Turn
from ouroboros.sw.lib.compiled import compiled
from ouroboros.sw.noc.routes.live import Ints, LiveMesh

__all__ = ["CORES_MAX", "Bytes", "Tables", "die_members", "make_tables", "renew_die"]

Bytes = npt.NDArray[np.int8]
CORES_MAX = 256
"""Entries of a router's table of cores: the cores of a die, then the edge ports beside it."""
FAR = 1 << 20
ARRIVED, LOCAL = int(Turn.ARRIVED), int(Turn.LOCAL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Tables:
    """What the routers' tables hold for class 2; entries are ``Turn``."""

    dies: Bytes
    """(routers, dies): where a packet goes on the transit channel."""
    cores: Bytes
    """(routers, CORES_MAX): where it goes on the arrival channel, by number in the own die."""
    members: Ints
    """(dies, CORES_MAX): router that a number belongs to, beside its edge port for those; or -1."""


def die_members(mesh: MeshParams) -> tuple[Ints, Ints]:
    """(dies, CORES_MAX): router of each number of a die, and the ``Turn`` by which it leaves there.

    Cores come first, row by row, then edge ports by router and ``Port``; unused numbers are -1.
    """
    across, down = mesh.width // mesh.die_width, mesh.height // mesh.die_height
    members = np.full((across * down, CORES_MAX), -1, np.int32)
    leaves = np.full((across * down, CORES_MAX), -1, np.int32)
    for die in range(across * down):
        x0, y0 = die % across * mesh.die_width, die // across * mesh.die_height
        at = [(x, y) for y in range(y0, y0 + mesh.die_height)
              for x in range(x0, x0 + mesh.die_width)]
        found = [(x, y, LOCAL) for x, y in at]
        for x, y in at:
            outside = {Port.NORTH: y == 0, Port.EAST: x == mesh.width - 1,
                       Port.SOUTH: y == mesh.height - 1, Port.WEST: x == 0}
            found += [(x, y, port + 1) for port, out in outside.items() if out]
        for number, (x, y, turn) in enumerate(found[:CORES_MAX]):
            members[die, number] = x + mesh.width * y
            leaves[die, number] = turn
    return members, leaves


def make_tables(mesh: LiveMesh) -> Tables:
    """Tables of every live router; those of dead ones hold ``Turn.NONE``."""
    members, leaves = die_members(mesh.mesh)
    dies = np.zeros((len(mesh.live), mesh.dies), np.int8)
    cores = np.zeros((len(mesh.live), CORES_MAX), np.int8)
    x, y = np.arange(len(mesh.live)) % mesh.mesh.width, np.arange(len(mesh.live)) // mesh.mesh.width
    middle = abs(2 * x - mesh.mesh.width + 1) + abs(2 * y - mesh.mesh.height + 1)
    _transit(mesh.beyond, mesh.die, mesh.live, _root(mesh.live, middle), dies)
    tables = Tables(dies=dies, cores=cores, members=members)
    for die in range(mesh.dies):
        _renew(mesh, tables, leaves[die], die)
    return tables


def renew_die(mesh: LiveMesh, tables: Tables, die: int) -> None:
    """Make the table of cores of one die again, for a mesh that changed only there."""
    _renew(mesh, tables, die_members(mesh.mesh)[1][die], die)


def _renew(mesh: LiveMesh, tables: Tables, leaves: Ints, die: int) -> None:
    within = np.flatnonzero(mesh.live & (mesh.die == die))
    tables.cores[mesh.die == die] = 0
    if not len(within):
        return
    x, y = within % mesh.mesh.width, within // mesh.mesh.width
    middle = abs(2 * x - x.min() - x.max()) + abs(2 * y - y.min() - y.max())
    inside = np.full_like(mesh.beyond, -1)
    own = mesh.beyond[within]
    inside[within] = np.where((own >= 0) & (mesh.die[own] == die), own, -1)
    _arrival(inside, mesh.live, within[np.argmin(middle)], tables.members[die], leaves,
             within.astype(np.int32), tables.cores)


def _root(live: npt.NDArray[np.bool_], middle: npt.NDArray[np.int64]) -> int:
    return int(np.argmin(np.where(live, middle, FAR)))


@compiled
def _order(beyond: Ints, root: int, rank: Ints, queue: Ints) -> int:
    """Breadth-first order from ``root``: ``queue`` in order, ``rank`` of those in it."""
    queue[0] = root
    rank[root] = 0
    found, done = 1, 0
    while done < found:
        at = queue[done]
        done += 1
        for port in range(4):
            there = beyond[at, port]
            if there >= 0 and rank[there] < 0:
                rank[there] = found
                queue[found] = there
                found += 1
    return found


@compiled
def _towards(beyond: Ints, rank: Ints, order: Ints, count: int, cost: Ints, todo: Ints,
             waiting: int, table: Bytes, column: int) -> None:
    """Fill a column of a table; ``todo`` has the ``waiting`` routers at the destination, cost 0."""
    done = 0
    while done < waiting:           # backwards along hops that go down
        at = todo[done]
        done += 1
        for port in range(4):
            there = beyond[at, port]
            if there >= 0 and rank[there] < rank[at] and cost[there] == FAR:
                cost[there] = cost[at] + 1
                table[there, column] = (port + 2) % 4 + 1
                todo[waiting] = there
                waiting += 1
    for n in range(count):
        at = order[n]
        if cost[at] != FAR:
            continue
        for port in range(4):
            there = beyond[at, port]
            if there >= 0 and rank[there] < rank[at] and cost[there] + 1 < cost[at]:
                cost[at] = cost[there] + 1
                table[at, column] = port + 1


@compiled
def _transit(beyond: Ints, die: Ints, live: npt.NDArray[np.bool_], root: int,
             table: Bytes) -> None:
    nodes, dies = table.shape
    rank, order = np.full(nodes, -1, np.int32), np.zeros(nodes, np.int32)
    cost, todo = np.zeros(nodes, np.int32), np.zeros(nodes, np.int32)
    count = _order(beyond, root, rank, order)
    for column in range(dies):
        waiting = 0
        for n in range(nodes):
            cost[n] = FAR
            if live[n] and die[n] == column:
                cost[n] = 0
                table[n, column] = ARRIVED
                todo[waiting] = n
                waiting += 1
        _towards(beyond, rank, order, count, cost, todo, waiting, table, column)


@compiled
def _arrival(beyond: Ints, live: npt.NDArray[np.bool_], root: int, members: Ints, leaves: Ints,
             within: Ints, table: Bytes) -> None:
    nodes = len(live)
    rank, order = np.full(nodes, -1, np.int32), np.zeros(nodes, np.int32)
    cost, todo = np.zeros(nodes, np.int32), np.zeros(nodes, np.int32)
    count = _order(beyond, root, rank, order)
    for number in range(len(members)):
        end = members[number]
        if end < 0 or not live[end]:
            continue
        for n in within:
            cost[n] = FAR
        cost[end] = 0
        table[end, number] = leaves[number]
        todo[0] = end
        _towards(beyond, rank, order, count, cost, todo, 1, table, number)
