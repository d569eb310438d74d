"""Branch and bound: equal to enumeration, proved on a reference instance, honest when cut off."""

from itertools import permutations

import numpy as np
import pytest

from ouroboros.sw.place.cost import cost
from ouroboros.sw.place.exact import solve
from ouroboros.sw.place.instance import read_instance


def enumerated(instance):
    return min(cost(instance, np.array(core))
               for core in permutations(instance.grid.live.tolist(), instance.tiles))


@pytest.mark.parametrize("tiles, seed", [(1, 0), (2, 0), (3, 1), (4, 2), (5, 3), (5, 4)])
def test_equal_to_enumeration(make_instance, make_grid, tiles, seed):
    grid = make_grid(width=4, height=2, die_width=2, die_height=2, die_penalty_hops=2,
                     defects=(1,))
    instance = make_instance(tiles, seed=seed, density=0.7, grid=grid)
    found = solve(instance, grid.live[:tiles], seconds=60)
    assert found.proved
    assert found.cost == found.lower_bound == cost(instance, found.core) == enumerated(instance)
    assert len(set(found.core)) == tiles and set(found.core) <= set(grid.live)


def test_an_optimal_start_is_kept(make_instance, make_grid):
    instance = make_instance(4, grid=make_grid(width=3, height=2))
    first = solve(instance, instance.grid.live[:4], seconds=60)
    again = solve(instance, first.core, seconds=60)
    assert again.core.tolist() == first.core.tolist() and again.proved


@pytest.mark.parametrize("name, optimum", [("s8_6x6_die3x3_def1", 64)])
def test_reference_optimum(shared_file, name, optimum):
    instance = read_instance(shared_file(f"mapping/{name}.json"))
    found = solve(instance, instance.grid.live[:instance.tiles], seconds=60)
    assert (found.cost, found.proved) == (optimum, True)


def test_out_of_time_is_not_proved(make_instance):
    instance = make_instance(12, density=0.9)
    start = instance.grid.live[:12]
    found = solve(instance, start, seconds=0.0)
    assert not found.proved
    assert found.lower_bound < found.cost == cost(instance, found.core) <= cost(instance, start)
