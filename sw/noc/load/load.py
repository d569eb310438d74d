"""Model (b): load and contention of every link from flows alone, for meshes of any size.

A flow is a stream of packets from one router to another, or a branch of a multicast tree. Loads
come from difference arrays along rows and columns and waits are read back from prefix sums, so a
leg of XY costs a few additions, however long it is.

A packet that comes to an output by one input waits for packets of the *other* inputs (those of its
own came one after the other already):

    wait = (load - own) * R / (1 - load - blocking * mixed)
    R = sum(rate * S * (S + sharing * (S - c))) / (2 * sum(rate * S))
    mixed = sum(own * (load - own) * elsewhere) / load, over the inputs of the link

``load`` is the share of cycles in which the link is busy, ``own`` the part of it that comes by the
packet's own input, ``elsewhere`` the share of that input's flits that go to other outputs; packets
come at ``rate`` and occupy the link for S cycles, each of their flits for c. With ``own`` = 0,
``blocking`` = 0 and ``sharing`` = 0 this is the mean wait of M/G/1, first come first served
(Pollaczek-Khinchine; Kleinrock, Queueing Systems I, 1975, eq. 5.70), and with ``sharing`` = 1 and
short flits that of processor sharing (Kleinrock II, 1976, eq. 4.17): virtual channels take turns
flit by flit, so that a packet also waits for those that come after it. Leaving the own input out
follows Ogras, Bogdan, Marculescu, An analytical approach for network-on-chip performance analysis,
IEEE TCAD 2010, sec. IV. ``blocking`` is what finite buffers cost where streams mix: a packet that
waits holds up others behind it that go elsewhere, and those are missed at an output that is idle. A
link that one input fills, or inputs that have nothing for others, and an exit lose nothing. Both
constants are fitted to the cycle model, per number and depth of channels (``sw.noc.load.fit``).
The queue of a source is Geo/G/1: sum(rate * L * (L - 1)) / (2 * (1 - sum(rate * L))) for packets of
L flits. What else multicast packets do to each other and to unicast stands in ``trees`` and
``_tree_waits``.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ouroboros.hw.params.machine import MeshParams
from ouroboros.hw.params.noc import NocParams
from ouroboros.hw.params.timing.network import crossing_cycles
from ouroboros.sw.noc.errors import NocError
from ouroboros.sw.noc.experiment.options import NOC
from ouroboros.sw.noc.load.kernels import EAST, LOCAL, NORTH, SOUTH, WEST, add_flows, walk_flows
from ouroboros.sw.noc.load.trees import (
    EXIT_LOOP,
    HELD,
    HELD_SQUARE,
    LINK_LOOP,
    LONGER,
    STRAIGHT,
    WORK,
    WORK_SQUARE,
)
from ouroboros.sw.noc.routes.live import Ints

__all__ = ["Flows", "LinkLoads", "LinkParams", "link_loads"]

Floats = npt.NDArray[np.float64]
ROUNDING = 1e-9
"""Load that is no load."""
INFINITE = 1e30
"""A wait without end in sums that must stay numbers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LinkParams:
    """What the model must know about links and routers."""

    mesh: MeshParams
    """Extent, and dies whose borders cross links."""
    noc: NocParams = NOC
    """Routers; their buffers, and the wires between dies, count."""
    blocking: float = 0.0
    """Capacity that a link loses for mixed load; 0 to 4."""
    sharing: float = 0.0
    """How far packets share links flit by flit; 0 (one after the other) to 1.5."""

    def __post_init__(self) -> None:
        if not 0 <= self.blocking <= 4:
            raise NocError(f"blocking must be 0 to 4, not {self.blocking!r}")
        if not 0 <= self.sharing <= 1.5:
            raise NocError(f"sharing must be 0 to 1.5, not {self.sharing!r}")


def _none(*shape: int) -> Ints:
    return np.zeros(shape, np.int32)


@dataclass(frozen=True, kw_only=True, slots=True)
class Flows:
    """Flows of packets, routers being numbered x + width * y from 0.

    Raises
    ------
    NocError
        If lengths differ, or trees do not count up from 0.
    """

    sources: Ints
    """(flows,): first router."""
    ends: Ints
    """(flows,): last router."""
    rates: Floats
    """(flows,): packets per cycle; branches of one tree are the same packets."""
    flits: Ints
    """(flows,): flits of a packet, header included."""
    vias: Ints = field(default_factory=lambda: _none(0, 0))
    """(flows, n): routers between legs of XY, -1 after the last; empty if there are none."""
    trees: Ints = field(default_factory=lambda: _none(0))
    """(flows,): number of each flow's tree, ascending from 0; empty if all are unicast."""

    def __post_init__(self) -> None:
        for name in ("ends", "rates", "flits", "vias", "trees"):
            size = len(getattr(self, name))
            if size != len(self.sources) and (size or name in ("ends", "rates", "flits")):
                raise NocError(f"{name} must be one for each of {len(self.sources)} flows, "
                               f"not {size}")
        if len(self.trees) and (self.trees[0] != 0 or not set(np.diff(self.trees)) <= {0, 1}):
            raise NocError("trees must number all flows from 0, those of a tree together")


@dataclass(frozen=True, kw_only=True, slots=True)
class LinkLoads:
    """What flows do to the network."""

    load: Floats
    """(5, routers): share of cycles in which each output is busy, by ``link_kernels`` (east, west,
    south, north, local); over 1: more than it can carry."""
    held: Floats
    """(5, routers): share of cycles in which a multicast packet could not start by each output,
    since others use the link or lie in the buffer beyond; 0 where no tree goes."""
    flits: Floats
    """(5, routers): flits per cycle of each output."""
    latency: Floats
    """(flows,): mean cycles from made to tail out; inf where a link is beyond its capacity."""
    zero_load: Floats
    """(flows,): the same in an empty network."""

    @property
    def busiest(self) -> float:
        """Load of the busiest link between routers."""
        return float(self.load[:4].max())

    @property
    def flit_hops(self) -> float:
        """Flits per cycle, summed over all links between routers."""
        return float(self.flits[:4].sum())


def link_loads(params: LinkParams, flows: Flows) -> LinkLoads:
    """Loads of all links and mean latency of all flows."""
    mesh = params.mesh
    count, nodes = len(flows.sources), mesh.cores
    vias = flows.vias if len(flows.vias) else _none(count, 0)
    trees = flows.trees if len(flows.trees) else np.arange(count, dtype=np.int32)
    points = np.column_stack([flows.sources, vias, flows.ends]).astype(np.int32)
    rates, flits = flows.rates.astype(np.float64), flows.flits.astype(np.int32)
    crossing = _crossings(mesh)
    slow = np.where(crossing, params.noc.die_cycles_per_flit, 1)
    # Flits and flits squared per cycle: by output as differences, by output and input where a
    # flow enters a line; by source; of trees by output and input.
    lines = np.zeros((2, 4, mesh.height + 1, mesh.width + 1))
    enters = np.zeros((5, 5, nodes))
    local, sourced = np.zeros((2, nodes)), np.zeros((2, nodes))
    sums = np.zeros((5, 5, 6, nodes))
    add_flows(mesh.width, points, rates, flits, trees, params.noc.vc_depth, slow * crossing, lines,
              enters, local, sourced, sums)
    along = np.stack([lines.cumsum(axis=3)[:, EAST], lines.cumsum(axis=3)[:, WEST],
                      lines.cumsum(axis=2)[:, SOUTH], lines.cumsum(axis=2)[:, NORTH]], axis=1)
    along = along[:, :, :-1, :-1].reshape(2, 4, nodes)
    work, square = (np.concatenate([part, [own]]) for part, own in zip(along, local, strict=True))

    straight = np.concatenate([work[:4] - enters[:4].sum(axis=1), np.zeros((1, nodes))])
    own = slow[:, None] * np.concatenate([enters, straight[:, None]], axis=1)
    waits = _waits(own, slow**2 * _served(params, work, square),
                   params.blocking * _mixed(own, slow))
    tree_waits, held = _tree_waits(params, own, work, square, slow, sums)
    with np.errstate(divide="ignore", invalid="ignore"):
        queue = 1 - sourced[0]
        source_wait = np.where(queue > 0, sourced[1] / (2 * queue), np.inf)
    entering, going = np.ascontiguousarray(waits[:, :5]), waits[:4, 5]
    extra = np.where(crossing[:4], float(crossing_cycles(params.noc)), 0.0)
    shape = (4, mesh.height, mesh.width)
    zero, latency = walk_flows(
        mesh.width, points, flits, trees, *_prefixes(going.reshape(shape)), entering,
        extra, *_prefixes(extra.reshape(shape)), params.noc.die_cycles_per_flit - 1, source_wait,
        np.where(np.isinf(tree_waits), INFINITE, tree_waits))
    return LinkLoads(load=slow * work, held=held, flits=work, latency=latency, zero_load=zero)


def _tree_waits(params: LinkParams, own: Floats, work: Floats, square: Floats, slow: Ints,
                sums: Floats) -> tuple[Floats, Floats]:
    """Waits (5, inputs, routers) of packets of trees, and how far outputs are held for them.

    Each other holds a link for longer than its flits take (``link_trees``). So do those unicast
    packets that go by the channel of trees, as credits for all flits of a copy must be back. They
    prefer it, and find it empty with the probability p = 1 - held by trees - p * held by them.
    """
    unicast = own - slow[:, None] * sums[WORK]
    tree_work, tree_square, held = (sums[n].sum(axis=1) for n in (WORK, WORK_SQUARE, HELD))
    alone, alone_square = work - tree_work, square - tree_square
    loop = np.full((5, 1), LINK_LOOP)
    loop[LOCAL] = EXIT_LOOP
    with np.errstate(divide="ignore", invalid="ignore"):
        length = np.where(tree_work > 0, tree_square / tree_work, 0)
        own_length = np.where(alone > ROUNDING, alone_square / alone, 1)
        longer = np.maximum(length - params.noc.vc_depth + loop, 0) / own_length / slow
        mine = alone * slow * (1 + longer)
        empty = np.clip((1 - held) / (1 + mine), 0, 1)
    stretch = 1 + empty * longer
    squares = 1 + empty * longer * (2 + longer)
    own = unicast * stretch[:, None] + sums[HELD]
    waits = _waits(
        own,
        slow**2 * squares * _served(params, alone, alone_square) + sums[HELD_SQUARE].sum(axis=1),
        params.blocking * _mixed(unicast, slow), sums[LONGER])
    return waits, np.where(tree_work > 0, own.sum(axis=1), 0)


def _served(params: LinkParams, work: Floats, square: Floats) -> Floats:
    """Sum of rate * S * (S + sharing * (S - 1)) over packets of S flits."""
    return (1 + params.sharing) * square - params.sharing * work


def _others(own: Floats) -> Floats:
    """What comes by other inputs than each; differences of sums leave rests of rounding."""
    load = own.sum(axis=1)[:, None]
    return np.where(own < load - ROUNDING, load - own, 0)


def _mixed(own: Floats, slow: Ints) -> Floats:
    """How far load (5, inputs, routers) of several inputs mixes at each output, but for exits.

    What an input has for an output counts as far as the input's other packets go elsewhere;
    ``slow`` (5, routers) are cycles per flit.
    """
    load = own.sum(axis=1)
    flits = own / slow[:, None]
    # Straight on and round a corner from the same direction: one input.
    came = flits[:, :5].sum(axis=0)
    came[:4] += flits[range(4), STRAIGHT]
    came = np.concatenate([np.broadcast_to(came, (5, *came.shape)), came[:, None]], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        elsewhere = np.where(flits < came - ROUNDING, 1 - flits / came, 0)
        mixed = np.where(load > 0, (own * _others(own) * elsewhere).sum(axis=1) / load, 0)
    mixed[LOCAL] = 0
    return mixed


def _waits(own: Floats, served: Floats, lost: Floats, longer: Floats | None = None) -> Floats:
    """Waits (5, inputs, routers) at the outputs for ``own`` (5, inputs, routers) load by input.

    ``served`` (5, routers) is that of all inputs, ``lost`` the capacity that blocking costs. With
    ``longer`` packets wait also for those ahead of them that came by the same input, as they hold
    this output longer than that input.
    """
    load = own.sum(axis=1)
    other = _others(own)
    with np.errstate(divide="ignore", invalid="ignore"):
        residual = np.where(load > 0, served / (2 * load), 0)
        room = 1 - load - lost
        waits: Floats = np.where(other > 0, other * residual[:, None] / room[:, None], 0)
        if longer is not None:
            waits += np.where(longer > 0, longer / (2 * room[:, None]), 0)
    # Beyond its capacity nothing gets through a link, whatever input it comes by.
    waits += np.where((room <= 0) & (load > 0), np.inf, 0)[:, None]
    return waits


def _crossings(mesh: MeshParams) -> npt.NDArray[np.bool_]:
    """(5, routers): whether an output crosses a die border."""
    ids = np.arange(mesh.cores)
    x, y = ids % mesh.width, ids // mesh.width
    found = np.zeros((5, mesh.cores), np.bool_)
    found[EAST] = ((x + 1) % mesh.die_width == 0) & (x + 1 < mesh.width)
    found[WEST] = (x % mesh.die_width == 0) & (x > 0)
    found[SOUTH] = ((y + 1) % mesh.die_height == 0) & (y + 1 < mesh.height)
    found[NORTH] = (y % mesh.die_height == 0) & (y > 0)
    return found


def _prefixes(values: Floats) -> tuple[Floats, Floats]:
    """Sums up to, not including, each router: along rows (east, west), columns (south, north).

    Infinite values are taken as ``INFINITE``, so that differences of sums stay numbers.
    """
    finite = np.where(np.isinf(values), INFINITE, values)
    rows = np.zeros((2, values.shape[1], values.shape[2] + 1))
    columns = np.zeros((2, values.shape[1] + 1, values.shape[2]))
    rows[:, :, 1:] = finite[[EAST, WEST]].cumsum(axis=2)
    columns[:, 1:, :] = finite[[SOUTH, NORTH]].cumsum(axis=1)
    return rows, columns
