"""The link-load model against paths counted one by one, formulas by hand, the cycle model."""

import random
from types import SimpleNamespace

import numpy as np
import pytest

from ouroboros.hw.params.machine import MeshParams
from ouroboros.hw.params.packet import Port
from ouroboros.sw.noc.cycle.model import simulate
from ouroboros.sw.noc.errors import NocError
from ouroboros.sw.noc.experiment.options import TracePacket, experiment
from ouroboros.sw.noc.load.fit import measured_latency, read_fit
from ouroboros.sw.noc.load.kernels import EAST, LOCAL, NORTH, SOUTH, WEST
from ouroboros.sw.noc.load.load import Flows, LinkParams, link_loads
from ouroboros.sw.noc.load.theory import channel_bound, flows_of, loads_of, zero_load_latency
from ouroboros.sw.noc.routes.classes import class_path
from ouroboros.sw.noc.routes.live import position_of, router_of
from ouroboros.sw.noc.routes.xy import path, tree
from ouroboros.sw.noc.study.saturation import saturation

MESH = MeshParams(width=6, height=4, die_width=3, die_height=2)
ONE = MeshParams(width=6, height=4, die_width=6, die_height=4)
OUTPUT = {Port.EAST: EAST, Port.WEST: WEST, Port.SOUTH: SOUTH, Port.NORTH: NORTH,
          Port.LOCAL: LOCAL}


def flows(rows, **other):
    sources, ends, rates, flits = zip(*rows, strict=True)
    return Flows(sources=np.array(sources), ends=np.array(ends), rates=np.array(rates),
                 flits=np.array(flits), **other)


def counted(hops_of_flows):
    load = np.zeros((5, MESH.cores))
    for hops, work in hops_of_flows:
        for at, port in hops:
            load[OUTPUT[port], router_of(at, MESH)] += work
    return load


def test_loads_of_unicast_are_those_of_the_paths():
    rng = random.Random(1)
    rows = [(rng.randrange(24), rng.randrange(24), rng.random() / 100, rng.randint(1, 9))
            for _ in range(300)]
    found = link_loads(LinkParams(mesh=ONE), flows(rows))
    want = counted((path(position_of(s, MESH), position_of(e, MESH), MESH), rate * flits)
                   for s, e, rate, flits in rows)
    assert found.flits == pytest.approx(want, abs=1e-12)
    assert found.busiest == pytest.approx(want[:4].max())
    assert found.flit_hops == pytest.approx(want[:4].sum())
    hops = [abs(s % 6 - e % 6) + abs(s // 6 - e // 6) for s, e, _, _ in rows]
    assert found.zero_load.tolist() == [
        3 + 2 * h + flits - 1 for h, (_, _, _, flits) in zip(hops, rows, strict=True)]


def test_loads_of_waypoints():
    rng = random.Random(2)
    rows = [(rng.randrange(24), rng.randrange(24), 0.001, 2) for _ in range(100)]
    ways = [rng.randrange(24) for _ in rows]
    found = link_loads(LinkParams(mesh=MESH), flows(rows, vias=np.array(ways).reshape(-1, 1)))
    want = counted(([(hop.at, hop.port) for hop in class_path(
        position_of(s, MESH), position_of(e, MESH), position_of(way, MESH), 1, MESH)], 0.002)
        for (s, e, _, _), way in zip(rows, ways, strict=True))
    assert found.flits == pytest.approx(want, abs=1e-12)


def test_loads_of_trees():
    rng = random.Random(3)
    groups = [(rng.randrange(24), rng.sample(range(24), rng.randint(1, 8))) for _ in range(60)]
    rows = [(s, e, 0.001, 4) for s, ends in groups for e in ends]
    trees = [n for n, (_, ends) in enumerate(groups) for _ in ends]
    found = link_loads(LinkParams(mesh=MESH), flows(rows, trees=np.array(trees)))
    want = counted(
        ([(at, port) for at, mask in tree(
            position_of(s, MESH), [position_of(e, MESH) for e in ends], MESH).items()
          for port in Port if mask >> port & 1], 0.004) for s, ends in groups)
    assert found.flits == pytest.approx(want, abs=1e-12)


@pytest.mark.parametrize("cycles_per_flit", [1, 3])
def test_zero_load_of_trees_and_waypoints(cycles_per_flit):
    """Equal to the cycle model's, packet by packet, across dies too."""
    rng = random.Random(4)
    packets = []
    for n in range(150):
        rest = {"targets": tuple(rng.sample(range(24), rng.randint(1, 8)))} if n % 2 else {
            "destination": rng.randrange(24), "way": rng.randrange(-1, 24)}
        packets.append(TracePacket(cycle=300 * n, source=rng.randrange(24),
                                   flits=rng.randint(1, 9), **rest))
    options = experiment(width=6, height=4, die_width=3, die_height=2, die_latency_cycles=10,
                         die_cycles_per_flit=cycles_per_flit, vc_depth=9, pattern="trace",
                         trace=tuple(packets), warmup_cycles=0, measure_cycles=300 * 150)
    want = simulate(options).latency.tolist()
    found = loads_of(options).zero_load.tolist()
    for packet in packets:
        assert sorted(found[:packet.copies]) == sorted(want[:packet.copies]), packet
        del found[:packet.copies], want[:packet.copies]
    assert not found


def test_waits_by_hand():
    # In a row: 0 -> 3 and 1 -> 3, packets of 4; they meet at 1's link to the east, each by an
    # input of its own. Load there 0.4; after that they follow each other.
    rows = [(0, 3, 0.05, 4), (1, 3, 0.05, 4)]
    source = 0.05 * 12 / (2 * (1 - 0.2))
    for sharing, wait in ((0, 0.2 * 2 / 0.6), (1, 0.2 * (4 * 7 / 8) / 0.6)):
        found = link_loads(LinkParams(mesh=ONE, blocking=1, sharing=sharing), flows(rows))
        assert (found.latency - found.zero_load).tolist() == pytest.approx([source + wait] * 2)
    # Half of what comes from 0 turns to 7 there: mixed is 0.2 * 0.2 * 0.5 / 0.4.
    turning = [*rows, (0, 7, 0.05, 4)]
    both = 0.1 * 12 / (2 * (1 - 0.4))
    for blocking, room in ((0, 0.6), (2, 0.5)):
        found = link_loads(LinkParams(mesh=ONE, blocking=blocking), flows(turning))
        wait = 0.2 * 2 / room
        assert (found.latency - found.zero_load).tolist() == pytest.approx(
            [both + wait, source + wait, both])
    # Two flows of one source share an input all the way: no wait but in the source's queue.
    found = link_loads(LinkParams(mesh=ONE, blocking=1),
                       flows([(0, 3, 0.05, 4), (0, 2, 0.05, 4)]))
    assert (found.latency - found.zero_load).tolist() == pytest.approx(
        [0.1 * 12 / (2 * (1 - 0.4))] * 2)
    # Exits lose nothing for mixed load: 0 and 2 meet at 1's exit.
    found = link_loads(LinkParams(mesh=ONE, blocking=4),
                       flows([(0, 1, 0.05, 4), (2, 1, 0.05, 4)]))
    assert (found.latency - found.zero_load).tolist() == pytest.approx(
        [source + 0.2 * 2 / 0.6] * 2)


def test_trees_by_hand():
    # From 0 east to 2 and out, and south at 1 to 7 and out; 4 flits, buffers of 4. By hand: links
    # are held for 7 cycles, exits for 6.
    rows = [(0, 2, 0.01, 4), (0, 7, 0.01, 4)]
    trees = np.zeros(2, np.int32)
    found = link_loads(LinkParams(mesh=ONE), flows(rows, trees=trees))
    assert found.zero_load.tolist() == [3 + 4 + 3] * 2
    held = np.zeros((5, 24))
    held[EAST, 0], held[EAST, 1], held[SOUTH, 1] = 0.07, 0.07, 0.07
    held[LOCAL, 2] = held[LOCAL, 7] = 0.06
    assert found.held == pytest.approx(held)
    # Nothing else is there: packets wait for those ahead at the source (4 cycles each) and, as they
    # hold the first link for longer than that, at it.
    source = 0.01 * 12 / (2 * (1 - 0.04))
    waits = source + 0.01 * (7**2 - 4**2) / (2 * (1 - 0.07))
    assert (found.latency - found.zero_load).tolist() == pytest.approx([waits] * 2)
    deep = link_loads(LinkParams(mesh=ONE, noc=experiment(vc_depth=8).noc),
                      flows(rows, trees=trees))
    assert deep.held[EAST, :2].tolist() == pytest.approx([0.04, 0.04])
    # Unicast of 4 flits at rate r holds it for 7 instead of 4 where it finds the channel empty.
    both = link_loads(LinkParams(mesh=ONE), flows(
        [*rows, (1, 2, 0.02, 4)], trees=np.array([0, 0, 1])))
    empty = (1 - 0.07) / (1 + 0.02 * 7)
    assert both.held[EAST, 1] == pytest.approx(0.07 + 0.02 * (7 * empty + 4 * (1 - empty)))


def test_die_links():
    params = LinkParams(mesh=MESH, noc=experiment(die_latency_cycles=10, die_cycles_per_flit=4).noc)
    found = link_loads(params, flows([(0, 5, 0.01, 4), (0, 2, 0.01, 4), (5, 23, 0.01, 1)]))
    assert found.zero_load.tolist() == [3 + 2 * 5 + 3 * 4 + 13, 3 + 2 * 2 + 3, 3 + 2 * 3 + 13]
    assert found.load[EAST, 2] == pytest.approx(4 * 0.04)
    assert found.load[EAST, 1] == pytest.approx(0.08)


def test_beyond_capacity():
    rows = [(0, 3, 0.09, 4), (1, 3, 0.09, 4), (0, 7, 0.05, 4), (6, 6, 0.2, 4)]
    found = link_loads(LinkParams(mesh=MESH, blocking=1.5), flows(rows))
    assert np.isfinite(found.latency).all()
    # Load 0.72, mixed 0.064.
    found = link_loads(LinkParams(mesh=MESH, blocking=4), flows([*rows, (2, 3, 0.01, 4)]))
    assert np.isfinite(found.latency).all()
    found = link_loads(LinkParams(mesh=MESH, blocking=4), flows(
        [(0, 3, 0.11, 4), (1, 3, 0.11, 4), (0, 7, 0.05, 4), (6, 6, 0.2, 4)]))
    assert np.isinf(found.latency).tolist() == [True, True, False, False]


@pytest.mark.parametrize("traffic, bound8, bound4", [
    ("uniform", 1 / 2, 1), ("transpose", 1 / 7, 1 / 3), ("bitcomp", 1 / 4, 1 / 2),
    ("neighbor", 1, 1), ("hotspot", 1 / 64, 1 / 16)])
def test_channel_bounds(traffic, bound8, bound4):
    assert channel_bound(experiment(pattern=traffic)) == pytest.approx(bound8)
    assert channel_bound(experiment(pattern=traffic, width=4, height=4)) == pytest.approx(bound4)


def test_zero_load_latency():
    assert zero_load_latency(experiment()) == pytest.approx(3 + 2 * 5.25 + 3)
    assert zero_load_latency(experiment(packet_min=1, rate=0.0)) == pytest.approx(
        3 + 2 * 5.25 + 1.5)
    trace = (TracePacket(cycle=0, source=0, destination=7, flits=2),
             TracePacket(cycle=9, source=3, destination=3, flits=1))
    found = flows_of(experiment(pattern="trace", trace=trace))
    assert found.rates.tolist() == [0.1, 0.1]
    assert zero_load_latency(experiment(pattern="trace", trace=trace)) == (3 + 14 + 1 + 3) / 2


def test_saturation_is_where_latency_is_three_times_that_of_an_empty_network():
    limit = 3 * zero_load_latency(experiment())

    def run(options):
        return SimpleNamespace(
            saturated=options.traffic.rate > 0.45,
            packet_latency=limit - 1e-6 if options.traffic.rate < 0.3 else limit)

    assert saturation(experiment(), run, 12) == pytest.approx(0.3, abs=0.5 / 2**12)


@pytest.mark.parametrize("vcs, depth", [(1, 4), (2, 4), (4, 8)])
def test_fitted_constants_hold(vcs, depth):
    """A point near those of the fit, and one of another pattern that was not in it."""
    fitted = read_fit(vcs, depth)
    points = [("uniform", 0.12, 0.04), ("bitcomp", 0.1, 0.04)]
    if vcs == 2:
        # 0.8 of saturation: streams that meet, and have nothing for other outputs, block none.
        points += [("bitcomp", 0.17, 0.06), ("transpose", 0.114, 0.06)]
    for traffic, rate, margin in points:
        options = experiment(vcs=vcs, vc_depth=depth, pattern=traffic, rate=rate,
                             measure_cycles=8000)
        found = loads_of(options, fitted.blocking, fitted.sharing)
        assert found.latency.mean() == pytest.approx(measured_latency(options), rel=margin)


@pytest.mark.parametrize("make, message", [
    (lambda: LinkParams(mesh=MESH, blocking=-1), "blocking must be 0 to 4, not -1"),
    (lambda: LinkParams(mesh=MESH, sharing=2), "sharing must be 0 to 1.5, not 2"),
    (lambda: flows([(0, 1, 0.1, 1)], trees=np.array([0, 1])),
     "trees must be one for each of 1 flows, not 2"),
    (lambda: flows([(0, 1, 0.1, 1)] * 2, trees=np.array([0, 2])),
     "trees must number all flows from 0, those of a tree together"),
    (lambda: flows_of(experiment(width=117, height=119)),
     "uniform traffic must have at most 4096 nodes to list all pairs, not 13923"),
    (lambda: read_fit(7, 99),
     (r"link-load model must be fitted for 7 channels of 99 flits \(ouroboros noc links --fit\); "
     r"fitted are .*")),
])
def test_refused(make, message):
    with pytest.raises(NocError, match=f"^{message}$"):
        make()
