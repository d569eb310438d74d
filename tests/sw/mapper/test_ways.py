"""Ways on a network whose routes are given."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest

from ouroboros.hw.params.machine import MeshParams, load_machine
from ouroboros.hw.params.packet import Unit
from ouroboros.sw.mapper.limits import MapperError
from ouroboros.sw.mapper.ways import Ways
from ouroboros.sw.program.program import Way

SMALL = load_machine("tiny")
TINY = replace(SMALL, noc=replace(SMALL.noc, class1_vcs=1, class2_vcs=2))
HOST, A, B = TINY.host, (2, 1), (3, 1)


@dataclass
class Given:
    """Routes by (source, target): (class, waypoint); class 0 where nothing is given."""

    given: dict
    mesh: MeshParams = TINY.mesh
    cores = np.array([0, 1, 2])

    def require(self, what, at):
        assert at == HOST

    def route(self, source, target):
        route_class, way = self.given.get((source, target), (0, (0, 0)))
        return SimpleNamespace(route_class=route_class, way=way)

    def writes(self):
        return [SimpleNamespace(at=at, unit=unit, address=0, values=(unit,))
                for at in ((1, 1), A, B) for unit in (Unit.ROUTER, Unit.DIES, Unit.CORES)]


def ways(**given):
    pairs = {"host_a": (HOST, A), "a_host": (A, HOST), "a_b": (A, B), "b_host": (B, HOST)}
    return Ways(TINY, Given({pairs[name]: what for name, what in given.items()}))


def test_ways_there_and_back():
    found = ways(host_a=(1, (1, 2)), a_host=(1, (2, 2))).detours({A})
    assert found.there == {(1, 1): (0, 0), A: (1, 2), B: (0, 0)}
    assert found.back == {(1, 1): (0, 0), A: (2, 2), B: (0, 0)}
    assert {(at, write.unit, write.values) for at, write in found.writes} == {
        (at, Unit.ROUTER, (Unit.ROUTER,)) for at in ((1, 1), A, B)}


def test_an_idle_core_that_only_tables_lead_to_hears_of_nothing():
    found = ways(b_host=(2, (9, 9))).detours({A})
    assert found.there.keys() == found.back.keys() == {(1, 1), A}
    assert {at for at, _ in found.writes} == {(1, 1), A}


def test_a_used_core_that_only_tables_lead_to_is_refused():
    with pytest.raises(MapperError, match=r"^way from \(3, 1\) to \(0, 1\) must need no tables"):
        ways(b_host=(2, (9, 9))).detours({A, B})


def test_tables_must_reach_idle_cores_too():
    """Once any way needs tables, every router must have its own."""
    made = ways(a_b=(2, (9, 9)), b_host=(2, (9, 9)))
    assert made.way(A, B) == Way((9, 9), table=True)
    with pytest.raises(MapperError, match=r"^way from \(3, 1\) to \(0, 1\) must need no tables"):
        made.detours({A})
    made = ways(a_b=(2, (9, 9)))
    made.way(A, B)
    assert {write.unit for _, write in made.detours({A}).writes} == {
        Unit.ROUTER, Unit.DIES, Unit.CORES}


def test_fields_of_destinations():
    made = ways(a_b=(2, (9, 9)), host_a=(1, (1, 2)))
    assert made.dest(A, B) == {"vc": TINY.noc.transit_vc, "way_x": 9, "way_y": 9}
    assert made.dest(HOST, A) == {"vc": 0, "way_x": 1, "way_y": 2}
    assert made.dest(B, A) == {"vc": 0, "way_x": 0, "way_y": 0}


def test_groups_of_a_multicast():
    made = ways(a_b=(1, (2, 2)))
    assert made.groups(A, [B, (1, 1), (4, 1)]) == [((1, 1), (4, 1)), (B,)]
    assert made.groups(A, [B]) == [(B,)]


@pytest.mark.parametrize(("route_class", "changes", "need"), [
    (1, {"class1_vcs": 0}, 1), (2, {"class2_vcs": 0}, 2)])
def test_channels_of_a_class(route_class, changes, need):
    name = f"class{route_class}_vcs"
    machine = replace(TINY, noc=replace(TINY.noc, **changes))
    made = Ways(machine, Given({(A, B): (route_class, (2, 2))}))
    with pytest.raises(MapperError, match=rf"noc.{name} of machine 'tiny' must be at least {need}, "
                                          rf"not {changes[name]}$"):
        made.way(A, B)
