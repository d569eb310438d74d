"""The mesh at work: times of packets that are alone, and of those that meet."""

import random
from itertools import pairwise

import pytest

from ouroboros.hw.params.machine import MeshParams
from ouroboros.hw.params.noc import PAYLOAD_FLITS_MAX, NocParams
from ouroboros.hw.params.packet import Port
from ouroboros.hw.params.timing.network import HOP_CYCLES
from ouroboros.sw.noc.cycle.live import FIRST_CYCLES, Event, LiveMesh
from ouroboros.sw.noc.cycle.model import simulate
from ouroboros.sw.noc.experiment.options import LabOptions, TracePacket, Traffic
from ouroboros.sw.noc.routes.xy import path, tree

NOC = NocParams(flit_bits=128, labels=128, class1_vcs=0, class2_vcs=0)
MESH = MeshParams(width=5, height=4, die_width=5, die_height=4)
HOST = (0, 1)


LAB_LOOP_CYCLES = 3
"""Of the laboratory's sinks."""


def live(**changes):
    return LiveMesh(NOC, MESH, MESH.hosts, **changes)


def until_quiet(mesh, limit=10_000):
    """What happened, as (event, packet, at, cycle)."""
    found = []
    while mesh.busy:
        found += [(seen.event, seen.packet, seen.at, seen.cycle) for seen in mesh.advance(limit)]
        assert mesh.cycle < limit, "packets are stuck"
    return found


def links_of(source, targets):
    return [(at, port) for at, mask in tree(source, targets, MESH).items() for port in Port
            if mask >> port & 1]


@pytest.mark.parametrize(("source", "target"), [
    ((1, 1), (1, 1)), ((1, 1), (5, 4)), ((3, 2), (3, 4)), (HOST, (4, 3)), ((2, 3), HOST)])
def test_alone(source, target):
    """Two cycles a router, a flit a cycle; edge ports are as good as cores."""
    mesh, links = live(), path(source, target, MESH)
    assert mesh.send(100, source, [target], links, 4) == 0
    header = 100 + FIRST_CYCLES + HOP_CYCLES * len(links)
    assert sorted(until_quiet(mesh)) == [
        (Event.WENT, 0, source, 103), (Event.HEADER, 0, target, header),
        (Event.TAIL, 0, target, header + 3)]


def test_nothing_happens():
    mesh = live()
    assert [*mesh.advance(1_000_000)] == [] and mesh.cycle == 1_000_000 and not mesh.busy
    mesh.send(2_000_000, (1, 1), [(2, 1)], path((1, 1), (2, 1), MESH), 2)
    assert [*mesh.advance(2_000_000)] == [] and mesh.cycle == 2_000_000 and mesh.busy


def test_packets_of_a_source_follow_each_other():
    mesh, links = live(), path((1, 1), (3, 1), MESH)
    for _ in range(3):
        mesh.send(0, (1, 1), [(3, 1)], links, 9)
    tails = [cycle for event, *_, cycle in until_quiet(mesh) if event is Event.TAIL]
    assert [b - a for a, b in pairwise(tails)] == [9, 9]


def test_control_and_data_take_turns():
    """Flit by flit, on channels of their own; a control packet is of one flit."""
    mesh, links = live(), path((1, 1), (3, 1), MESH)
    data = mesh.send(0, (1, 1), [(3, 1)], links, 9)
    control = [mesh.send(2, (1, 1), [(3, 1)], links, 1, control=True) for _ in range(3)]
    found = until_quiet(mesh)
    went = {packet: cycle for event, packet, _, cycle in found if event is Event.WENT}
    assert went == {data: 8 + 3}
    tails = {packet: cycle - FIRST_CYCLES - HOP_CYCLES * len(links)
             for event, packet, _, cycle in found if event is Event.TAIL}
    assert [tails[n] for n in control] == [2, 4, 6] and tails[data] == went[data]


def test_a_full_way_keeps_its_senders():
    """Two senders, one receiver: whoever is second has its last flit go as late as the buffers
    let it.
    """
    mesh = live()
    for source in ((1, 2), (2, 2)):
        for _ in range(4):
            mesh.send(0, source, [(5, 2)], path(source, (5, 2), MESH), 9)
    found = until_quiet(mesh)
    went = {at: max(cycle for event, _, where, cycle in found
                    if event is Event.WENT and where == at) for at in ((1, 2), (2, 2))}
    tails = [cycle for event, *_, cycle in found if event is Event.TAIL]
    assert min(went.values()) > 4 * 9 - 1, "alone the last flit goes in cycle 35"
    assert max(tails) >= 2 * 4 * 9 + HOP_CYCLES * 4
    assert max(tails) - max(went.values()) <= 2 * NOC.vc_depth * 5


@pytest.mark.parametrize("seed", range(4))
def test_the_same_as_an_experiment(seed):
    """Random packets, trees among them: every one leaves in the cycle of model (a)."""
    rng, trace, sends = random.Random(seed), [], []
    ids = {at: n for n, at in enumerate(MESH.coordinates)}
    for cycle in range(0, 400, 3):
        source, *others = rng.sample(MESH.coordinates, 4)
        if rng.random() < 0.3:
            flits = rng.randint(2, NOC.multicast_flits)
            trace.append(TracePacket(cycle=cycle, source=ids[source], flits=flits,
                                     targets=tuple(sorted(ids[at] for at in others))))
            sends.append((cycle, source, others, links_of(source, others), flits))
        else:
            flits = rng.randint(1, PAYLOAD_FLITS_MAX + 1)
            trace.append(TracePacket(cycle=cycle, source=ids[source], flits=flits,
                                     destination=ids[others[0]]))
            sends.append((cycle, source, others[:1], path(source, others[0], MESH), flits))
    options = LabOptions(noc=NOC, mesh=MESH, traffic=Traffic(pattern="trace", trace=tuple(trace)),
                         warmup_cycles=0, measure_cycles=400)
    want = sorted(simulate(options).latency.tolist())
    mesh = live(core_loop_cycles=LAB_LOOP_CYCLES)
    made = {mesh.send(*one): one[0] for one in sends}
    got = sorted(cycle - made[packet] for event, packet, _, cycle in until_quiet(mesh)
                 if event is Event.TAIL)
    assert got == want
