"""Link loads: trees against sets of links drawn by hand, unicasts against the cost."""

import numpy as np
import pytest

from ouroboros.sw.place.cost import cost
from ouroboros.sw.place.instance import Instance, Net
from ouroboros.sw.place.links import DIRECTIONS, link_loads

STEP = {"east": (1, 0), "west": (-1, 0), "south": (0, 1), "north": (0, -1)}


def route(grid, a, b):
    """Links (core, direction) of the way X first, then Y."""
    x, y, links = a % grid.width, a // grid.width, []
    while (x, y) != (b % grid.width, b // grid.width):
        if x != b % grid.width:
            name = "east" if x < b % grid.width else "west"
        else:
            name = "south" if y < b // grid.width else "north"
        links.append((x + grid.width * y, name))
        x, y = x + STEP[name][0], y + STEP[name][1]
    return links


def length(grid, link):
    core, name = link
    other = core + STEP[name][0] + grid.width * STEP[name][1]
    return abs(grid.u[core] - grid.u[other]) + abs(grid.v[core] - grid.v[other])


def test_trees_are_the_union_of_the_routes(make_grid):
    rng = np.random.default_rng(1)
    grid = make_grid(width=7, height=5, die_width=3, die_height=2)
    nets = tuple(Net(source=int(tiles[0]), sinks=tuple(tiles[1:].tolist()),
                     volume_bytes=int(rng.integers(1, 99)))
                 for tiles in (rng.permutation(20)[:rng.integers(2, 9)] for _ in range(12)))
    instance = Instance(name="nets", grid=grid, tiles=20, edges=np.zeros((0, 3)), nets=nets)
    core = rng.permutation(grid.cores)[:20]
    found = link_loads(instance, core)

    loads, tree, unicast = np.zeros((4, grid.cores)), 0, 0
    for net in nets:
        ways = [route(grid, core[net.source], core[sink]) for sink in net.sinks]
        for link in set().union(*ways):
            loads[DIRECTIONS.index(link[1]), link[0]] += net.volume_bytes
            tree += net.volume_bytes * length(grid, link)
        unicast += net.volume_bytes * sum(length(grid, link) for way in ways for link in way)
    assert (found.bytes == loads).all()
    assert (found.tree_byte_hops, found.unicast_byte_hops) == (tree, unicast)
    assert found.known and tree < unicast
    core_id, direction = found.busiest
    assert loads[DIRECTIONS.index(direction), core_id] == loads.max() == found.busiest_bytes
    assert found.busiest_flits(16) == loads.max() / 16


def test_without_nets_half_goes_each_way(make_grid):
    instance = Instance(name="edge", grid=make_grid(), tiles=2, edges=np.array([[0, 1, 5]]),
                        unit_bytes=256)
    found = link_loads(instance, np.array([0, 2 + 6 * 1]))
    assert not found.known
    used = {(int(p), DIRECTIONS[d]): found.bytes[d, p]
            for d, p in zip(*np.nonzero(found.bytes), strict=True)}
    half = 5 * 256 / 2
    assert used == {(0, "east"): half, (1, "east"): half, (2, "south"): half,
                    (8, "west"): half, (7, "west"): half, (6, "north"): half}


@pytest.mark.parametrize("tiles", [5, 20])
def test_without_nets_byte_hops_are_the_cost(make_instance, tiles):
    instance = make_instance(tiles, unit_bytes=3)
    core = np.random.default_rng(0).permutation(instance.grid.live)[:tiles]
    found = link_loads(instance, core)
    assert found.tree_byte_hops == found.unicast_byte_hops == 3 * cost(instance, core)
