"""What a placement does to the network: byte-hops on multicast trees, and the load of every link.

Routes are X first, then Y. The copies of one multicast share the links that their routes share;
that is its tree. Without nets, who sends is not known: then half of an edge's volume goes each way,
each way on its own. A dead core on the way is counted as if it could be passed: detours are the
router tables' business, and few.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ouroboros.sw.lib.compiled import compiled, inlined
from ouroboros.sw.place.instance import Instance, Ints

__all__ = ["DIRECTIONS", "FLIT_BYTES", "TARGET_FLITS", "LinkLoads", "Nets", "link_loads",
           "nets_of", "tree"]

DIRECTIONS = ("east", "west", "south", "north")
"""Links of a core, in the order of ``LinkLoads.bytes``: to x + 1, x - 1, y + 1, y - 1."""
EAST, WEST, SOUTH, NORTH = range(4)
FLIT_BYTES = 32
"""The wafer's flits, 256 bits."""
TARGET_FLITS = 256
"""Cycles of an MVM on the wafer: a link with more flits per token would bind before the arrays."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Nets:
    """Multicasts in rows: sinks of net n are ``sink[start[n]:start[n + 1]]``, all on ``source``."""

    source: Ints
    """Tile that sends, ``(nets,)``."""
    start: Ints
    """``(nets + 1,)``"""
    sink: Ints
    """Tiles that receive."""
    half_bytes: Ints
    """Bytes per token in halves, so that half an edge is whole, ``(nets,)``."""
    known: bool
    """False if these are edges, half each way."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LinkLoads:
    """Loads per token."""

    bytes: npt.NDArray[np.float64]
    """Load of each link, ``(4, cores)``; see ``DIRECTIONS``."""
    tree_byte_hops: int
    """Bytes times links of the trees; a die border counts its extra hops, as in the cost."""
    unicast_byte_hops: int
    """The same if every sink had its own copy."""
    known: bool
    """False if the instance has no nets; then both are the cost in bytes."""

    @property
    def busiest_bytes(self) -> float:
        """Load of the busiest link."""
        return float(self.bytes.max(initial=0.0))

    def busiest_flits(self, flit_bytes: int = FLIT_BYTES) -> float:
        """Flits per token on the busiest link, if packets are full and headers not counted."""
        return self.busiest_bytes / flit_bytes

    @property
    def busiest(self) -> tuple[int, str]:
        """Core and direction of the busiest link."""
        direction, core = divmod(int(self.bytes.argmax()), self.bytes.shape[1])
        return core, DIRECTIONS[direction]


def nets_of(instance: Instance) -> Nets:
    """The instance's nets, or its edges as two unicasts of half the volume."""
    if instance.nets:
        sinks = [np.array(sorted(set(net.sinks) - {net.source}), np.int64)
                 for net in instance.nets]
        return Nets(source=np.array([net.source for net in instance.nets], np.int64),
                    start=np.cumsum([0, *(len(part) for part in sinks)]),
                    sink=np.concatenate(sinks), known=True,
                    half_bytes=np.array([2 * net.volume_bytes for net in instance.nets], np.int64))
    a, b, volume = instance.edges.T
    return Nets(source=np.r_[a, b], start=np.arange(2 * len(a) + 1), sink=np.r_[b, a],
                half_bytes=np.r_[volume, volume] * instance.unit_bytes, known=False)


def link_loads(instance: Instance, core: Ints) -> LinkLoads:
    """Loads of a placement; ``core`` is the core of each tile, ``(tiles,)``."""
    nets, grid = nets_of(instance), instance.grid
    loads = _loads(grid.width, grid.cores, core, nets.source, nets.start, nets.sink,
                   nets.half_bytes).reshape(4, -1)
    lengths = _lengths(grid.u, grid.width), _lengths(grid.v.reshape(-1, grid.width).T.ravel(),
                                                     grid.height)
    east_west = lengths[0]
    south_north = lengths[1].reshape(grid.width, -1).T.ravel()
    tree = int(loads[EAST] @ east_west + loads[SOUTH] @ south_north)
    tree += int(loads[WEST, 1:] @ east_west[:-1])
    tree += int(loads[NORTH, grid.width:] @ south_north[:-grid.width])
    source = core[np.repeat(nets.source, np.diff(nets.start))]
    sink = core[nets.sink]
    hops = abs(grid.u[source] - grid.u[sink]) + abs(grid.v[source] - grid.v[sink])
    unicast = int(np.repeat(nets.half_bytes, np.diff(nets.start)) @ hops)
    return LinkLoads(bytes=loads / 2, tree_byte_hops=tree // 2, unicast_byte_hops=unicast // 2,
                     known=nets.known)


def _lengths(line: Ints, width: int) -> Ints:
    """Hops from each core to the next on its line; 0 at the end of a line."""
    steps = np.diff(line, append=line[-1:])
    steps[width - 1::width] = 0
    return steps


@inlined
def _run(found: Ints, count: int, link: int, step: int, first: int, last: int) -> int:
    """List the links from core ``first`` to core ``last`` on one line, in one direction."""
    while first != last:
        found[count] = link + first
        first += step
        count += 1
    return count


@compiled
def tree(width: int, cores: int, source: int, sinks: Ints, found: Ints) -> int:
    """List the links of the tree from a core to others; a link is ``direction * cores + core``.

    The row of the source carries it as far as the outermost columns of sinks, each of those
    columns as far as its outermost sinks. ``found`` must hold ``2 * cores``; the value is how many
    are used.
    """
    y, count = source // width, 0
    least = most = source
    for sink in sinks:
        branch = sink % width + width * y
        least, most = min(least, branch), max(most, branch)
    count = _run(found, count, EAST * cores, 1, source, most)
    count = _run(found, count, WEST * cores, -1, source, least)
    for n in range(sinks.size):
        branch = sinks[n] % width + width * y
        top = bottom = branch
        mine = True
        for other in range(sinks.size):
            if sinks[other] % width == sinks[n] % width:
                # The column is drawn once, by its first sink.
                mine = mine and other >= n
                top, bottom = min(top, sinks[other]), max(bottom, sinks[other])
        if mine:
            count = _run(found, count, SOUTH * cores, width, branch, bottom)
            count = _run(found, count, NORTH * cores, -width, branch, top)
    return count


@compiled
def _loads(width: int, cores: int, core: Ints, source: Ints, start: Ints, sink: Ints,
           half_bytes: Ints) -> Ints:
    loads = np.zeros(4 * cores, np.int64)
    found = np.empty(2 * cores, np.int64)
    for n in range(source.size):
        used = tree(width, cores, core[source[n]], core[sink[start[n]:start[n + 1]]], found)
        for link in found[:used]:
            loads[link] += half_bytes[n]
    return loads
