"""The judge of the traffic laboratory finds what is wrong, and only that."""

from dataclasses import replace

import pytest

from ouroboros.hw.params.format import Format
from ouroboros.hw.params.machine import MeshParams
from ouroboros.hw.params.packet import ROUTE
from ouroboros.sw.noc.routes.faults import Faults
from ouroboros.sw.noc.routes.routing import Routes
from ouroboros.tb.noc.lab.job import Outcome
from ouroboros.tb.noc.lab.judge import wrong_around, wrong_at_zero_load, wrong_delivery, wrong_drops
from ouroboros.tb.noc.lab.node import Count, Error


def outcome(nodes=4, counts=(), **other):
    """Every node has sent 10 packets and received 10, but for ``counts``: node, count, value."""
    table = [[0] * (1 + max(Count)) for _ in range(nodes)]
    for row in table:
        row[Count.SENT] = row[Count.RECEIVED] = row[Count.DONE] = 10
        row[Count.BY_CLASS] = 10
    for node, count, value in counts:
        table[node][count] = value
    values = {"histogram": [], "cycles": 100, "seconds": 1.0, "dropped": 0, "finished": True}
    return Outcome(nodes=table, **values | other)


def test_delivery():
    assert wrong_delivery(outcome()) == []
    twice = 7 << 26 | Error.TWICE << 22
    found = wrong_delivery(outcome(counts=[(2, Count.ERRORS, 3), (2, Count.FIRST_ERROR, twice)]))
    assert found == ["3 errors at 1 nodes: TWICE at node 2 in cycle 7"]
    found = wrong_delivery(outcome(counts=[(1, Count.RECEIVED, 7)], finished=False, dropped=1))
    assert found == ["2 packets that were sent have not come", "1 packets were dropped"]


@pytest.mark.parametrize("count, value, sentence", [
    (Count.DONE, 9, "39 of 40 pairs are measured"),
    (Count.TOO_FAST, 1, "1 packets took less than T0"),
    (Count.EXCESS_MAX, 2, "a packet took 2 cycles more than T0"),
])
def test_zero_load(count, value, sentence):
    assert wrong_at_zero_load(outcome(), 40) == []
    assert wrong_at_zero_load(outcome(counts=[(3, count, value)]), 40) == [sentence]


def test_around():
    """2 x 2 with a dead link: node 0 reaches 1 by a waypoint, 3 in XY by it too."""
    mesh = MeshParams(width=2, height=2, die_width=2, die_height=2)
    routes = Routes(Faults(mesh=mesh, links=frozenset({((1, 1), (2, 1))})))
    classes = [routes.route((1 + s % 2, 1 + s // 2), (1 + d % 2, 1 + d // 2)).route_class
               for s in range(4) for d in range(4)]
    counts = [(0, Count.BY_CLASS + n, 2 * classes.count(n)) for n in range(3)]
    counts += [(node, Count.BY_CLASS, 0) for node in (1, 2, 3)]
    counts += [(node, Count.SENT, 8) for node in range(4)]
    assert 0 < classes.count(1) < 8
    assert wrong_around(outcome(counts=counts), routes) == []
    assert wrong_around(outcome(counts=counts, dropped=2), routes) == ["2 packets were dropped"]
    other = wrong_around(outcome(counts=[*counts, (3, Count.BY_CLASS + 2, 1)]), routes)
    assert other == ["1 packets came by class 2, not 0"]
    few = wrong_around(outcome(counts=[*counts, (1, Count.SENT, 7)]), routes)
    assert few[0] == "node 1 made 7 packets, fewer than two for each node"


def test_drops():
    def header(**places):
        fields = {field.name: 0 for field in ROUTE} | {"src_x": 1, "src_y": 1, "dst_x": 2}
        return Format(ROUTE).pack(fields | places)
    good = outcome(dropped=5, latched=[[0, header()]])
    assert wrong_drops(good) == []
    assert wrong_drops(replace(good, dropped=4)) == ["4 packets were dropped, not 5"]
    assert wrong_drops(replace(good, latched=[])) == ["drops were latched at nodes [], not 0"]
    found, = wrong_drops(replace(good, latched=[[0, header(dst_x=1)]]))
    assert found.startswith("the header of a drop was latched that goes the other way")
