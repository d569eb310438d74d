import itertools
import random

import pytest

from ouroboros.hw.params.machine import MeshParams
from ouroboros.hw.params.packet import Port
from ouroboros.sw.noc.routes.xy import (
    LabelError,
    entrance,
    is_core,
    labels_for,
    neighbour,
    path,
    tree,
)

MESH = MeshParams(width=4, height=3, die_width=4, die_height=3)
N, E, S, W, L = Port
CORES = list(itertools.product(range(1, 5), range(1, 4)))
EDGES = [*((x, y) for x in range(1, 5) for y in (0, 4)),
         *((x, y) for x in (0, 5) for y in range(1, 4))]


@pytest.mark.parametrize("source, destination, hops", [
    ((1, 1), (1, 1), [((1, 1), L)]),
    ((1, 1), (3, 2), [((1, 1), E), ((2, 1), E), ((3, 1), S), ((3, 2), L)]),
    ((0, 2), (2, 1), [((1, 2), E), ((2, 2), N), ((2, 1), L)]),
    ((3, 3), (0, 2), [((3, 3), W), ((2, 3), W), ((1, 3), N), ((1, 2), W)]),
    ((3, 3), (5, 2), [((3, 3), E), ((4, 3), N), ((4, 2), E)]),
    ((1, 2), (2, 4), [((1, 2), E), ((2, 2), S), ((2, 3), S)]),
    ((0, 2), (0, 2), [((1, 2), W)]),
])
def test_path(source, destination, hops):
    assert path(source, destination, MESH) == hops


def test_paths_end_at_their_destination():
    for source, destination in itertools.product([*CORES, *EDGES], repeat=2):
        at, port = path(source, destination, MESH)[-1]
        assert (at if port is L else neighbour(at, port)) == destination


def test_tree():
    assert tree((2, 2), [(2, 2), (4, 1), (1, 2), (2, 3), (0, 1)], MESH) == {
        (2, 2): 1 << L | 1 << E | 1 << W | 1 << S, (3, 2): 1 << E, (4, 2): 1 << N, (4, 1): 1 << L,
        (1, 2): 1 << L | 1 << N, (1, 1): 1 << W, (2, 3): 1 << L}


def follow(source, entries, label):
    """Positions that a labelled packet reaches, following the tables; each at most once."""
    at, reached, seen = entrance(source, MESH), [], set()
    todo = [at]
    while todo:
        at = todo.pop()
        assert at not in seen, f"{at} gets two copies"
        seen.add(at)
        for port in Port:
            if entries[at][label] >> port & 1:
                beyond = at if port is L else neighbour(at, port)
                if port is L or not is_core(beyond, MESH):
                    reached.append(beyond)
                else:
                    todo.append(beyond)
    return sorted(reached)


def test_labels_reach_their_groups():
    rng = random.Random(1)
    groups = [(rng.choice([*CORES, *EDGES]), rng.sample([*CORES, *EDGES], rng.randint(1, 6)))
              for _ in range(25)]
    labels = labels_for([*groups, groups[3]], MESH, 26)
    assert labels.numbers[-1] == labels.numbers[3]
    assert 1 <= min(labels.numbers) and max(labels.numbers) < 26
    for (source, destinations), label in zip(groups, labels.numbers, strict=False):
        assert follow(source, labels.entries, label) == sorted(destinations)


def test_labels_are_reused_where_trees_do_not_meet():
    rows = [((1, y), [(2, y), (3, y)]) for y in (1, 2, 3)]
    labels = labels_for(rows, MESH, 2)
    assert labels.numbers == (1, 1, 1)
    assert labels.entries[2, 3] == {1: 1 << E | 1 << L}


def test_labels_run_out():
    groups = [((1, 1), [(2, 1)]), ((1, 1), [(2, 1), (3, 1)]), ((2, 1), [(3, 1)])]
    assert labels_for(groups, MESH, 4).numbers == (2, 1, 3)
    with pytest.raises(LabelError) as error:
        labels_for(groups, MESH, 3)
    assert str(error.value) == (
        "multicast groups must fit 2 labels: no label is left for group 2 from (2, 1) (2 routers; "
        "router (2, 1) alone has 2 labels in use)")


@pytest.mark.parametrize("source, destinations, message", [
    ((0, 0), [(1, 1)], "source must be a core or an edge port of the 4 x 3 mesh, not (0, 0)"),
    ((1, 1), [(6, 1)], "destination must be a core or an edge port of the 4 x 3 mesh, not (6, 1)"),
    ((1, 1), [], "destinations must be at least one position, not none"),
])
def test_refused(source, destinations, message):
    with pytest.raises(ValueError) as error:
        tree(source, destinations, MESH)
    assert str(error.value) == message


def dependencies(paths):
    """Edges of the channel dependency graph: a packet in the first channel waits for the second.

    A channel is (where it starts, where it ends); injection and ejection are channels too.
    """
    edges = set()
    for source, hops in paths:
        before = ("in", source)
        for at, port in hops:
            after = (at, port)
            edges.add((before, after))
            before = after
    return edges


def is_acyclic(edges):
    """Kahn: nodes without predecessor are removed until nothing is left, or only cycles."""
    follow, count = {}, {}
    for a, b in edges:
        follow.setdefault(a, []).append(b)
        count.setdefault(a, 0)
        count[b] = count.get(b, 0) + 1
    free = [node for node, n in count.items() if not n]
    removed = 0
    while free:
        node = free.pop()
        removed += 1
        for after in follow.get(node, ()):
            count[after] -= 1
            if not count[after]:
                free.append(after)
    return removed == len(count)


def test_channel_dependencies_are_acyclic():
    """All pairs, edge ports included: so no set of packets can wait in a circle."""
    edges = dependencies((source, path(source, destination, MESH))
                         for source, destination in itertools.product([*CORES, *EDGES], repeat=2))
    assert len(edges) > 200
    assert is_acyclic(edges)
    # The check can fail: with the paths of YX routing added there are circles.
    flipped = MeshParams(width=3, height=4, die_width=3, die_height=4)
    mirror = {N: W, W: N, S: E, E: S, L: L}
    yx = [((y, x), [((b, a), mirror[port]) for (a, b), port in path((x, y), (v, u), flipped)])
          for (y, x), (u, v) in itertools.product(CORES, repeat=2)]
    assert not is_acyclic(edges | dependencies(yx))


def test_multicast_dependencies_add_nothing():
    """A multicast packet waits in a channel for those its copies leave by, as unicasts do."""
    unicast = dependencies((source, path(source, destination, MESH)) for source, destination
                           in itertools.product([*CORES, *EDGES], repeat=2))
    rng = random.Random(2)
    for _ in range(300):
        source = rng.choice([*CORES, *EDGES])
        ports = tree(source, rng.sample([*CORES, *EDGES], rng.randint(1, 12)), MESH)
        todo, edges = [(("in", source), entrance(source, MESH))], set()
        while todo:
            before, at = todo.pop()
            for port in (port for port in Port if ports[at] >> port & 1):
                edges.add((before, (at, port)))
                if port is not L and is_core(neighbour(at, port), MESH):
                    todo.append(((at, port), neighbour(at, port)))
        assert edges <= unicast
