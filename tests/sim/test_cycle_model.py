"""The cycle model and the RTL draw the same packets and take the same cycles for each."""

import json
import random
from dataclasses import replace

import pytest
from click.testing import CliRunner

from ouroboros.sw.cli import main
from ouroboros.sw.noc.cycle import model as cycle_model
from ouroboros.sw.noc.experiment.options import TracePacket, experiment
from ouroboros.tb.noc.lab.lab import build_of, job_of, perform, report
from ouroboros.tb.noc.lab.node import TRACE_PACKETS_MAX

pytestmark = pytest.mark.sim

SAME = ("packet_latency", "network_latency", "hops_routers", "p50", "p95", "p99", "latency_max",
        "accepted", "accepted_min_node", "accepted_max_node", "injected", "served_min_node",
        "packets_measured", "wrong", "saturated")
VALUES = {"width": 3, "height": 3, "flit_bits": 128, "labels": 16, "packet_min": 1,
          "packet_max": 9, "rate": 0.5, "warmup_cycles": 60, "measure_cycles": 260, "seed": 4}
ONE_CHANNEL = {"vcs": 1, "class1_vcs": 0, "class2_vcs": 0}
TWO_DIES = {"width": 4, "height": 2, "die_width": 2, "die_height": 1, "die_latency_cycles": 3,
            "die_cycles_per_flit": 2, "rate": 0.25}


def drawn(**changes):
    return experiment(**VALUES | changes)


def mixed(options, unicast, waypoint, multicast, *, stall=0.0):
    """A trace of all kinds; the three are probabilities of a packet per node and cycle.

    Every node has two multicast groups, which share nodes.
    """
    rng = random.Random(options.seed)
    groups = [[tuple(rng.sample(range(options.mesh.cores), rng.randint(1, 5))) for _ in range(2)]
              for _ in range(options.mesh.cores)]
    packets = []
    for cycle in range(options.warmup_cycles + options.measure_cycles + 200):
        for node in range(options.mesh.cores):
            kind, flits = rng.random(), rng.randint(1, 9)
            end, way = rng.randrange(options.mesh.cores), rng.randrange(options.mesh.cores)
            if kind < unicast + waypoint:
                packets.append(TracePacket(cycle=cycle, source=node, destination=end, flits=flits,
                                           way=-1 if kind < unicast else way))
            elif kind < unicast + waypoint + multicast:
                packets.append(TracePacket(cycle=cycle, source=node,
                                           targets=rng.choice(groups[node]),
                                           flits=min(flits, options.noc.multicast_flits)))
    return replace(options, stall=stall, traffic=replace(
        options.traffic, pattern="trace", trace=tuple(packets)))


ALL = drawn(labels=32)
ALL_ONE = drawn(labels=32, vcs=1)
ALL_DEEP = drawn(labels=32, class1_vcs=2, class2_vcs=0, vc_depth=9)
ALL_DIES = drawn(**TWO_DIES, labels=32)


def ordered(options):
    """Every flow keeps its channel, and so its one way."""
    ways = {}
    return replace(options, traffic=replace(options.traffic, ordered=True, trace=tuple(replace(
        packet, way=ways.setdefault((packet.source, packet.destination), packet.way))
        for packet in options.trace)))


@pytest.mark.parametrize("points", [
    [drawn(), drawn(ordered=True, stall=0.3), drawn(pattern="transpose", rate=0.4, seed=8)],
    [drawn(**ONE_CHANNEL, rate=0.4),
     drawn(**ONE_CHANNEL, pattern="hotspot", rate=0.09, measure_cycles=400)],
    [drawn(**TWO_DIES), drawn(**TWO_DIES | {"rate": 0.15, "packet_max": 1})],
    [mixed(ALL, 0.01, 0.03, 0.04), mixed(ALL, 0.02, 0.02, 0.02, stall=0.3)],
    [mixed(ALL_ONE, 0.02, 0.02, 0.02), mixed(ALL_ONE, 0.03, 0, 0.03)],
    [ordered(mixed(ALL_DEEP, 0.03, 0.03, 0.02))],
    [mixed(ALL_DIES, 0.01, 0.01, 0.01)],
], ids=["two channels", "one channel", "dies", "all kinds", "all kinds, one channel",
        "all kinds, deep, two of class 1", "all kinds, dies"])
def test_same_cycles(points):
    options = points[0]
    built = build_of(options.noc, options.mesh, "icarus")
    outcomes = perform(built, [job_of(point) for point in points], options.mesh.cores)
    for point, outcome in zip(points, outcomes, strict=True):
        rtl, model = report(point, outcome, "icarus"), cycle_model.run(point)
        assert model.packets_measured > 50
        assert outcome.dropped == 0
        assert {key: getattr(rtl, key) for key in SAME} == {
            key: pytest.approx(getattr(model, key), rel=1e-12) for key in SAME}


def test_multicast_is_not_starved():
    """Three nodes fill a link with single flits; a multicast packet of four gets its turn."""
    packets = [TracePacket(cycle=n, source=s, destination=3, flits=1)
               for n in range(300) for s in range(3) if (n, s) != (20, 1)]
    packets.append(TracePacket(cycle=20, source=1, targets=(3, 2), flits=4))
    options = experiment(width=4, height=1, flit_bits=128, labels=16, pattern="trace",
                         warmup_cycles=20, measure_cycles=1,
                         trace=tuple(sorted(packets, key=lambda packet: packet.cycle)))
    built = build_of(options.noc, options.mesh, "icarus")
    outcome, = perform(built, [job_of(options)], 4)
    rtl, model = report(options, outcome, "icarus"), cycle_model.run(options)
    assert {key: getattr(rtl, key) for key in SAME} == {
        key: pytest.approx(getattr(model, key), rel=1e-12) for key in SAME}
    assert (rtl.packets_measured, rtl.latency_max < 200) == (4, True)


def test_trace_from_the_command_line(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text("cycle,source,destination,flits,way,targets\n"
                    "0,4,,4,,4;0;2\n0,1,7,9,3,\n2,4,,2,,6\n3,8,0,5,,\n3,4,4,1,,\n")
    found = {}
    for on in ("model", "icarus"):
        result = CliRunner().invoke(main.cli, [
            "noc", "--k", "3", "--traffic", "trace", "--trace", str(path), "--on", on,
            "--warmup", "0", "--measure", "60", "--flit-bits", "128", "--labels", "16",
            "--json", str(tmp_path / "found.json")])
        assert result.exit_code == 0, result.output
        found[on] = json.loads((tmp_path / "found.json").read_text())
    assert found["model"]["packets_measured"] == 7
    assert {key: found["icarus"][key] for key in SAME} == {
        key: pytest.approx(found["model"][key]) for key in SAME}


@pytest.mark.parametrize("rows, options, message", [
    ([f"{n},0,1,1,," for n in range(TRACE_PACKETS_MAX + 1)], [],
     ("node 0 must have at most 1024 packets of the trace on RTL, so not packet 1024 of the trace "
      "(line 1026)")),
    (["0,0,,1,,1", "1,0,,1,,2"], ["--labels", "2"],
     "the trace's 2 multicast groups must fit the 2 labels of a router (labels): "),
    (["0,0,1,1,2,"], ["--class1-vcs", "0"],
     "way of packet 0 of the trace (line 2) must be -1 (none) where class1_vcs is 0, not 2"),
    (["0,0,,5,,1;2"], [], "flits of packet 0 of the trace (line 2) must be 1 to 4, "),
    (["0,0,1,1,,"], ["--depth", "3"], "vc_depth must be at least 4, not 3"),
    (["0,0,1,1,,"], ["--mesh", "20x20"], "width x height must be at most 256 on RTL, not 400"),
])
def test_trace_refused_before_anything_is_built(rows, options, message, tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text("\n".join(["cycle,source,destination,flits,way,targets", *rows]))
    result = CliRunner().invoke(main.cli, ["noc", "--k", "3", "--traffic", "trace", "--trace",
                                           str(path), "--on", "icarus", *options])
    assert (result.exit_code, result.stderr[:7 + len(message)]) == (2, f"Error: {message}")
