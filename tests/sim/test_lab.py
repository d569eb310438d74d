from collections import Counter
from dataclasses import replace

import pytest

from hw.noc.die_link import DieLink
from hw.params.format import Format
from hw.params.noc import NocParams
from hw.params.packet import ROUTE
from sw.noc.errors import NocError
from sw.noc.faults import random_faults
from sw.noc.options import LabOptions, TracePacket
from sw.noc.result import KEYS
from sw.noc.routing import Routes
from sw.noc.traffic import generate
from tb.noc.lab.lab import build_of, job_of, noc_of, perform, report
from tb.noc.lab.mixed import Mix, dead_port_job, fault_job, mesh_of, mixed_job
from tb.noc.lab.node import Count, Error

pytestmark = pytest.mark.sim

NOC = NocParams(vcs=2, vc_depth=9, labels=16)
SIDE = 8
SETS = 12
FAULTS = [(0, 1), (0, 4), (0, 8), (0, 16), (1, 0), (3, 0)]   # routers, links


def all_pairs(width, height):
    """A trace of one packet for each pair, so far apart that none meets another."""
    nodes, gap = width * height, 10
    per_source = nodes * gap + 2 * (width + height) + 20
    return LabOptions(
        width=width, height=height, traffic="trace", warmup_cycles=0,
        measure_cycles=nodes * per_source,
        trace=tuple(TracePacket(cycle=source * per_source + n * gap, source=source, destination=n,
                                flits=1 + (source + n) % 9)
                    for source in range(nodes) for n in range(nodes)))


def clean(outcome):
    """Everything sent has come, once, at the right place, whole and in order."""
    wrong = [(at, Error(n >> 22 & 15).name) for at, node in enumerate(outcome.nodes)
             if (n := node[Count.FIRST_ERROR])]
    assert not wrong
    assert outcome.total(Count.ERRORS) == 0
    assert outcome.finished, "packets are missing"


def check_all_pairs(outcome, pairs):
    """T0 = 3 + 2 H + (L - 1), exactly, for every pair."""
    clean(outcome)
    assert outcome.total(Count.DONE) == pairs
    assert outcome.total(Count.TOO_FAST) == 0
    assert max(node[Count.EXCESS_MAX] for node in outcome.nodes) == 0


def check_faults(outcome, routes):
    """Every live pair was served; those with a live XY path by it, no others."""
    clean(outcome)
    assert outcome.dropped == 0
    mesh = routes.mesh
    places = [(x, y) for y in range(1, mesh.height + 1) for x in range(1, mesh.width + 1)]
    live = [at not in routes.faults.routers and at not in routes.live.cut_off for at in places]
    expected = Counter()
    for n, source in enumerate(places):
        made = outcome.nodes[n][Count.SENT] + outcome.nodes[n][Count.REFUSED]
        assert made >= 2 * len(places) * live[n], "a pair had no packet"
        for k in range(made):
            to = k % len(places)
            if live[to]:
                expected[routes.route(source, places[to]).route_class] += 1
    assert [outcome.total(Count.BY_CLASS + n) for n in range(3)] == [expected[n] for n in range(3)]


def check_drops(outcome):
    """Every packet towards the dead port is dropped and counted, all others come; one is latched.

    The dead port is the EAST of node 0: of its packets, those to another column are lost, and
    nobody else's.
    """
    assert outcome.total(Count.ERRORS) == 0
    assert outcome.finished, "packets are missing"
    side = int(len(outcome.nodes) ** 0.5)
    made = outcome.nodes[0][Count.SENT]
    assert made > len(outcome.nodes)
    assert outcome.dropped == sum(n % len(outcome.nodes) % side != 0 for n in range(made))
    (node, header), = outcome.latched
    fields = Format(ROUTE).unpack(header)
    assert node == 0
    assert (fields["src_x"], fields["src_y"]) == (1, 1)
    assert fields["dst_x"] > 1


def test_lab():
    """8 x 8 under Verilator: zero load, 100,000 mixed packets, six sets of faults, dead ports."""
    built = build_of(NOC, SIDE, SIDE)
    nodes = SIDE * SIDE
    routes = [Routes(random_faults(mesh_of(SIDE, SIDE), routers, links, seed=7))
              for routers, links in FAULTS]
    mix = Mix(packets=3 * nodes * nodes, rate=0.1, seed=3)
    pairs, mixed, dropping, *faults = perform(built, [
        job_of(all_pairs(SIDE, SIDE)),
        mixed_job(NOC, SIDE, SIDE, Mix(packets=100_000)),
        dead_port_job(NOC, SIDE, SIDE),
        *(fault_job(NOC, each, mix) for each in routes)], nodes)
    check_all_pairs(pairs, nodes * nodes)
    clean(mixed)
    assert mixed.dropped == 0
    assert mixed.total(Count.RECEIVED) >= 100_000
    assert all(mixed.total(Count.BY_CLASS + n) for n in (0, 1, 3))
    assert 0.3 < mixed.total(Count.IN_ORDER) / mixed.total(Count.RECEIVED) < 0.7
    for outcome, each in zip(faults, routes, strict=True):
        check_faults(outcome, each)
    check_drops(dropping)


def test_short_lab():
    """The same bench on 3 x 3 under Icarus."""
    nodes = 9
    routes = Routes(random_faults(mesh_of(3, 3), routers=1, links=0, seed=7))
    built = build_of(NOC, 3, 3, "icarus")
    pairs, mixed, faults, dropping = perform(built, [
        job_of(all_pairs(3, 3)), mixed_job(NOC, 3, 3, Mix(packets=200, stall=0.3)),
        fault_job(NOC, routes, Mix(packets=3 * nodes * nodes, rate=0.1)),
        dead_port_job(NOC, 3, 3)], nodes)
    check_all_pairs(pairs, nodes * nodes)
    clean(mixed)
    check_faults(faults, routes)
    check_drops(dropping)


def test_dies():
    """A border adds ``DieLink.extra_cycles`` to every packet that crosses it, and no error."""
    options = replace(all_pairs(4, 2), vcs=1, class1_vcs=0, class2_vcs=0, depth=4, flit_bits=128,
                      die_width=2, die_height=1, die_latency_cycles=3)
    built = build_of(noc_of(options), 4, 2, "icarus", die_width=2, die_height=1)
    outcome, = perform(built, [job_of(options)], 8)
    clean(outcome)
    assert outcome.total(Count.DONE) == 64
    extra = DieLink.extra_cycles(noc_of(options))
    assert [node[Count.EXCESS_MAX] for node in outcome.nodes] == [2 * extra] * 8
    assert outcome.total(Count.TOO_FAST) == 0


def test_same_packets_as_the_reference():
    """Sources make the packets of ``sw.noc.traffic.generate``, to the cycle."""
    options = LabOptions(width=3, height=2, vcs=1, class1_vcs=0, class2_vcs=0, depth=4,
                         flit_bits=128, packet_min=1, packet_max=5, rate=0.3,
                         warmup_cycles=0, measure_cycles=300, seed=5)
    built = build_of(noc_of(options), 3, 2, "icarus")
    outcome, = perform(built, [job_of(options)], 6)
    clean(outcome)
    made = [*generate(options, 300)]
    assert outcome.total(Count.MEASURED) == len(made) > 100
    routers = sum(abs(p.source % 3 - p.destination % 3) + abs(p.source // 3 - p.destination // 3)
                  + 1 for p in made)
    assert outcome.total(Count.ROUTERS) == routers
    found = report(options, outcome, "icarus")
    assert set(KEYS) <= found.keys()
    assert found["packet_latency"] * len(made) == pytest.approx(
        sum(n * count for n, count in enumerate(outcome.histogram)))


@pytest.mark.slow
@pytest.mark.parametrize("routers, links", FAULTS)
def test_many_faults(routers, links):
    """Every live pair of 8 x 8 is served, by its XY path where that is alive, with no deadlock."""
    built = build_of(NOC, SIDE, SIDE)
    nodes = SIDE * SIDE
    routes = []
    for seed in range(100, 200):
        try:
            routes.append(Routes(random_faults(mesh_of(SIDE, SIDE), routers, links, seed)))
        except NocError:    # no mesh of live cores in one piece
            continue
        if len(routes) == SETS:
            break
    mix = Mix(packets=3 * nodes * nodes, rate=0.1, seed=routers + links)
    outcomes = perform(built, [fault_job(NOC, each, mix) for each in routes], nodes)
    for outcome, each in zip(outcomes, routes, strict=True):
        check_faults(outcome, each)


@pytest.mark.slow
@pytest.mark.parametrize("rate, stall", [(0.25, 0.1), (0.5, 0.0)])
def test_a_million_packets(rate, stall):
    """All lengths, channels of XY and classes, multicast, stalls; the second one overloads."""
    built = build_of(NOC, SIDE, SIDE)
    outcome, = perform(built, [mixed_job(NOC, SIDE, SIDE, Mix(
        packets=1_000_000, rate=rate, stall=stall, seed=11))], SIDE * SIDE)
    clean(outcome)
    assert outcome.dropped == 0
    assert outcome.total(Count.RECEIVED) >= 1_000_000
