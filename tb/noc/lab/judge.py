"""What is wrong with an outcome of the traffic laboratory, in sentences; none is good."""

from collections import Counter

from ouroboros.hw.params.format import Format
from ouroboros.hw.params.packet import ROUTE
from ouroboros.sw.noc.routes.routing import Routes
from ouroboros.tb.noc.lab.job import Outcome
from ouroboros.tb.noc.lab.node import Count, Error

__all__ = ["wrong_around", "wrong_at_zero_load", "wrong_delivery", "wrong_drops"]

SHOWN = 5
"""Nodes named in a sentence."""


def wrong_delivery(outcome: Outcome) -> list[str]:
    """Everything sent has come, once, at the right place, whole and in order."""
    found = _wrong_arrivals(outcome)
    if outcome.dropped:
        found.append(f"{outcome.dropped} packets were dropped")
    return found


def _wrong_arrivals(outcome: Outcome) -> list[str]:
    """The same of everything that was not dropped."""
    first = [(n, node[Count.FIRST_ERROR]) for n, node in enumerate(outcome.nodes)
             if node[Count.ERRORS]]
    found = []
    if first:
        names = ", ".join(f"{Error(word >> 22 & 15).name} at node {n} in cycle {word >> 26}"
                          for n, word in first[:SHOWN])
        found.append(f"{outcome.total(Count.ERRORS)} errors at {len(first)} nodes: {names}")
    if not outcome.finished:
        missing = outcome.total(Count.SENT) - outcome.total(Count.RECEIVED) - outcome.dropped
        found.append(f"{missing} packets that were sent have not come")
    return found


def wrong_at_zero_load(outcome: Outcome, pairs: int) -> list[str]:
    """So many packets, each in T0 = 3 + 2 H + (L - 1) cycles exactly."""
    found = wrong_delivery(outcome)
    if outcome.total(Count.DONE) != pairs:
        found.append(f"{outcome.total(Count.DONE)} of {pairs} pairs are measured")
    if fast := outcome.total(Count.TOO_FAST):
        found.append(f"{fast} packets took less than T0")
    if excess := max(node[Count.EXCESS_MAX] for node in outcome.nodes):
        found.append(f"a packet took {excess} cycles more than T0")
    return found


def wrong_around(outcome: Outcome, routes: Routes) -> list[str]:
    """Every live pair was served twice or more; those with a live XY path by it, no others."""
    found = wrong_delivery(outcome)
    mesh = routes.mesh
    places = [(x, y) for y in range(1, mesh.height + 1) for x in range(1, mesh.width + 1)]
    live = [at not in routes.faults.routers and at not in routes.live.cut_off for at in places]
    expected: Counter[int] = Counter()
    for n, source in enumerate(places):
        made = outcome.nodes[n][Count.SENT] + outcome.nodes[n][Count.REFUSED]
        if made < 2 * len(places) * live[n]:
            found.append(f"node {n} made {made} packets, fewer than two for each node")
        for k in range(made):
            to = k % len(places)
            if live[to]:
                expected[routes.route(source, places[to]).route_class] += 1
    for number in range(3):
        came = outcome.total(Count.BY_CLASS + number)
        if came != expected[number]:
            found.append(f"{came} packets came by class {number}, not {expected[number]}")
    return found


def wrong_drops(outcome: Outcome) -> list[str]:
    """Every packet towards the dead port is dropped and counted, all others come; one is latched.

    The dead port is the EAST of node 0: of its packets, those to another column are lost, and
    nobody else's.
    """
    found = _wrong_arrivals(outcome)
    nodes = len(outcome.nodes)
    side = int(nodes ** 0.5)
    made = outcome.nodes[0][Count.SENT]
    lost = sum(n % nodes % side != 0 for n in range(made))
    if made <= nodes:
        found.append(f"node 0 sent {made} packets, not one to each node")
    if outcome.dropped != lost:
        found.append(f"{outcome.dropped} packets were dropped, not {lost}")
    if [node for node, _ in outcome.latched] != [0]:
        found.append(f"drops were latched at nodes {[node for node, _ in outcome.latched]}, not 0")
    for _, header in outcome.latched:
        fields = Format(ROUTE).unpack(header)
        if (fields["src_x"], fields["src_y"]) != (1, 1) or fields["dst_x"] <= 1:
            found.append(f"the header of a drop was latched that goes the other way: {fields}")
    return found
