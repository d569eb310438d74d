"""Jobs that mix all kinds of packets, with and without faults, to test the routers themselves."""

import random
from dataclasses import dataclass

from ouroboros.hw.params.machine import MeshParams
from ouroboros.hw.params.noc import NocParams
from ouroboros.hw.params.packet import Port, Unit
from ouroboros.hw.params.position import Position
from ouroboros.sw.noc.experiment.traffic import seed_state, threshold
from ouroboros.sw.noc.routes.faults import Faults
from ouroboros.sw.noc.routes.routing import Routes
from ouroboros.sw.noc.routes.xy import labels_for
from ouroboros.tb.noc.lab.job import Job
from ouroboros.tb.noc.lab.node import EVERY_NODE, IN_TURN, UNIFORM, Setting, Table

__all__ = ["Mix", "dead_port_job", "fault_job", "mixed_job", "route_entry"]

GROUP_SIZE_MAX = 6
Write = tuple[int, int, int, int]
"""Node, table, address, data (``Job.writes``)."""


@dataclass(frozen=True, kw_only=True)
class Mix:
    """What the sources make; every share is a probability."""

    packets: int
    """About how many packets all sources make together."""
    rate: float = 0.25
    """Offered flits per node and cycle."""
    flits_min: int = 1
    """Flits of the shortest packet."""
    flits_max: int = 9
    """Flits of the longest."""
    ordered: float = 0.5
    """Share that keeps its channel, in sixteenths."""
    tables: float = 0.2
    """Share of the pairs whose packets go by the routers' tables, on class 2."""
    waypoint: float = 0.3
    """Share of the others with a random waypoint."""
    multicast: float = 0.1
    """Share of multicast, where a node has a group."""
    groups: int = 8
    """Nodes that have one."""
    stall: float = 0.1
    """Probability that a sink gives no credits in a cycle."""
    seed: int = 1
    """Of everything random."""


def route_entry(channels: int, way: int = 0) -> int:
    """Entry of ``Table.ROUTES``: the destination is alive, and how packets go there."""
    return 1 << 22 | channels << 14 | way


def mixed_job(noc: NocParams, mesh: MeshParams, mix: Mix) -> Job:
    """Uniform traffic on every channel, waypoints, tables and multicast trees, stalled sinks."""
    channels = sum(1 << vc for vc in (*range(noc.transit_vc), noc.control_vc))
    writes = _sources(mesh, mix, UNIFORM)
    writes += [(EVERY_NODE, Table.ROUTES, node, route_entry(channels))
               for node in range(mesh.cores)]
    if noc.class1_vcs:
        writes.append((EVERY_NODE, Table.SETTINGS, Setting.WAYPOINT, threshold(mix.waypoint)))
    if noc.class2_vcs:
        routes, places = Routes(Faults(mesh=mesh)), _places(mesh)
        writes += _tables(routes)
        rng = random.Random(mix.seed)
        writes += [(source, Table.ROUTES, number,
                    route_entry(1 << noc.transit_vc, routes.address(at)))
                   for source in range(mesh.cores) for number, at in enumerate(places)
                   if rng.random() < mix.tables]
    writes += _groups(noc, mesh, mix)
    return _job(mesh, mix, writes)


def fault_job(noc: NocParams, routes: Routes, mix: Mix) -> Job:
    """Every live pair in turn, by its route around the faults; the routers' tables are loaded."""
    mesh, faults = routes.mesh, routes.faults
    writes = _sources(mesh, mix, IN_TURN) + _tables(routes)
    number = {at: n for n, at in enumerate(_places(mesh))}
    live = {at for at in number if at not in faults.routers and at not in routes.live.cut_off}
    class0 = sum(1 << vc for vc in noc.class_channels(0))
    for source in number:
        if source not in live:
            writes.append((number[source], Table.SETTINGS, Setting.STOP, 0))
            continue
        for destination in number:
            entry = 0
            if destination in live:
                route = routes.route(source, destination)
                channels = class0 if route.route_class < 2 else 1 << noc.transit_vc
                entry = route_entry(channels, route.way[0] | route.way[1] << 7)
            writes.append((number[source], Table.ROUTES, number[destination], entry))
    return _job(mesh, mix, writes)


def dead_port_job(noc: NocParams, mesh: MeshParams) -> Job:
    """XY traffic to every node in turn while EAST of node 0 is dead and no route avoids it."""
    mix = Mix(packets=3 * mesh.cores ** 2, rate=0.1, stall=0.0)
    writes = _sources(mesh, mix, IN_TURN)
    class0 = sum(1 << vc for vc in noc.class_channels(0))
    writes += [(EVERY_NODE, Table.ROUTES, node, route_entry(class0))
               for node in range(mesh.cores)]
    writes.append((0, Table.DEAD, 0, 1 << Port.EAST))
    # Numbers of the lost packets are missing at their sinks, where ordered ones would show it.
    writes.append((EVERY_NODE, Table.SETTINGS, Setting.ORDERED, 0))
    return _job(mesh, mix, writes)


def _places(mesh: MeshParams) -> list[Position]:
    return [(x, y) for y in range(1, mesh.height + 1) for x in range(1, mesh.width + 1)]


def _tables(routes: Routes) -> list[Write]:
    """What the routers must be told."""
    number = {at: n for n, at in enumerate(_places(routes.mesh))}
    tables = {Unit.ROUTER: Table.DEAD, Unit.DIES: Table.DIES, Unit.CORES: Table.CORES}
    return [(number[write.at], tables[write.unit], write.address + n, value)
            for write in routes.writes() for n, value in enumerate(write.values)]


def _sources(mesh: MeshParams, mix: Mix, destination: int) -> list[Write]:
    nodes = mesh.cores
    mean = (mix.flits_min + mix.flits_max) / 2
    settings = {
        Setting.SIZE: nodes << 8 | mesh.width,
        Setting.PACKET: threshold(mix.rate / mean),
        Setting.DESTINATION: destination,
        Setting.LENGTH: mix.flits_max - mix.flits_min + 1 << 4 | mix.flits_min - 1,
        Setting.ORDERED: round(16 * mix.ordered),
        Setting.STALL: threshold(mix.stall),
        Setting.STOP: _stop(nodes, mix),
        Setting.WINDOW_END: (1 << 32) - 1,
    }
    writes: list[Write] = [
        (EVERY_NODE, Table.SETTINGS, setting, value) for setting, value in settings.items()]
    for node in range(nodes):
        writes.append((node, Table.SETTINGS, Setting.SOURCE_STATE, seed_state(mix.seed, node)))
        writes.append((node, Table.SETTINGS, Setting.SINK_STATE,
                       seed_state(mix.seed, node, sink=True)))
    return writes


def _stop(nodes: int, mix: Mix) -> int:
    """Cycle in which about ``mix.packets`` have been made."""
    return round(mix.packets / nodes / (mix.rate / ((mix.flits_min + mix.flits_max) / 2)))


def _groups(noc: NocParams, mesh: MeshParams, mix: Mix) -> list[Write]:
    """A multicast group for some of the nodes, and the labels of its tree."""
    rng = random.Random(mix.seed)
    places = _places(mesh)
    number = {at: n for n, at in enumerate(places)}
    groups = [(source, rng.sample(places, min(len(places), rng.randint(1, GROUP_SIZE_MAX))))
              for source in rng.sample(places, min(len(places), mix.groups))]
    labels = labels_for(groups, mesh, noc.labels)
    writes = [(number[at], int(Table.LABELS), label, ports)
              for at, table in labels.entries.items() for label, ports in table.items()]
    for (source, members), label in zip(groups, labels.numbers, strict=True):
        node = number[source]
        writes.append((node, Table.SETTINGS, Setting.LABEL, len(members) << 7 | label))
        writes.append((node, Table.SETTINGS, Setting.MULTICAST, threshold(mix.multicast)))
        writes += [(number[member], Table.GROUP, node, 1) for member in members]
    return writes


def _job(mesh: MeshParams, mix: Mix, writes: list[Write]) -> Job:
    cycles = _stop(mesh.cores, mix)
    # A network that is offered too much takes longer than its sources; an idle one ends the job.
    return Job(writes=writes, run_cycles=cycles, drain_cycles=3 * cycles + 20000, until_quiet=True)
