from sw.noc.options import LabOptions
from sw.noc.result import KEYS, Counts, report


def counts(**other):
    values = {"latency": [10, 20, 30, 40], "network_latency": [9, 9, 9, 13],
              "hops_routers": [1, 2, 3, 4], "accepted": [10, 30], "injected": [20, 30],
              "measured": 4, "delivered": 6, "wrong": 0, "cycles": 500, "seconds": 0.25}
    return Counts(**values | other)


def test_report():
    options = LabOptions(width=2, height=1, measure_cycles=100, packet_min=2)
    found = report(options, counts(), "model")
    assert tuple(found) == KEYS
    assert found | {
        "k": "2x1", "packet_size": "2-4", "packet_latency": 25.0, "network_latency": 10.0,
        "hops_routers": 2.5, "p50": 20.0, "p95": 40.0, "p99": 40.0, "accepted": 0.2,
        "accepted_min_node": 0.1, "accepted_max_node": 0.3, "injected": 0.25, "saturated": False,
        "packets_measured": 4, "sim_cycles": 500, "cycles_per_s": 2000.0, "latency_max": 40,
        "delivered": 6, "on": "model"} == found


def test_cut_off_and_empty():
    options = LabOptions(width=2, height=2)
    assert report(options, counts(measured=5), "model")["saturated"]
    found = report(options, counts(latency=[], network_latency=[], hops_routers=[]), "model")
    assert found["k"] == 2
    assert found["packet_latency"] is found["p50"] is found["latency_max"] is None
