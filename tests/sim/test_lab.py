from collections import Counter

import pytest

from hw.params.noc import NocParams
from sw.noc.faults import random_faults
from sw.noc.options import LabOptions, TracePacket
from sw.noc.routing import Routes
from tb.noc.lab.lab import build_of, job_of, perform
from tb.noc.lab.mixed import Mix, fault_job, mesh_of, mixed_job
from tb.noc.lab.node import Count, Error

NOC = NocParams(vcs=2, vc_depth=9, labels=16)
SIDE = 8
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
            to = (k + 0) % len(places)
            if live[to]:
                expected[routes.route(source, places[to]).route_class] += 1
    assert [outcome.total(Count.BY_CLASS + n) for n in range(3)] == [expected[n] for n in range(3)]


@pytest.mark.sim
def test_lab():
    """8 x 8 under Verilator: zero load, 100,000 mixed packets, six sets of faults, dead ports."""
    built = build_of(NOC, SIDE, SIDE)
    nodes = SIDE * SIDE
    routes = [Routes(random_faults(mesh_of(SIDE, SIDE), routers, links, seed=7))
              for routers, links in FAULTS]
    mix = Mix(packets=3 * nodes * nodes, rate=0.1, seed=3)
    pairs, mixed, *faults = perform(built, [
        job_of(all_pairs(SIDE, SIDE)),
        mixed_job(NOC, SIDE, SIDE, Mix(packets=100_000)),
        *(fault_job(NOC, each, mix) for each in routes)], nodes)
    check_all_pairs(pairs, nodes * nodes)
    clean(mixed)
    assert mixed.dropped == 0
    assert mixed.total(Count.RECEIVED) >= 100_000
    assert all(mixed.total(Count.BY_CLASS + n) for n in (0, 1, 3))
    assert 0.3 < mixed.total(Count.IN_ORDER) / mixed.total(Count.RECEIVED) < 0.7
    for outcome, each in zip(faults, routes, strict=True):
        check_faults(outcome, each)
