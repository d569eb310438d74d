"""The cycle model and the RTL draw the same packets and take the same cycles for each."""

import random
from dataclasses import replace

import pytest

from sw.noc import cycle_model
from sw.noc.options import LabOptions, TracePacket
from tb.noc.lab.lab import build_of, job_of, noc_of, perform, report

pytestmark = pytest.mark.sim

SAME = ("packet_latency", "network_latency", "hops_routers", "p50", "p95", "p99", "latency_max",
        "accepted", "accepted_min_node", "accepted_max_node", "injected", "served_min_node",
        "packets_measured", "wrong", "saturated")
DRAWN = LabOptions(width=3, height=3, flit_bits=128, packet_min=1, packet_max=9, rate=0.5,
                   warmup_cycles=100, measure_cycles=400, seed=4)
ONE = replace(DRAWN, vcs=1, class1_vcs=0, class2_vcs=0, rate=0.4)
DIES = replace(DRAWN, width=4, height=2, die_width=2, die_height=1, die_latency_cycles=3,
               die_cycles_per_flit=2, rate=0.25)




def mixed(options, unicast, waypoint, multicast, *, stall=0.0):
    """A trace of all kinds; the three are probabilities of a packet per node and cycle.

    Every node has two multicast groups, which share nodes.
    """
    rng = random.Random(options.seed)
    groups = [[tuple(rng.sample(range(options.nodes), rng.randint(1, 5))) for _ in range(2)]
              for _ in range(options.nodes)]
    packets = []
    for cycle in range(options.warmup_cycles + options.measure_cycles + 200):
        for node in range(options.nodes):
            kind, flits = rng.random(), rng.randint(1, 9)
            end, way = rng.randrange(options.nodes), rng.randrange(options.nodes)
            if kind < unicast + waypoint:
                packets.append(TracePacket(cycle=cycle, source=node, destination=end, flits=flits,
                                           way=-1 if kind < unicast else way))
            elif kind < unicast + waypoint + multicast:
                packets.append(TracePacket(cycle=cycle, source=node,
                                           targets=rng.choice(groups[node]),
                                           flits=min(flits, options.multicast_flits)))
    return replace(options, traffic="trace", trace=tuple(packets), stall=stall)


ALL = replace(DRAWN, labels=32)
ALL_ONE = replace(ALL, vcs=1)
ALL_DEEP = replace(ALL, class1_vcs=2, class2_vcs=0, depth=9)
ALL_DIES = replace(DIES, labels=32)


def ordered(options):
    """Every flow keeps its channel, and so its one way."""
    ways = {}
    return replace(options, ordered=True, trace=tuple(replace(
        packet, way=ways.setdefault((packet.source, packet.destination), packet.way))
        for packet in options.trace))


@pytest.mark.parametrize("points", [
    [DRAWN, replace(DRAWN, ordered=True, stall=0.3),
     replace(DRAWN, traffic="transpose", rate=0.4, seed=8)],
    [ONE, replace(ONE, traffic="hotspot", rate=0.09)],
    [DIES, replace(DIES, rate=0.15, packet_max=1)],
    [mixed(ALL, 0.01, 0.03, 0.04), mixed(ALL, 0.02, 0.02, 0.02, stall=0.3)],
    [mixed(ALL_ONE, 0.02, 0.02, 0.02), mixed(ALL_ONE, 0.03, 0, 0.03)],
    [ordered(mixed(ALL_DEEP, 0.03, 0.03, 0.02))],
    [mixed(ALL_DIES, 0.01, 0.01, 0.01)],
], ids=["two channels", "one channel", "dies", "all kinds", "all kinds, one channel",
        "all kinds, deep, two of class 1", "all kinds, dies"])
def test_same_cycles(points):
    options = points[0]
    built = build_of(noc_of(options), options.width, options.height, "icarus",
                     die_width=options.die_width, die_height=options.die_height)
    outcomes = perform(built, [job_of(point) for point in points], options.nodes)
    for point, outcome in zip(points, outcomes, strict=True):
        rtl, model = report(point, outcome, "icarus"), cycle_model.run(point)
        assert model["packets_measured"] > 50
        assert outcome.dropped == 0
        assert {key: rtl[key] for key in SAME} == {
            key: pytest.approx(model[key], rel=1e-12) for key in SAME}
