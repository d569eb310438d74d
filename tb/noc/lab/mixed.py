"""Jobs that mix all kinds of packets, with and without faults, to test the routers themselves."""

import random
from dataclasses import dataclass

from hw.params.machine import MeshParams
from hw.params.noc import NocParams
from hw.params.packet import Port, Unit
from sw.golden.noc.route import Position, labels_for
from sw.noc.routing import Routes
from sw.noc.traffic import seed_state, threshold
from tb.noc.lab.job import Job
from tb.noc.lab.node import EVERY_NODE, IN_TURN, UNIFORM, Setting, Table

__all__ = ["Mix", "dead_port_job", "fault_job", "mesh_of", "mixed_job", "route_entry"]

GROUP_SIZE_MAX = 6


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
    waypoint: float = 0.3
    """Share with a random waypoint."""
    multicast: float = 0.1
    """Share of multicast, where a node has a group."""
    groups: int = 8
    """Nodes that have one."""
    stall: float = 0.1
    """Probability that a sink gives no credits in a cycle."""
    seed: int = 1
    """Of everything random."""


def mesh_of(width: int, height: int) -> MeshParams:
    """A mesh of one die."""
    return MeshParams(width=width, height=height, die_width=width, die_height=height)


def route_entry(channels: int, way: int = 0) -> int:
    """Entry of ``Table.ROUTES``: the destination is alive, and how packets go there."""
    return 1 << 22 | channels << 14 | way


def mixed_job(noc: NocParams, width: int, height: int, mix: Mix) -> Job:
    """Uniform traffic on every XY channel, waypoints and multicast trees, stalled sinks."""
    xy = range(noc.transit_vc)
    channels = sum(1 << vc for vc in (*xy, noc.control_vc))
    writes = _sources(noc, width, height, mix, UNIFORM)
    writes += [(EVERY_NODE, Table.ROUTES, node, route_entry(channels))
               for node in range(width * height)]
    if noc.class1_vcs:
        writes.append((EVERY_NODE, Table.SETTINGS, Setting.WAYPOINT, threshold(mix.waypoint)))
    writes += _groups(noc, mesh_of(width, height), mix)
    return _job(width, height, mix, writes)


def fault_job(noc: NocParams, routes: Routes, mix: Mix) -> Job:
    """Every live pair in turn, by its route around the faults; the routers' tables are loaded."""
    mesh, faults = routes.mesh, routes.faults
    writes = _sources(noc, mesh.width, mesh.height, mix, IN_TURN)
    number = {at: n for n, at in enumerate(_places(mesh))}
    tables = {Unit.ROUTER: Table.DEAD, Unit.DIES: Table.DIES, Unit.CORES: Table.CORES}
    for write in routes.writes():
        writes += [(number[write.at], tables[write.unit], write.address + n, value)
                   for n, value in enumerate(write.values)]
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
    return _job(mesh.width, mesh.height, mix, writes)


def dead_port_job(noc: NocParams, width: int, height: int) -> Job:
    """XY traffic to every node in turn while EAST of node 0 is dead and no route avoids it."""
    mix = Mix(packets=3 * (width * height) ** 2, rate=0.1, stall=0.0)
    writes = _sources(noc, width, height, mix, IN_TURN)
    class0 = sum(1 << vc for vc in noc.class_channels(0))
    writes += [(EVERY_NODE, Table.ROUTES, node, route_entry(class0))
               for node in range(width * height)]
    writes.append((0, Table.DEAD, 0, 1 << Port.EAST))
    # Numbers of the lost packets are missing at their sinks, where ordered ones would show it.
    writes.append((EVERY_NODE, Table.SETTINGS, Setting.ORDERED, 0))
    return _job(width, height, mix, writes)


def _places(mesh: MeshParams) -> list[Position]:
    return [(x, y) for y in range(1, mesh.height + 1) for x in range(1, mesh.width + 1)]


def _sources(noc: NocParams, width: int, height: int, mix: Mix,
             destination: int) -> list[tuple[int, int, int, int]]:
    nodes = width * height
    mean = (mix.flits_min + mix.flits_max) / 2
    settings = {
        Setting.SIZE: nodes << 8 | width,
        Setting.PACKET: threshold(mix.rate / mean),
        Setting.DESTINATION: destination,
        Setting.LENGTH: mix.flits_max - mix.flits_min + 1 << 4 | mix.flits_min - 1,
        Setting.ORDERED: round(16 * mix.ordered),
        Setting.STALL: threshold(mix.stall),
        Setting.STOP: _stop(nodes, mix),
        Setting.WINDOW_END: (1 << 32) - 1,
    }
    writes: list[tuple[int, int, int, int]] = [
        (EVERY_NODE, Table.SETTINGS, setting, value) for setting, value in settings.items()]
    for node in range(nodes):
        writes.append((node, Table.SETTINGS, Setting.SOURCE_STATE, seed_state(mix.seed, node)))
        writes.append((node, Table.SETTINGS, Setting.SINK_STATE,
                       seed_state(mix.seed, node, sink=True)))
    return writes


def _stop(nodes: int, mix: Mix) -> int:
    """Cycle in which about ``mix.packets`` have been made."""
    return round(mix.packets / nodes / (mix.rate / ((mix.flits_min + mix.flits_max) / 2)))


def _groups(noc: NocParams, mesh: MeshParams, mix: Mix) -> list[tuple[int, int, int, int]]:
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


def _job(width: int, height: int, mix: Mix, writes: list[tuple[int, int, int, int]]) -> Job:
    cycles = _stop(width * height, mix)
    # A network that is offered too much takes longer than its sources; an idle one ends the job.
    return Job(writes=writes, run_cycles=cycles, drain_cycles=3 * cycles + 20000, until_quiet=True)
