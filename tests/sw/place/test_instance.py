"""Instances: grid coordinates, merged edges, files and their refusals."""

import gzip
import json
import re

import numpy as np
import pytest

from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.place.cost import cost, edge_hops
from ouroboros.sw.place.instance import Grid, Instance, Net, read_instance, write_instance

GOOD = {"name": "toy", "tiles": 3, "W": 4, "H": 2, "die_w": 2, "die_h": 2, "lam": 3,
        "defects": [5], "edges": [[0, 1, 10], [2, 1, 4]]}


def write(path, **changes):
    found = {key: value for key, value in (GOOD | changes).items() if value is not ...}
    path.write_text(json.dumps(found))
    return path


def test_stretched_coordinates_are_the_distance(make_grid):
    grid = make_grid(width=7, height=5, die_width=3, die_height=2, die_penalty_hops=4)
    for a in range(grid.cores):
        for b in range(grid.cores):
            xa, ya, xb, yb = a % 7, a // 7, b % 7, b // 7
            hops = abs(xa - xb) + abs(ya - yb) + 4 * (abs(xa // 3 - xb // 3)
                                                      + abs(ya // 2 - yb // 2))
            assert abs(grid.u[a] - grid.u[b]) + abs(grid.v[a] - grid.v[b]) == hops
    assert (grid.dies_across, grid.dies_down) == (3, 3)
    assert grid.die.reshape(5, 7)[3].tolist() == [3, 3, 3, 4, 4, 4, 5]


def test_cost_by_hand():
    grid = Grid(width=4, height=2, die_width=2, die_height=2, die_penalty_hops=3, defects=(5,))
    instance = Instance(name="toy", grid=grid, tiles=3, edges=np.array([[0, 1, 10], [2, 1, 4]]))
    core = np.array([0, 1, 6])                       # (0, 0), (1, 0), (2, 1)
    assert edge_hops(instance, core).tolist() == [1, 1 + 1 + 3]
    assert cost(instance, core) == 10 + 4 * 5
    assert grid.live.tolist() == [0, 1, 2, 3, 4, 6, 7]


def test_edges_are_merged(make_grid):
    rows = np.array([[2, 0, 5], [0, 2, 6], [1, 1, 9], [0, 1, 0], [1, 0, 3]])
    instance = Instance(name="m", grid=make_grid(), tiles=3, edges=rows)
    assert instance.edges.tolist() == [[0, 1, 3], [0, 2, 11]]
    assert instance.volume == 14
    same = Instance(name="n", grid=make_grid(width=9), tiles=3, edges=rows[::-1])
    assert same.digest == instance.digest
    more = Instance(name="n", grid=make_grid(), tiles=4, edges=rows)
    assert more.digest != instance.digest


@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
def test_file_round_trip(tmp_path, make_instance, name):
    instance = make_instance(5, unit_bytes=256, tile_names=tuple((0, "Q", n) for n in range(5)),
                             nets=(Net(source=0, sinks=(1, 2), volume_bytes=7),))
    write_instance(instance, tmp_path / name)
    again = read_instance(tmp_path / name)
    for field in ("name", "grid", "tiles", "unit_bytes", "tile_names", "nets", "digest"):
        assert getattr(again, field) == getattr(instance, field)
    assert ((tmp_path / name).read_bytes()[:2] == b"\x1f\x8b") == name.endswith(".gz")


def test_shared_instances(shared_file):
    instance = read_instance(shared_file("mapping/llama13b_kv1.json"))
    assert (instance.tiles, len(instance.edges), len(instance.grid.live)) == (3640, 30817, 13714)
    assert round(instance.volume / 1e6, 1) == 20.9
    assert instance.tile_names[0] == (0, "Q", 0)


@pytest.mark.parametrize("changes, message", [
    ({"edges": ...}, "{}: key 'edges' is missing"),
    ({"W": "4"}, "{}: key 'W' must be a whole number below 2**63, not \"4\""),
    ({"lam": 0.5}, "{}: key 'lam' must be a whole number below 2**63, not 0.5"),
    ({"lam": -1}, "{}: key 'lam' must be at least 0, not -1"),
    ({"lam": 1 << 40}, "{}: key 'lam' must be at most 1,048,576, not 1,099,511,627,776"),
    ({"die_w": 0}, "{}: key 'die_w' must be at least 1, not 0"),
    ({"H": 1 << 40}, "{}: key 'H' must be at most 16,777,216, not 1,099,511,627,776"),
    ({"W": 1 << 63}, "{}: key 'W' must be a whole number below 2**63, not 9223372036854775808"),
    ({"W": 1 << 20, "H": 1 << 20}, ("{}: a grid must have at most 16,777,216 cores, "
                                    "not 1048576 x 1048576")),
    ({"unit_bytes": 1 << 60},
     "{}: key 'unit_bytes' must be at most 1,073,741,824, not 1,152,921,504,606,846,976"),
    ({"edges": [[0, 1, 1 << 62], [1, 0, 1 << 62]]},
     "{}: edges must have volumes whose worst cost in bytes is below 2**62"),
    ({"nets": [[0, [1], 1 << 62]]},
     "{}: nets must have volumes whose worst cost in bytes is below 2**62"),
    ({"tiles": True}, "{}: key 'tiles' must be a whole number below 2**63, not true"),
    ({"tiles": 9}, ("{}: toy: tiles must be at most 7, the grid's live cores, not 9, 2 too many: "
                   "take a larger grid or fewer tiles")),
    ({"tiles": 2}, ("{}: edges[1] must join tiles 0 to 1 with a volume of at least 0, "
                   "not [2, 1, 4]")),
    ({"tiles": 0}, "{}: key 'tiles' must be at least 1, not 0"),
    ({"edges": [[0, 1]]}, "{}: edges[0] must be 3 whole numbers, not [0, 1]"),
    ({"edges": [[0, 1, 1], [0, 1, 1.5]]},
     "{}: edges[1] must be a whole number below 2**63, not 1.5"),
    ({"edges": [[0, 1, -1]]}, ("{}: edges[0] must join tiles 0 to 2 with a volume of at least 0, "
                              "not [0, 1, -1]")),
    ({"edges": [[0, 1, 1 << 61]]},
     "{}: edges must have volumes whose worst cost in bytes is below 2**62"),
    ({"edges": 3}, "{}: key 'edges' must be a list, not 3"),
    ({"defects": [8]}, "{}: defects must be cores 0 to 7, not 8"),
    ({"defects": [[1]]}, "{}: defects[0] must be a whole number below 2**63, not [1]"),
    ({"tile_names": [["a"]]}, "{}: tile_names must be 3 names, not 1"),
    ({"tile_names": ["a"]}, "{}: tile_names[0] must be a list, not \"a\""),
    ({"nets": [[0, [1]]]}, "{}: nets[0] must be a list of source, sinks and bytes, not [0, [1]]"),
    ({"nets": [[0, ["b"], 1]]},
     "{}: nets[0][1][0] must be a whole number below 2**63, not \"b\""),
    ({"nets": [[0, [3], 1]]}, "{}: nets[0] must join tiles 0 to 2, not 3"),
    ({"name": 5}, "{}: key 'name' must be a string, not 5"),
])
def test_malformed_files_name_file_and_key(tmp_path, changes, message):
    path = write(tmp_path / "bad.json", **changes)
    with pytest.raises(OuroborosError, match="^" + re.escape(message.format(path)) + "$"):
        read_instance(path)


@pytest.mark.parametrize("raw, message", [
    (b"{", "not JSON"), (b"[1]", "must hold one JSON object, not [1]"), (b"\xff", "not JSON"),
    # A time in the data would be in the test's name, and that must be the same for all workers.
    (gzip.compress(b"{}", mtime=0)[:-4], "not a whole gzip file"),
    (b"\x1f\x8bnonsense", "not a whole gzip"),
    (b"[" * 100_000, "not JSON"),
])
def test_files_that_are_no_json(tmp_path, raw, message):
    path = tmp_path / "bad.json"
    path.write_bytes(raw)
    with pytest.raises(OuroborosError, match=re.escape(f"{path}: {message}")):
        read_instance(path)
