"""What is left of a mesh: which routers and links live, and how far a packet gets in a line."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ouroboros.hw.params.machine import MeshParams
from ouroboros.hw.params.packet import Port
from ouroboros.sw.lib.compiled import compiled
from ouroboros.sw.noc.errors import NocError
from ouroboros.sw.noc.routes.faults import Faults, Position

__all__ = ["Bools", "Ints", "LiveMesh", "live_mesh", "position_of", "router_of"]

Ints = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]
POCKET_SHARE = 8
"""Cores cut off from the largest group of their die may be declared dead up to this part of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveMesh:
    """A mesh with its dead parts left out. Routers are numbered x + width * y, x and y from 0."""

    mesh: MeshParams
    live: Bools
    """(routers,)"""
    beyond: Ints
    """(routers, 4): router at the other end of each live link, by ``Port``; -1 where none is."""
    reach: Ints
    """(routers, 4): furthest y, x, y, x that a packet gets to in a straight line by each ``Port``;
    for a dead router one that even its own coordinate is beyond."""
    die: Ints
    """(routers,): die of each router, numbered like the routers."""
    cut_off: tuple[Position, ...]
    """Cores declared dead because they are cut off from their own die's live mesh."""

    @property
    def dies(self) -> int:
        """Dies of the mesh."""
        return (self.mesh.width // self.mesh.die_width) * (
            self.mesh.height // self.mesh.die_height)


def router_of(position: Position, mesh: MeshParams) -> int:
    """Number of a core's router, or of the router beside an edge port."""
    x = min(max(position[0], 1), mesh.width)
    y = min(max(position[1], 1), mesh.height)
    return x - 1 + mesh.width * (y - 1)


def position_of(router: int, mesh: MeshParams) -> Position:
    """Position of a router's core."""
    return int(router % mesh.width) + 1, int(router // mesh.width) + 1


def live_mesh(faults: Faults) -> LiveMesh:
    """Leave out what is dead, and cores that nothing in their own die reaches.

    Raises
    ------
    NocError
        If no core is left, or the mesh is in pieces: parts of a die cut off from each other, or
        dies from each other.
    """
    mesh = faults.mesh
    live = np.ones(mesh.cores, np.bool_)
    for router in faults.routers:
        live[router_of(router, mesh)] = False
    broken = np.zeros((mesh.cores, 4), np.bool_)
    for one, other in faults.links:
        for at, there in ((one, other), (other, one)):
            broken[router_of(at, mesh), _port(at, there)] = True
    die = _die_numbers(mesh)
    beyond = _beyond(mesh, live, broken)
    inside = np.where(die[beyond] == die[:, None], beyond, -1)
    inside[beyond < 0] = -1
    group, sizes = _groups(inside, live)
    cut_off = _cut_off(mesh, live, die, group, sizes)
    live[cut_off] = False
    beyond = _beyond(mesh, live, broken)
    if not live.any():
        raise NocError(f"mesh must have a live core, but all {mesh.cores} are dead or cut off")
    group, sizes = _groups(beyond, live)
    if len(sizes) > 1:
        lost = int(np.flatnonzero(live & (group != np.argmax(sizes)))[0])
        raise NocError(
            f"mesh must be in one piece, but dead links and routers part it in {len(sizes)}: "
            f"{sizes.sum() - sizes.max()} of {sizes.sum()} live cores, such as "
            f"{position_of(lost, mesh)}, are cut off from the others")
    return LiveMesh(mesh=mesh, live=live, beyond=beyond, die=die,
                    reach=_reach(mesh.width, live, beyond),
                    cut_off=tuple(position_of(r, mesh) for r in cut_off))


def _port(at: Position, there: Position) -> Port:
    if at[0] != there[0]:
        return Port.EAST if there[0] > at[0] else Port.WEST
    return Port.SOUTH if there[1] > at[1] else Port.NORTH


def _die_numbers(mesh: MeshParams) -> Ints:
    ids = np.arange(mesh.cores, dtype=np.int32)
    x, y = ids % mesh.width // mesh.die_width, ids // mesh.width // mesh.die_height
    return (x + mesh.width // mesh.die_width * y).astype(np.int32)


def _beyond(mesh: MeshParams, live: Bools, broken: Bools) -> Ints:
    ids = np.arange(mesh.cores, dtype=np.int32)
    x, y = ids % mesh.width, ids // mesh.width
    beyond = np.stack([ids - mesh.width, ids + 1, ids + mesh.width, ids - 1], axis=1)
    exists = np.stack([y > 0, x < mesh.width - 1, y < mesh.height - 1, x > 0], axis=1)
    exists &= live[:, None] & ~broken
    exists &= live[np.where(exists, beyond, 0)]
    return np.where(exists, beyond, -1).astype(np.int32)


def _cut_off(mesh: MeshParams, live: Bools, die: Ints, group: Ints, sizes: Ints) -> list[int]:
    """Live cores outside the largest group of their die, if they are few."""
    lost: list[int] = []
    limit = max(1, mesh.die_width * mesh.die_height // POCKET_SHARE)
    for number in range(int(die.max()) + 1):
        members = np.flatnonzero(live & (die == number))
        groups = np.unique(group[members])
        if len(groups) < 2:
            continue
        largest = groups[np.argmax(sizes[groups])]
        cores = members[group[members] != largest]
        if len(cores) > limit:
            raise NocError(
                f"mesh must be in one piece, but dead links and routers cut {len(cores)} "
                f"cores, such as {position_of(cores[0], mesh)}, off from the others of their "
                f"die (up to {limit} would be declared dead)")
        lost.extend(int(core) for core in cores)
    return sorted(lost)


@compiled
def _groups(beyond: Ints, live: Bools) -> tuple[Ints, Ints]:
    """Number of each live router's connected group, -1 for a dead one, and the groups' sizes."""
    group = np.full(len(live), -1, np.int32)
    sizes = np.zeros(len(live), np.int32)
    stack = np.zeros(len(live), np.int32)
    found = 0
    for start in range(len(live)):
        if not live[start] or group[start] >= 0:
            continue
        group[start] = found
        stack[0] = start
        waiting = 1
        while waiting:
            waiting -= 1
            at = stack[waiting]
            sizes[found] += 1
            for port in range(4):
                there = beyond[at, port]
                if there >= 0 and group[there] < 0:
                    group[there] = found
                    stack[waiting] = there
                    waiting += 1
        found += 1
    return group, sizes[:found]


@compiled
def _reach(width: int, live: Bools, beyond: Ints) -> Ints:
    reach = np.zeros((len(live), 4), np.int32)
    for n in range(len(live)):
        for port in (0, 3):         # behind the neighbour, which comes earlier
            own = n // width if port == 0 else n % width
            there = beyond[n, port]
            reach[n, port] = own + 1 if not live[n] else own if there < 0 else reach[there, port]
    for n in range(len(live) - 1, -1, -1):
        for port in (1, 2):
            own = n // width if port == 2 else n % width
            there = beyond[n, port]
            reach[n, port] = own - 1 if not live[n] else own if there < 0 else reach[there, port]
    return reach
