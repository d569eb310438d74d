"""Loads of links against a walk of every tree."""

import json

import numpy as np
import pytest

from floorplan.errors import FloorplanError
from floorplan.link_load import read_load, tree_load
from hw.params.machine import MeshParams
from hw.params.packet import Port
from sw.golden.noc.route import tree
from sw.place.instance import Grid, Net

GRID = Grid(width=9, height=7, die_width=3, die_height=7, die_penalty_hops=3)


def test_one_tree_by_hand():
    # From (4, 3) to (6, 3), (6, 1) and (2, 5): east 2, north 2 in column 6; west 2, south 2.
    core = np.array([4 + 9 * 3, 6 + 9 * 3, 6 + 9 * 1, 2 + 9 * 5])
    load = tree_load(GRID, core, (Net(source=0, sinks=(1, 2, 3), volume_bytes=5),))
    want = np.zeros((4, 7, 9))
    want[Port.EAST, 3, [4, 5]] = 5
    want[Port.WEST, 3, [4, 3]] = 5
    want[Port.NORTH, [3, 2], 6] = 5
    want[Port.SOUTH, [3, 4], 2] = 5
    assert (load == want).all()


def test_random_trees_against_the_routers_own():
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
    assert (tree_load(GRID, core, nets) == want).all()


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
