"""Routes around faults, followed hop by hop by the golden model from header and tables alone."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from ouroboros.hw.params.machine import MeshParams
from ouroboros.hw.params.packet import Port, Turn, Unit
from ouroboros.sw.noc.errors import NocError
from ouroboros.sw.noc.routes.check import Checker
from ouroboros.sw.noc.routes.classes import Channel, RouterTables, class_path
from ouroboros.sw.noc.routes.faults import Faults, random_faults
from ouroboros.sw.noc.routes.live import live_mesh, position_of, router_of
from ouroboros.sw.noc.routes.routing import Routes
from ouroboros.sw.noc.routes.tables import make_tables, renew_die
from ouroboros.sw.noc.routes.xy import neighbour, path

EIGHT = MeshParams(width=8, height=8, die_width=8, die_height=8)
DIES = MeshParams(width=9, height=8, die_width=3, die_height=4)
LINE = MeshParams(width=6, height=1, die_width=6, die_height=1)


def loaded(routes):
    """Router tables as the host's writes leave them."""
    found = {Unit.ROUTER: {}, Unit.DIES: {}, Unit.CORES: {}}
    for write in routes.writes():
        assert write.address == 0
        found[write.unit][write.at] = write.values
    return RouterTables(dead_ports={at: mask for at, [mask] in found[Unit.ROUTER].items()},
                        dies=found[Unit.DIES], cores=found[Unit.CORES])


def broken(faults, at, there):
    return (there in faults.routers or (at, there) in faults.links
            or (there, at) in faults.links)


def places(routes):
    mesh, cores = routes.mesh, [position_of(r, routes.mesh) for r in routes.cores]
    edges = [(x, y) for x, y in itertools.product(range(mesh.width + 2), range(mesh.height + 2))
             if (x in (0, mesh.width + 1)) != (y in (0, mesh.height + 1))
             and routes.live.live[router_of((x, y), mesh)]]
    return cores + edges


def follow_all(faults, pairs_every=1):
    """Follow every pair: it arrives, over live links, by the first class that can; all classes."""
    routes = Routes(faults)
    tables = loaded(routes)
    mesh, seen = faults.mesh, set()
    edges = set()
    pairs = itertools.product(places(routes), repeat=2)
    for source, end in itertools.islice(pairs, 0, None, pairs_every):
        route = routes.route(source, end)
        hops = class_path(source, end, route.way, route.route_class, mesh, tables)
        last = hops[-1]
        assert last.port is not None, f"{source} to {end} dropped"
        assert (last.at if last.port is Port.LOCAL else neighbour(last.at, last.port)) == end
        assert len(hops) - 1 == route.hops
        for a, b in itertools.pairwise(hops):
            assert not broken(faults, a.at, b.at)
            edges.add(((a.at, a.port, a.channel), (b.at, b.port, b.channel)))
        straight = [at for at, _ in path(source, end, mesh)]
        alive = not any(broken(faults, a, b) for a, b in itertools.pairwise(straight))
        assert (route.route_class == 0) == alive
        seen.add(route.route_class)
    assert_acyclic(edges)
    return seen


def assert_acyclic(edges):
    after, count = {}, {}
    for a, b in edges:
        after.setdefault(a, []).append(b)
        count.setdefault(a, 0)
        count[b] = count.get(b, 0) + 1
    free = [node for node, n in count.items() if not n]
    for node in free:
        for following in after.get(node, ()):
            count[following] -= 1
            if not count[following]:
                free.append(following)
    assert len(free) == len(count), "circle of channels"


@pytest.mark.parametrize("mesh", [EIGHT, DIES], ids=["one die", "dies"])
@pytest.mark.parametrize("routers, links", [(0, 0), (0, 1), (0, 16), (3, 0), (3, 8)])
def test_every_pair_arrives(mesh, routers, links):
    for seed in (1, 2):
        seen = follow_all(random_faults(mesh, routers, links, seed), pairs_every=7)
        assert seen == {0} if not routers + links else {0, 1} <= seen


def test_class_2():
    # (1, 1) leaves only to the south, (4, 4) is entered only from the west; their waypoint is dead.
    faults = Faults(mesh=EIGHT, routers=frozenset({(2, 1), (1, 4), (4, 3), (4, 5)}))
    routes = Routes(faults)
    assert routes.route((1, 1), (4, 4)).route_class == 2
    assert follow_all(faults) == {0, 1, 2}
    dies = replace(faults, mesh=replace(EIGHT, die_width=4, die_height=4))
    hops = class_path((1, 1), (4, 4), Routes(dies).route((1, 1), (4, 4)).way, 2, dies.mesh,
                      loaded(Routes(dies)))
    assert hops[0].channel is Channel.ARRIVAL
    assert follow_all(dies) == {0, 1, 2}


def test_waypoints_are_the_best():
    """Against all waypoints tried one by one."""
    faults = random_faults(replace(EIGHT, width=7, die_width=7), 9, 9, seed=4)
    routes = Routes(faults)
    mesh = faults.mesh

    def hops(source, end):
        line = [at for at, _ in path(source, end, mesh)]
        alive = not any(broken(faults, a, b) for a, b in itertools.pairwise(line))
        return len(line) - 1 if alive else None

    cores = [position_of(r, mesh) for r in routes.cores]
    direct = {pair: hops(*pair) for pair in itertools.product(cores, repeat=2)}
    classes = set()
    for source, end in direct:
        route = routes.route(source, end)
        classes.add(route.route_class)
        if direct[source, end] is not None:
            assert (route.route_class, route.hops) == (0, direct[source, end])
            continue
        legs = [direct[source, way] + direct[way, end] for way in cores
                if direct[source, way] is not None and direct[way, end] is not None]
        assert route.route_class == (1 if legs else 2)
        if legs:
            assert route.hops == min(legs)
            assert direct[source, route.way] + direct[route.way, end] == route.hops
    assert classes == {0, 1, 2}


def test_cut_off_cores_are_declared_dead():
    faults = Faults(mesh=DIES, routers=frozenset({(2, 1), (1, 2)}))
    routes = Routes(faults)
    assert routes.live.cut_off == ((1, 1),)
    # (4, 1) could be reached from the die to its west only: declared dead all the same.
    faults = Faults(mesh=DIES, links=frozenset({((4, 1), (5, 1)), ((4, 1), (4, 2))}))
    assert Routes(faults).live.cut_off == ((4, 1),)


@pytest.mark.parametrize("place, message", [
    ((1, 1), "destination must be alive, but core (1, 1) is cut off from its die"),
    ((2, 1), "destination must be alive, but core (2, 1) is dead"),
    ((2, 0), ("destination must be alive, but edge port (2, 0) is beside core (2, 1), "
             "which is dead")),
    ((0, 0), "destination must be a core or an edge port of the 9 x 8 mesh, not (0, 0)"),
    ((11, 1), "destination must be a core or an edge port of the 9 x 8 mesh, not (11, 1)"),
])
def test_destinations_refused(place, message):
    routes = Routes(Faults(mesh=DIES, routers=frozenset({(2, 1), (1, 2)})))
    with pytest.raises(NocError) as error:
        routes.route((5, 5), place)
    assert str(error.value) == message


@pytest.mark.parametrize("mesh, routers, message", [
    (EIGHT, [(4, y) for y in range(1, 9)],
     ("mesh must be in one piece, but dead links and routers cut 24 cores, such as (1, 1), off "
     "from the others of their die (up to 8 would be declared dead)")),
    (DIES, [(2, 1), (1, 2), (3, 2)],    # two pockets of one core each
     ("mesh must be in one piece, but dead links and routers cut 2 cores, such as (1, 1), off "
     "from the others of their die (up to 1 would be declared dead)")),
    (DIES, [(x, 4) for x in range(1, 10)],
     ("mesh must be in one piece, but dead links and routers part it in 2: 27 of 63 live cores, "
     "such as (1, 1), are cut off from the others")),
    (LINE, [(x, 1) for x in range(1, 7)],
     "mesh must have a live core, but all 6 are dead or cut off"),
])
def test_partitions_refused(mesh, routers, message):
    with pytest.raises(NocError) as error:
        Routes(Faults(mesh=mesh, routers=frozenset(routers)))
    assert str(error.value) == message


def spoiled(table, at, number, turn, mesh=DIES):
    live = live_mesh(Faults(mesh=mesh))
    tables = make_tables(live)
    getattr(tables, table)[router_of(at, mesh), number] = turn
    return live, tables


@pytest.mark.parametrize("table, at, number, turn, message", [
    ("cores", (2, 2), 5, Turn.NONE, ("table of cores of router (2, 2) has no entry for core 5 of "
                                    "its die ((3, 2))")),
    ("cores", (1, 1), 5, Turn.WEST, ("table of cores of router (1, 1) leads to a dead port for "
                                    "core 5 of its die ((3, 2))")),
    ("cores", (3, 1), 5, Turn.EAST, ("table of cores of router (3, 1) leaves the die for core 5 "
                                    "of its die ((3, 2))")),
    ("cores", (2, 2), 5, Turn.LOCAL, ("table of cores of router (2, 2) ends at the wrong place "
                                     "for core 5 of its die ((3, 2))")),
    ("cores", (3, 2), 5, Turn.WEST, ("table of cores of router (3, 2) ends at the wrong place for "
                                    "core 5 of its die ((3, 2))")),
    ("dies", (2, 2), 4, Turn.NONE, "table of dies of router (2, 2) has no entry for die 4"),
    ("dies", (1, 1), 4, Turn.NORTH, ("table of dies of router (1, 1) leads to a dead port for "
                                    "die 4")),
    ("dies", (1, 1), 4, Turn.ARRIVED, ("table of dies of router (1, 1) ends at the wrong place "
                                      "for die 4")),
])
def test_tables_refused(table, at, number, turn, message):
    live, tables = spoiled(table, at, number, turn)
    with pytest.raises(NocError) as error:
        Checker(live, tables)
    assert str(error.value) == message


@pytest.mark.parametrize("table, number, turns", [
    # Four routers send what is for one place round in a square.
    ("dies", 5, {(1, 1): Turn.EAST, (2, 1): Turn.SOUTH, (2, 2): Turn.WEST, (1, 2): Turn.NORTH}),
    ("cores", 11, {(1, 1): Turn.EAST, (2, 1): Turn.SOUTH, (2, 2): Turn.WEST,
                   (1, 2): Turn.NORTH}),
    ("cores", 11, {(1, 1): Turn.EAST, (2, 1): Turn.WEST}),
])
def test_circles_refused(table, number, turns):
    live = live_mesh(Faults(mesh=DIES))
    tables = make_tables(live)
    for at, turn in turns.items():
        getattr(tables, table)[router_of(at, DIES), number] = turn
    with pytest.raises(NocError) as error:
        Checker(live, tables)
    kind = "transit" if table == "dies" else "arrival"
    known = [f"routes must have no circle of channels, but packets can wait for each other in one "
             f"that leads through router {at}, port {turn.name}, {kind} of class 2"
             for at, turn in turns.items()]
    assert str(error.value) in known


def test_circles_of_different_destinations():
    """No packet goes round, but four of them can wait for each other."""
    live = live_mesh(Faults(mesh=EIGHT))
    tables = make_tables(live)

    def lead(corner_turns, end):
        number = router_of(end, EIGHT)
        for at, turn in corner_turns:
            tables.cores[router_of(at, EIGHT), number] = turn

    lead([((1, 2), Turn.NORTH), ((1, 1), Turn.EAST), ((2, 1), Turn.EAST)], (3, 1))
    lead([((1, 1), Turn.EAST), ((2, 1), Turn.SOUTH), ((2, 2), Turn.SOUTH)], (2, 3))
    lead([((2, 1), Turn.SOUTH), ((2, 2), Turn.WEST), ((1, 2), Turn.SOUTH)], (1, 3))
    lead([((2, 2), Turn.WEST), ((1, 2), Turn.NORTH)], (1, 1))
    with pytest.raises(NocError, match=r"^routes must have no circle of channels"):
        Checker(live, tables)


def test_channels_and_dependencies_by_hand():
    # Four routers in a row, two dies. Straight on: 4 on each of class 0 and 1. From class 0 to 1
    # by any port: 1 at each end, 4 at each router between. On transit to the border: 2, to arrival
    # behind it: 2. Inside a die of two nobody goes straight on.
    mesh = MeshParams(width=4, height=1, die_width=2, die_height=1)
    live = live_mesh(Faults(mesh=mesh))
    checked = Checker(live, make_tables(live)).checked
    assert (checked.channels, checked.dependencies) == (6 * 4, 8 + 10 + 2 + 2)


def test_one_die_changes():
    faults = random_faults(DIES, 2, 4, seed=3)
    live = live_mesh(faults)
    tables = make_tables(live)
    checker = Checker(live, tables)
    before = tables.cores.copy()
    tables.cores[live.die == 4] = 0
    with pytest.raises(NocError, match=r"has no entry"):
        checker.changed(live, tables, 4)
    renew_die(live, tables, 4)
    assert np.array_equal(tables.cores, before)
    assert checker.changed(live, tables, 4) == Checker(live, tables).checked
