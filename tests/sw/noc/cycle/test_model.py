"""The cycle model against times worked by hand; against BookSim2 where its table is at hand."""

import csv
import itertools
import random
from pathlib import Path

import numpy as np
import pytest

from ouroboros.sw.noc.cycle.loop import run as run_loop
from ouroboros.sw.noc.cycle.model import run, simulate
from ouroboros.sw.noc.cycle.state import (
    COUNT,
    CREDITS,
    CYCLE,
    FREE,
    PORTS,
    STOP,
    UNUSED,
    new_state,
    with_packets,
)
from ouroboros.sw.noc.experiment.options import TracePacket, experiment
from ouroboros.sw.noc.experiment.traffic import generate

REFERENCE = Path(__file__).parents[5] / "shared/data/noc/booksim_reference.csv"


def trace(packets, **other):
    values = {"width": 4, "height": 4, "warmup_cycles": 0, "measure_cycles": 10_000}
    return experiment(pattern="trace", trace=tuple(
        TracePacket(cycle=c, source=s, destination=d, flits=n) for c, s, d, n in packets),
        **values | other)


def test_zero_load_latency_of_all_pairs():
    pairs = list(itertools.product(range(16), repeat=2))
    found = simulate(trace([(100 * n, s, d, 1 + n % 9) for n, (s, d) in enumerate(pairs)],
                           measure_cycles=25_600))
    hops = [abs(s % 4 - d % 4) + abs(s // 4 - d // 4) for s, d in pairs]
    assert found.latency.tolist() == [3 + 2 * h + n % 9 for n, h in enumerate(hops)]
    assert found.hops_routers.tolist() == [h + 1 for h in hops]
    assert (found.counts.measured, found.counts.delivered, found.counts.wrong) == (256, 256, 0)


@pytest.mark.parametrize("depth, interval", [(4, 1), (5, 1), (8, 1)])
def test_credit_loop_is_four_cycles(depth, interval):
    found = simulate(trace([(0, 0, 3, 9)], vcs=1, vc_depth=depth))
    assert found.latency[0] == 3 + 2 * 3 + int(8 * interval)


def test_single_flits_follow_each_other_at_full_rate():
    found = simulate(trace([(n, 0, 3, 1) for n in range(50)]))
    assert set(found.latency) == {3 + 2 * 3}


def test_inputs_take_turns_at_an_output():
    # Two streams meet at node 1 on the way to node 2: each gets half of the link.
    found = simulate(trace([(n, s, 2, 1) for n in range(100) for s in (0, 1)], width=3, height=1,
                           measure_cycles=150, drain_cycles=0))
    assert found.counts.accepted[2] == pytest.approx(150 - 5, abs=1)
    assert abs(int(found.counts.injected[0]) - int(found.counts.injected[1])) <= 16


def test_wormholes_of_two_channels_share_a_link():
    # Both packets go from 0 and 4 to 3; with one channel one waits for the other's tail.
    one, two = (simulate(trace([(0, 0, 3, 9), (0, 4, 7, 9), (4, 1, 3, 9)], width=4, height=2,
                               vcs=vcs)).latency for vcs in (1, 2))
    assert one.tolist() != two.tolist()
    assert sorted(two)[0] == 3 + 6 + 8


@pytest.mark.parametrize("latency, cycles_per_flit, flits, expected", [
    (1, 1, 4, 3 + 2 * 3 + 3 + 4),
    (10, 1, 4, 3 + 2 * 3 + 3 + 13),
    (10, 1, 9, 3 + 2 * 3 + 8 + 13),
    (10, 4, 4, 3 + 2 * 3 + 3 * 4 + 13),
])
def test_die_crossing(latency, cycles_per_flit, flits, expected):
    options = trace([(0, 0, 3, flits)], height=1, die_width=2, die_latency_cycles=latency,
                    die_cycles_per_flit=cycles_per_flit, vcs=1)
    assert simulate(options).latency.tolist() == [expected]


def test_die_depth_keeps_the_crossing_busy():
    options = trace([(n, 0, 3, 1) for n in range(200)], height=1, die_width=2,
                    die_latency_cycles=20, vcs=1)
    assert set(simulate(options).latency) == {3 + 2 * 3 + 23}


def test_sinks_that_stall():
    packets = [(n, s, 5, 9) for n in range(0, 400, 4) for s in (0, 3, 10)]
    free, rare, held = (simulate(trace(packets, stall=stall)) for stall in (0.0, 1e-7, 0.8))
    assert held.counts.delivered == free.counts.delivered == 300
    assert np.array_equal(free.latency, rare.latency)       # both ways to sink take as long
    assert held.latency.mean() > 2 * free.latency.mean()


def test_traffic_is_that_of_the_reference():
    options = experiment(width=4, height=4, rate=0.3, packet_min=1, packet_max=5, seed=9,
                         warmup_cycles=0, measure_cycles=500)
    replay = experiment(width=4, height=4, pattern="trace", warmup_cycles=0, measure_cycles=500,
                        trace=tuple(generate(options, 600)))
    drawn, replayed = simulate(options), simulate(replay)
    assert np.array_equal(drawn.latency, replayed.latency)
    assert drawn.counts.measured == replayed.counts.measured > 500


@pytest.mark.parametrize("ordered", [False, True])
def test_credits_and_flits_are_kept(ordered):
    """After a drained run every buffer is empty and every credit and channel is back."""
    options = experiment(width=4, height=4, rate=0.9, packet_min=1, packet_max=9, vcs=3,
                         pattern="trace", ordered=ordered, die_width=2, die_latency_cycles=3,
                         trace=tuple(generate(experiment(width=4, height=4, rate=0.9,
                                                         packet_min=1, packet_max=9), 300)))
    state = new_state(options)
    start = state.channel[:, CREDITS].copy()
    state = with_packets(state, 20_000)
    assert run_loop(state)
    state.settings[STOP] = state.scalars[CYCLE] + 40
    state.scalars[3] -= 1       # one measured packet too few, so that the loop goes on
    run_loop(state)
    assert state.scalars[UNUSED] == 20_000
    assert not state.channel[:, COUNT].any()
    assert np.array_equal(state.channel[:, CREDITS], start)
    assert (state.port[:, FREE] == 7).all()
    assert len(state.port) == 16 * PORTS + 2 * 8


def copies(packets, **other):
    """Latencies and routers of packets (cycle, source, flits, what else)."""
    values = {"width": 4, "height": 4, "warmup_cycles": 0, "measure_cycles": 2000}
    found = simulate(experiment(pattern="trace", **values | other, trace=tuple(
        TracePacket(cycle=c, source=s, flits=n, **rest) for c, s, n, rest in packets)))
    assert found.counts.finished
    assert found.counts.wrong == 0
    return found


def test_waypoint():
    # 5 to 12 is 3 hops, 12 to 6 is 4; at its own waypoint a packet only changes class.
    found = copies([(0, 5, 4, {"destination": 6, "way": 12}),
                    (100, 5, 4, {"destination": 6, "way": 5}),
                    (200, 5, 4, {"destination": 6, "way": 6})])
    assert found.latency.tolist() == [3 + 2 * 7 + 3, 3 + 2 + 3, 3 + 2 + 3]
    assert found.hops_routers.tolist() == [8, 2, 2]


def test_copies_leave_together():
    # From 5: north to 1, east to 6 and on to 7, south to 9, and home.
    found = copies([(0, 5, 4, {"targets": (9, 7, 5, 1, 6)})])
    t0 = 3 + 3
    expected = {1: t0 + 2, 6: t0 + 2, 7: t0 + 4, 9: t0 + 2, 5: t0}
    assert sorted(found.latency) == sorted(expected.values())
    assert sorted(found.hops_routers) == [1, 2, 2, 2, 3]
    assert found.counts.injected.sum() == found.counts.offered.sum() == 4
    assert found.counts.accepted[[9, 7, 5, 1, 6]].tolist() == [4] * 5
    assert found.counts.accepted.sum() == 20
    assert found.counts.delivered == found.counts.measured == 5


@pytest.mark.parametrize("depth, interval", [(4, 7), (5, 6), (6, 5), (8, 4)])
def test_copies_need_credits_for_a_whole_packet(depth, interval):
    """In a row, each of 4 flits: when the credit of flit 8 - depth is back, after 4 cycles."""
    found = copies([(n, 0, 4, {"targets": (3,)}) for n in range(10)], vc_depth=depth)
    assert found.latency.tolist() == [3 + 6 + 3 + n * (interval - 1) for n in range(10)]


@pytest.mark.parametrize("sources", [(0, 2), (0, 1, 2)])
@pytest.mark.parametrize("vcs", [1, 2, 3, 4])
def test_multicast_is_not_starved(vcs, sources):
    """Streams of unicast fill a link for 400 cycles or more; only the multicast is measured."""
    streams = [(n, s, 1, {"destination": 3}) for n in range(400) for s in sources if n != 20]
    packets = sorted([*streams, (20, 1, 4, {"targets": (3, 2)})], key=lambda packet: packet[0])
    found = copies(packets, height=1, vcs=vcs, warmup_cycles=20, measure_cycles=1)
    assert len(found.latency) == 2
    assert found.latency.max() < 200


@pytest.mark.parametrize("vcs", [1, 2])
def test_credits_and_flits_are_kept_with_copies(vcs):
    rng = random.Random(vcs)
    packets = []
    for cycle in range(300):
        for source in range(16):
            kind, flits = rng.random(), rng.randint(1, 4)
            if kind < 0.03:
                rest = {"targets": tuple(random.Random(source).sample(range(16), 4))}
            elif kind < 0.1:
                rest = {"destination": rng.randrange(16), "way": rng.randrange(-1, 16)}
            else:
                continue
            packets.append(TracePacket(cycle=cycle, source=source, flits=flits, **rest))
    options = experiment(width=4, height=4, pattern="trace", trace=tuple(packets), vcs=vcs,
                         die_width=2, die_latency_cycles=3, warmup_cycles=0, measure_cycles=300)
    state = new_state(options)
    start = state.channel[:, CREDITS].copy()
    state = with_packets(state, 5000)
    assert run_loop(state)
    state.settings[STOP] = state.scalars[CYCLE] + 40
    state.scalars[3] -= 1
    run_loop(state)
    assert state.scalars[UNUSED] == len(state.packet)
    assert state.scalars[4] == sum(packet.copies for packet in packets)
    assert not state.channel[:, COUNT].any()
    assert not state.copying[:, 1:].any()
    assert np.array_equal(state.channel[:, CREDITS], start)
    assert (state.port[:, FREE] == (1 << vcs + 1) - 1).all()


def booksim(key, mode="latency"):
    if not REFERENCE.is_file():
        pytest.skip(f"BookSim2's table is not at {REFERENCE}")
    with REFERENCE.open() as file:
        return [row for row in csv.DictReader(file) if row["key"] == key and row["mode"] == mode]


@pytest.mark.parametrize("key", ["k4_uniform_a_ps1_patched2", "k4_uniform_b_ps4_patched2",
                                 "k8_uniform_c_ps4_patched2"])
def test_booksim(key):
    [overload] = booksim(key, "throughput")
    k, flits = int(overload["k"]), int(overload["packet_size"])
    options = {"width": k, "height": k, "vcs": int(overload["num_vcs"]), "packet_min": flits,
               "packet_max": flits, "vc_depth": int(overload["vc_buf_size"])}
    accepted = np.mean([run(experiment(rate=1.0, seed=seed, warmup_cycles=1000, drain_cycles=0,
                                       measure_cycles=2000, **options)).accepted
                        for seed in (1, 2, 3)])
    assert accepted == pytest.approx(float(overload["accepted"]), rel=0.03)
    row = booksim(key)[1]
    found = run(experiment(rate=float(row["injection_rate"]), measure_cycles=10_000, **options))
    # BookSim2's T0 is 2 + 2 H + (L - 1), ours 3 + 2 H + (L - 1).
    assert found.packet_latency - 1 == pytest.approx(float(row["packet_latency"]), rel=0.03)
