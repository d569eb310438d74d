"""What the counts of an experiment come to."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from ouroboros.sw.noc.experiment.options import experiment
from ouroboros.sw.noc.experiment.result import Counts, report
from ouroboros.sw.noc.study.booksim import COLUMNS


def counts(**other):
    values = {"finished": True, "measured": 4, "left": 4, "latency": 100, "network_latency": 40,
              "hops_routers": 10, "latency_max": 40,
              "histogram": np.bincount([10, 20, 30, 40]), "offered": np.array([25, 30]),
              "injected": np.array([20, 30]), "accepted": np.array([10, 30]), "delivered": 6,
              "wrong": 0, "cycles": 500, "seconds": 0.25}
    return Counts(**values | other)


def test_report():
    options = experiment(width=2, height=1, measure_cycles=100, packet_min=2)
    made = report(options, counts(), "model")
    found = made.as_dict()
    assert tuple(found)[:6] == COLUMNS[1:6] + ("injection_rate",)
    assert found | {
        "k": "2x1", "packet_size": "2-4", "packet_latency": 25.0, "network_latency": 10.0,
        "hops_routers": 2.5, "p50": 20, "p95": 40, "p99": 40, "accepted": 0.2,
        "accepted_min_node": 0.1, "accepted_max_node": 0.3, "injected": 0.25,
        "served_min_node": 0.8, "saturated": False, "packets_measured": 4, "sim_cycles": 500,
        "cycles_per_s": 2000.0, "latency_max": 40, "delivered": 6, "on": "model"} == found
    assert "build_s" not in found
    assert report(options, counts(), "icarus", 2.5).as_dict() == found | {
        "on": "icarus", "build_s": 2.5}
    with pytest.raises(FrozenInstanceError):
        made.p50 = 0


def test_clipped_histogram():
    found = report(experiment(width=2, height=1),
                   counts(histogram=np.bincount([10, 20, 20, 20]), clipped=True), "model")
    assert found.p50 is found.p95 is None
    assert report(experiment(width=2, height=1), counts(
        histogram=np.bincount([10, 10, 10, 20]), clipped=True), "model").p50 == 10


def test_cut_off_and_empty():
    options = experiment(width=2, height=2)
    found = report(options, counts(measured=5, finished=False), "model")
    assert found.saturated
    assert found.served_min_node is None
    found = report(options, counts(left=0, histogram=np.zeros(0, int)), "model")
    assert found.k == 2
    assert found.packet_latency is found.p50 is found.latency_max is None
    assert found.as_dict()["latency_max"] is None
    idle = report(options, counts(offered=np.zeros(2, int)), "model")
    assert idle.served_min_node is None
