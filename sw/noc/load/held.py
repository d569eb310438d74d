"""The link-load model held against the cycle model on traffic that was not fitted.

Patterns of the laboratory, and flows with what a wafer has: dies, multicast trees, waypoints.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from ouroboros.sw.noc.cycle.model import simulate
from ouroboros.sw.noc.experiment.flow_trace import trace_of
from ouroboros.sw.noc.experiment.options import LabOptions, experiment
from ouroboros.sw.noc.experiment.traffic_file import die_snake
from ouroboros.sw.noc.load.fit import Fit, load_of_saturation, measured_latency
from ouroboros.sw.noc.load.load import Flows, LinkLoads, LinkParams, link_loads
from ouroboros.sw.noc.load.theory import loads_of
from ouroboros.sw.noc.study.saturation import SATURATED, highest

__all__ = ["FLOW_CASES", "Held", "held_out", "pipeline", "random_groups"]

FRACTIONS = (0.2, 0.4, 0.6, 0.8)
WARMUP_CYCLES, MEASURE_CYCLES, DRAIN_CYCLES = 2000, 15_000, 20_000
GROUP_SIZES = (2, 8)
UNICAST_ENDS = 16
WAY_SHARE = 0.25
"""Of unicast flows, that go by a waypoint."""

PATTERN_CASES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("8x8 uniform, 2 flits", {"packet_min": 2, "packet_max": 2}),
    ("8x8 uniform, 1-9 flits", {"packet_min": 1, "packet_max": 9}),
    ("8x8 transpose, 4 flits", {"pattern": "transpose"}),
    ("8x8 bitcomp, 4 flits", {"pattern": "bitcomp"}),
    ("8x8 neighbor, 4 flits", {"pattern": "neighbor"}),
    ("8x8 hotspot, 4 flits", {"pattern": "hotspot"}),
    ("4x4 uniform, 4 flits", {"width": 4, "height": 4}),
    ("13x17 uniform, 4 flits", {"width": 13, "height": 17}),
    ("26x17, 2 dies, 10 cycles at 1/2 width", {
        "width": 26, "height": 17, "die_width": 13, "die_latency_cycles": 10,
        "die_cycles_per_flit": 2}),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """One point of a comparison of mean latency."""

    name: str
    rate: float
    """Flits per sending node and cycle."""
    fraction: float
    """Of the cycle model's saturation."""
    cycle_model: float
    link_model: float

    @property
    def error(self) -> float:
        """Relative error of the link-load model."""
        return self.link_model / self.cycle_model - 1


Send = tuple[int, Sequence[int], int, float]
"""Source, ends (several: a tree), waypoint or -1, share of the source's flits."""


def flows_of_sends(sends: Iterable[Send], flits: int) -> Flows:
    """Flows of one flit per sending node and cycle."""
    rows = [(source, end, share / flits, way, tree)
            for tree, (source, ends, way, share) in enumerate(sends) for end in ends]
    sources, ends, rates, ways, trees = zip(*rows, strict=True)
    return Flows(sources=np.array(sources, np.int32), ends=np.array(ends, np.int32),
                 rates=np.array(rates, np.float64), flits=np.full(len(rows), flits, np.int32),
                 vias=np.array(ways, np.int32).reshape(-1, 1), trees=np.array(trees, np.int32))


def random_groups(options: LabOptions, *, every: int, multicast: float, seed: int) -> Flows:
    """Every so many nodes has a group of 2 to 8 and sends it a share of its flits.

    The rest, and all flits of other nodes if ``multicast`` is not 1, are unicast to 16 ends each,
    one in four of them by a waypoint. All at random.
    """
    rng, nodes = random.Random(seed), options.mesh.cores
    sends: list[Send] = []
    for node in range(nodes):
        share = 0.0
        if multicast and node % every == 0:
            share = multicast
            sends.append((node, rng.sample(range(nodes), rng.randint(*GROUP_SIZES)), -1, share))
        if multicast < 1:
            sends += [(node, [rng.randrange(nodes)],
                       rng.randrange(nodes) if rng.random() < WAY_SHARE else -1,
                       (1 - share) / UNICAST_ENDS) for _ in range(UNICAST_ENDS)]
    return flows_of_sends(sends, options.traffic.packet_min)


def pipeline(options: LabOptions, *, size: int, partial: float) -> Flows:
    """Groups of cores along the snake of dies; every core sends to all of the next group.

    As the stages of a language model do. A share of the flits are partial sums, from each core of
    a group to the next of the same.
    """
    order = die_snake(options.mesh, np.zeros(options.mesh.cores, np.bool_)).tolist()
    groups = [order[n:n + size] for n in range(0, len(order), size)]
    sends: list[Send] = []
    for group, following in pairwise(groups):
        for n, core in enumerate(group):
            sends.append((core, following, -1, 1 - partial))
            if partial:
                sends.append((core, [group[(n + 1) % size]], -1, partial))
    return flows_of_sends(sends, options.traffic.packet_min)


DIES = {"width": 16, "height": 16, "die_width": 8, "die_height": 8}
NARROW = DIES | {"die_latency_cycles": 10, "die_cycles_per_flit": 2}
FLOW_CASES: tuple[tuple[str, dict[str, Any], Callable[[LabOptions], Flows]], ...] = (
    ("8x8, unicast, 1/4 by waypoints", {},
     lambda options: random_groups(options, every=1, multicast=0, seed=1)),
    ("16x16, trees of 2-8", {"width": 16, "height": 16},
     lambda options: random_groups(options, every=4, multicast=1, seed=2)),
    ("16x16, 2x2 dies, trees of 2-8", DIES,
     lambda options: random_groups(options, every=4, multicast=1, seed=2)),
    ("16x16, 2x2 dies, trees, unicast, waypoints", DIES,
     lambda options: random_groups(options, every=4, multicast=0.5, seed=3)),
    ("the same, 10 cycles at 1/2 width", NARROW,
     lambda options: random_groups(options, every=4, multicast=0.5, seed=3)),
    ("16x16, 2x2 dies, pipeline of 8 to 8", DIES,
     lambda options: pipeline(options, size=8, partial=0)),
    ("16x16, 2x2 dies, pipeline of 16 to 16, partial sums", DIES,
     lambda options: pipeline(options, size=16, partial=0.3)),
)


def held_out(fitted: Fit, fractions: Sequence[float] = FRACTIONS,
             progress: Callable[[int, int], None] | None = None,
             patterns: bool = True) -> list[Held]:
    """Both models at points that were not fitted; without ``patterns``, flows only."""
    cases: list[tuple[str, LabOptions, Flows | None]] = []
    base = {"vcs": fitted.vcs, "vc_depth": fitted.depth, "warmup_cycles": WARMUP_CYCLES,
            "measure_cycles": MEASURE_CYCLES, "drain_cycles": DRAIN_CYCLES}
    for name, values in PATTERN_CASES if patterns else ():
        cases.append((name, experiment(**base | values), None))
    for name, values, make in FLOW_CASES:
        options = experiment(**base | values)
        cases.append((name, options, make(options)))
    found: list[Held] = []
    for name, options, flows in cases:
        points = _of_pattern(options, fitted, fractions) if flows is None else _of_flows(
            options, flows, fitted, fractions)
        for fraction, (rate, cycle_model, link_model) in zip(fractions, points, strict=True):
            found.append(Held(name=name, rate=rate, fraction=fraction, cycle_model=cycle_model,
                              link_model=link_model))
            if progress is not None:
                progress(len(found), len(cases) * len(fractions))
    return found


Point = tuple[float, float, float]
"""Rate, mean latency of the cycle model and of the link-load model."""


def _of_pattern(options: LabOptions, fitted: Fit, fractions: Iterable[float]) -> Iterable[Point]:
    saturated = load_of_saturation(options)
    for fraction in fractions:
        point = options.offering(fraction * saturated)
        loads = loads_of(point, fitted.blocking, fitted.sharing)
        yield point.traffic.rate, measured_latency(point), float(np.average(loads.latency))


def _of_flows(options: LabOptions, flows: Flows, fitted: Fit, fractions: Iterable[float],
              ) -> Iterable[Point]:
    params = LinkParams(mesh=options.mesh, noc=options.noc, blocking=fitted.blocking,
                        sharing=fitted.sharing)
    plain = link_loads(params, flows)
    limit = SATURATED * _mean(plain, flows, plain.zero_load)

    def over(rate: float) -> bool:
        found = simulate(_trace_at(options, flows, rate))
        return not found.counts.finished or float(found.latency.mean()) >= limit

    saturated = highest(over, 1 / float(plain.load.max()))
    for fraction in fractions:
        rate = fraction * saturated
        point = _trace_at(options, flows, rate)
        # What chance did to the ways in a run of finite length says nothing about contention.
        drawn = loads_of(point).zero_load.mean() - _mean(plain, flows, plain.zero_load)
        loads = link_loads(params, replace(flows, rates=flows.rates * rate))
        yield (rate, float(simulate(point).latency.mean() - drawn),
               _mean(loads, flows, loads.latency))


def _mean(loads: LinkLoads, flows: Flows, latency: Any) -> float:
    return float(np.average(latency, weights=flows.rates))


def _trace_at(options: LabOptions, flows: Flows, rate: float) -> LabOptions:
    cycles = options.warmup_cycles + options.measure_cycles + DRAIN_CYCLES // 4
    trace = trace_of(replace(flows, rates=flows.rates * rate), cycles, options.seed)
    return replace(options, traffic=replace(options.traffic, pattern="trace", trace=trace))
