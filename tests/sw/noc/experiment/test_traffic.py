from collections import Counter

import pytest

from ouroboros.sw.noc.experiment.options import TracePacket, experiment
from ouroboros.sw.noc.experiment.traffic import (
    destination_table,
    flow_vc,
    generate,
    seed_state,
    step,
)


def test_published_constants():
    # splitmix64 of 0 and xorshift64 of 1, worked from their definitions.
    assert seed_state(0, 0) == 0xE220A8397B1DCDAF
    assert step(1) == 1 ^ 1 << 13 ^ (1 << 6) ^ (1 ^ 1 << 13 ^ 1 << 6) << 17


@pytest.mark.parametrize("traffic, node, destination", [
    ("transpose", 1 + 8 * 3, 3 + 8 * 1), ("transpose", 9, 9), ("bitcomp", 1, 62),
    ("neighbor", 7 + 8 * 7, 0), ("neighbor", 1 + 8 * 2, 2 + 8 * 3), ("hotspot", 40, 27),
    ("uniform", 5, -1),
])
def test_destinations(traffic, node, destination):
    assert destination_table(experiment(pattern=traffic))[node] == destination


def test_statistics_of_uniform():
    options = experiment(width=4, height=4, packet_min=1, packet_max=4, rate=0.5)
    packets = list(generate(options, 4000))
    assert len(packets) == pytest.approx(4000 * 16 * 0.5 / 2.5, rel=0.02)
    lengths = Counter(packet.flits for packet in packets)
    ends = Counter(packet.destination for packet in packets)
    assert sorted(lengths) == [1, 2, 3, 4]
    assert all(n == pytest.approx(len(packets) / 4, rel=0.06) for n in lengths.values())
    assert len(ends) == 16
    assert all(n == pytest.approx(len(packets) / 16, rel=0.15) for n in ends.values())
    pairs = Counter((packet.source, packet.destination) for packet in packets)
    assert len(pairs) == 256


def test_one_packet_per_cycle_at_full_rate():
    options = experiment(width=2, height=2, packet_min=1, packet_max=1, rate=1.0, seed=7)
    assert [(p.cycle, p.source) for p in generate(options, 3)] == [
        (cycle, node) for cycle in range(3) for node in range(4)]


def test_trace():
    trace = tuple(TracePacket(cycle=c, source=0, destination=1, flits=2) for c in (0, 4, 9))
    assert list(generate(experiment(pattern="trace", trace=trace), 9)) == list(trace[:2])


def test_flow():
    assert {flow_vc(s, d, 4) for s in range(8) for d in range(8)} == {0, 1, 2, 3}
