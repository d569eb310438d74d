"""Loads of links against a walk of every tree."""

import json

import numpy as np
import pytest

from ouroboros.floorplan.errors import FloorplanError
from ouroboros.floorplan.link_load import placement_load, read_load
from ouroboros.hw.params.machine import MeshParams
from ouroboros.hw.params.packet import Port
from ouroboros.sw.noc.routes.xy import tree
from ouroboros.sw.place.cost import cost
from ouroboros.sw.place.instance import Grid, Instance, Net
from ouroboros.sw.place.placement import Placement


def test_random_trees_against_the_routers_own():
    grid = Grid(width=9, height=7, die_width=3, die_height=7, die_penalty_hops=3)
    rng = np.random.default_rng(1)
    core = rng.permutation(63)[:40]
    nets = tuple(Net(source=int(chosen[0]), sinks=tuple(map(int, chosen[1:])),
                     volume_bytes=int(rng.integers(1, 1000)))
                 for chosen in (rng.permutation(40)[:rng.integers(2, 12)] for _ in range(60)))
    mesh = MeshParams(width=9, height=7, die_width=3, die_height=7)
    want = np.zeros((4, 7, 9))
    for net in nets:
        at = [(int(core[tile]) % 9 + 1, int(core[tile]) // 9 + 1)
              for tile in (net.source, *net.sinks)]
        for (x, y), mask in tree(at[0], at[1:], mesh).items():
            for port in (Port.NORTH, Port.EAST, Port.SOUTH, Port.WEST):
                if mask >> port & 1:
                    want[port, y - 1, x - 1] += net.volume_bytes
    instance = Instance(name="trees", grid=grid, tiles=40, edges=np.array([[0, 1, 1]]), nets=nets)
    placement = Placement(instance_name="trees", instance_digest=instance.digest, grid=grid,
                          core=core, cost=cost(instance, core))
    load, trees = placement_load(placement, instance)
    assert trees
    assert (load == want).all()


def test_file(tmp_path):
    path = tmp_path / "load.json"
    path.write_text(json.dumps({"load": np.ones((4, 2, 3)).tolist(), "unit": "flits"}))
    load, unit = read_load(path, 2, 3)
    assert load.shape == (4, 2, 3)
    assert unit == "flits"
    with pytest.raises(FloorplanError, match=r"'load' must be \(4, 3, 3\) .*, not \(4, 2, 3\)$"):
        read_load(path, 3, 3)
    path.write_text('{"load": [[1], 2]}')
    with pytest.raises(FloorplanError, match="must be JSON with keys 'load' and 'unit'"):
        read_load(path, 3, 3)
