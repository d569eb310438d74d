"""The cycle model and the RTL draw the same packets and take the same cycles for each."""

from dataclasses import replace

import pytest

from sw.noc import cycle_model
from sw.noc.options import LabOptions
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


@pytest.mark.parametrize("options, others", [
    (DRAWN, [{"ordered": True}, {"traffic": "transpose", "rate": 0.4, "seed": 8}]),
    (ONE, [{"traffic": "hotspot", "rate": 0.09}]),
    (DIES, [{"rate": 0.15, "packet_max": 1}]),
], ids=["two channels", "one channel", "dies"])
def test_same_cycles(options, others):
    points = [options, *(replace(options, **other) for other in others)]
    built = build_of(noc_of(options), options.width, options.height, "icarus",
                     die_width=options.die_width, die_height=options.die_height)
    outcomes = perform(built, [job_of(point) for point in points], options.nodes)
    for point, outcome in zip(points, outcomes, strict=True):
        rtl, model = report(point, outcome, "icarus"), cycle_model.run(point)
        assert model["packets_measured"] > 50
        assert {key: rtl[key] for key in SAME} == {
            key: pytest.approx(model[key], rel=1e-12) for key in SAME}
