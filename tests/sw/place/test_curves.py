"""Curves visit every live core once; their costs on the reference instances are the known ones."""

import numpy as np
import pytest

from ouroboros.sw.place.cost import cost
from ouroboros.sw.place.curves import baselines, die_hilbert, die_snake, row_snake
from ouroboros.sw.place.instance import read_instance

CURVES = [row_snake, die_snake, *(lambda grid, n=n: die_hilbert(grid, n) for n in range(8))]


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("sizes", [
    {}, {"width": 7, "height": 5, "die_width": 3, "die_height": 4},
    {"width": 26, "height": 17, "die_width": 13, "die_height": 17}, {"width": 1, "height": 1},
    {"width": 8, "height": 1}])
def test_every_live_core_once(make_grid, curve, sizes):
    grid = make_grid(**sizes, defects=() if sizes.get("height") == 1 else (1, 7))
    assert sorted(curve(grid)) == grid.live.tolist()


def test_hilbert_steps_between_neighbours(make_grid):
    grid = make_grid(width=13, height=17, die_width=13, die_height=17)
    for n in (0, 3):
        curve = die_hilbert(grid, n)
        steps = abs(np.diff(grid.x[curve])) + abs(np.diff(grid.y[curve]))
        # Odd sides force one diagonal step, which is two hops.
        assert steps.max() <= 2 and (steps == 2).sum() <= 1


def test_row_snake_by_hand(make_grid):
    assert row_snake(make_grid(width=3, height=2, defects=(4,))).tolist() == [0, 1, 2, 5, 3]


def test_die_snake_by_hand(make_grid):
    grid = make_grid(width=4, height=2, die_width=2, die_height=2)
    assert die_snake(grid).tolist() == [0, 4, 5, 1, 6, 2, 3, 7]


@pytest.mark.parametrize("name, rows, dies, hilbert, best", [
    ("llama13b_kv1.json", 515.3, 150.3, 134.8, 133.8),
    ("llama13b_kv36.json.gz", 1245.3, 393.1, 365.0, 365.0),
])
def test_reference_costs(shared_file, name, rows, dies, hilbert, best):
    instance = read_instance(shared_file(f"mapping/{name}"))
    found = baselines(instance)
    assert round(found.row_snake / 1e6, 1) == rows
    assert round(found.die_snake / 1e6, 1) == dies
    assert round(found.die_hilbert_orientations[0] / 1e6, 1) == hilbert
    assert round(found.die_hilbert / 1e6, 1) == best
    assert cost(instance, found.start) == found.die_hilbert
