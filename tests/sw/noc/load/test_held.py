"""Flows as traces, and both models on traffic with trees, waypoints and dies."""

from collections import Counter

import numpy as np
import pytest

from ouroboros.sw.noc.errors import NocError
from ouroboros.sw.noc.experiment.flow_trace import trace_of
from ouroboros.sw.noc.experiment.options import experiment
from ouroboros.sw.noc.load import held as link_held
from ouroboros.sw.noc.load.fit import read_fit
from ouroboros.sw.noc.load.held import flows_of_sends, held_out, pipeline, random_groups
from ouroboros.sw.noc.load.load import Flows

SMALL = {"width": 8, "height": 4, "die_width": 4, "die_height": 4, "die_latency_cycles": 5,
         "die_cycles_per_flit": 2}


def test_packets_have_the_rates_of_their_flows():
    flows = flows_of_sends([(0, [1], -1, 0.2), (0, [2, 3], -1, 0.4), (5, [6], 7, 0.1)], 4)
    trace = trace_of(flows, 20_000, 3)
    count = Counter((p.source, p.destination, p.way, p.targets) for p in trace)
    for key, rate in (((0, 1, -1, ()), 0.05), ((0, -1, -1, (2, 3)), 0.1), ((5, 6, 7, ()), 0.025)):
        assert count.pop(key) == pytest.approx(rate * 20_000, rel=0.1)
    assert not count
    assert {p.flits for p in trace} == {4}
    assert experiment(pattern="trace", trace=trace)
    assert trace_of(flows, 100, 3) != trace_of(flows, 100, 4)


def test_groups_of_a_pipeline_send_to_the_next():
    flows = pipeline(experiment(**SMALL), size=8, partial=0.5)
    trees = Counter(flows.trees.tolist())
    # Of four groups three send, each core to eight and to its neighbour.
    assert sorted(trees.values()) == [1] * 24 + [8] * 24
    first = flows.ends[flows.trees == 0]
    assert flows.sources[0] == 0
    assert set(first.tolist()) == {16, 17, 18, 19, 24, 25, 26, 27}      # the die's lower rows


def test_random_groups():
    flows = random_groups(experiment(**SMALL), every=2, multicast=0.5, seed=1)
    sizes = Counter(flows.trees.tolist())
    assert sum(size > 1 for size in sizes.values()) == 16
    assert max(sizes.values()) <= 8
    assert 0.15 < (flows.vias >= 0).mean() < 0.3
    first = np.unique(flows.trees, return_index=True)[1]
    assert np.bincount(flows.sources[first], 4 * flows.rates[first]).tolist() == pytest.approx(
        [1.0] * 32)
    alone = random_groups(experiment(**SMALL), every=1, multicast=0, seed=1)
    assert set(Counter(alone.trees.tolist()).values()) == {1}


@pytest.mark.long
def test_models_agree_on_trees_waypoints_and_dies(monkeypatch):
    for name, cycles in (("WARMUP", 500), ("MEASURE", 2500), ("DRAIN", 1000)):
        monkeypatch.setattr(link_held, f"{name}_CYCLES", cycles)
    monkeypatch.setattr(link_held, "FLOW_CASES", (
        ("mixed", SMALL, lambda options: random_groups(options, every=2, multicast=0.5, seed=1)),))
    seen = []
    points = held_out(read_fit(2, 4), (0.1, 0.5), lambda *done: seen.append(done), patterns=False)
    assert seen == [(1, 2), (2, 2)]
    assert [(point.name, point.fraction) for point in points] == [("mixed", 0.1), ("mixed", 0.5)]
    assert all(abs(point.error) < 0.05 for point in points)
    assert points[1].cycle_model > points[0].cycle_model + 2


@pytest.mark.parametrize("make, message", [
    (lambda: flows_of_sends([(0, [1], -1, 3), (0, [2], -1, 2)], 4),
     "flows of node 0 must have at most one packet per cycle, not 1.25"),
    (lambda: Flows(sources=np.array([0]), ends=np.array([1]), rates=np.array([0.1]),
                   flits=np.array([1]), vias=np.array([[2, 3]])),
     "flows must have one waypoint at most, not 2"),
])
def test_refused(make, message):
    with pytest.raises(NocError) as error:
        trace_of(make(), 10, 1)
    assert str(error.value) == message
