import random
from dataclasses import replace

import pytest

from hw.params.machine import MeshParams
from hw.params.noc import NocParams
from hw.params.packet import Port
from sw.noc.destinations import plan_destinations
from sw.noc.errors import NocError
from sw.noc.faults import Faults, random_faults
from sw.noc.labels import check_labels
from sw.noc.live import live_mesh
from sw.noc.routing import Routes

MESH = MeshParams(width=6, height=5, die_width=6, die_height=5)
NOC = NocParams(labels=128)
N, E, S, W, L = (1 << port for port in Port)


def test_multicast_only_over_live_trees():
    routes = Routes(Faults(mesh=MESH, routers=frozenset({(3, 2)})))
    plan = plan_destinations(routes, NOC, [
        ((1, 2), [(2, 2), (2, 4), (4, 2), (3, 3)]), ((1, 2), [(4, 2), (2, 2)]),
        ((1, 1), [(1, 1)])])
    first, second, third = plan.lists
    assert [(d.ends, d.label, d.route_class, d.vc) for d in first] == [
        (((2, 2), (2, 4)), 1, 0, 0), (((4, 2),), 0, 1, 0), (((3, 3),), 0, 1, 0)]
    assert [(d.ends, d.label) for d in second] == [(((4, 2),), 0), (((2, 2),), 0)]
    assert [(d.ends, d.label, d.way) for d in third] == [(((1, 1),), 0, (0, 0))]
    assert plan.labels == {(1, 2): {1: E}, (2, 2): {1: S | L}, (2, 3): {1: S}, (2, 4): {1: L}}


def test_random_plans_are_accepted_and_reach_all():
    rng = random.Random(3)
    routes = Routes(random_faults(MESH, 2, 4, seed=2))
    cores = [(r % 6 + 1, r // 6 + 1) for r in routes.cores.tolist()]
    groups = [(rng.choice(cores), rng.sample(cores, rng.randint(1, 6))) for _ in range(30)]
    plan = plan_destinations(routes, NOC, groups)
    for (_, ends), entries in zip(groups, plan.lists, strict=True):
        assert sorted(end for entry in entries for end in entry.ends) == sorted(ends)
        assert all((entry.label > 0) == (len(entry.ends) > 1) for entry in entries)


@pytest.mark.parametrize("groups, noc, message", [
    ([((1, 1), [])], NOC, "group 0 must have destinations, each once, not []"),
    ([((1, 1), [(2, 1), (2, 1)])], NOC,
     "group 0 must have destinations, each once, not [(2, 1), (2, 1)]"),
    ([((1, 1), [(3, 2)])], NOC, "destination must be alive, but core (3, 2) is dead"),
    ([((3, 2), [(1, 1)])], NOC, "source must be alive, but core (3, 2) is dead"),
    ([((1, 2), [(4, 2)])], replace(NOC, class1_vcs=0),
     ("network must have channels of class 1 (class1_vcs over 0): some destinations are behind "
      "faults")),
])
def test_refused(groups, noc, message):
    routes = Routes(Faults(mesh=MESH, routers=frozenset({(3, 2)})))
    with pytest.raises(NocError) as error:
        plan_destinations(routes, noc, groups)
    assert str(error.value) == message


@pytest.mark.parametrize("entries, message", [
    ({(1, 1): {3: E}, (2, 1): {3: S}, (2, 2): {3: W}, (1, 2): {3: N}},
     "label 3 must go by x first and then by y, but turns from y to WEST at router (2, 2)"),
    ({(1, 1): {3: E}, (2, 1): {3: W}},
     "label 3 must be a tree, but goes back from router (2, 1) by port WEST"),
    ({(1, 1): {3: E | S}, (2, 1): {3: S}, (1, 2): {3: E}, (2, 2): {3: L}},
     "label 3 must be a tree, but two branches meet at router (2, 2)"),
    ({(2, 2): {5: E}, (3, 2): {5: L}},
     "label 5 must lead over live links, not from router (2, 2) by its dead port EAST"),
    ({(1, 1): {5: E}}, ("label 5 must have an entry at router (2, 1), where port EAST of (1, 1) "
                       "leads")),
])
def test_label_sets_refused(entries, message):
    live = live_mesh(Faults(mesh=MESH, routers=frozenset({(3, 2)})))
    with pytest.raises(NocError) as error:
        check_labels(entries, live)
    assert str(error.value) == message


def test_edges_are_left_by_any_port():
    live = live_mesh(Faults(mesh=MESH))
    check_labels({(1, 1): {1: S | N}, (1, 2): {1: W | L}}, live)
