"""Starts: orders along the flow, fillings of dies, and that the best of all is taken."""

from itertools import product

import numpy as np
import pytest

from ouroboros.sw.place.cost import cost
from ouroboros.sw.place.curves import baselines
from ouroboros.sw.place.instance import Instance, read_instance
from ouroboros.sw.place.start import best_start, die_ends, flow_order


def path(tiles, grid, order=None):
    order = np.arange(tiles) if order is None else order
    edges = np.column_stack([order[:-1], order[1:], np.arange(1, tiles)])
    return Instance(name="path", grid=grid, tiles=tiles, edges=edges)


def test_a_shuffled_path_is_straightened(make_grid):
    order = np.random.default_rng(0).permutation(20)
    found = flow_order(path(20, make_grid(), order), 3).tolist()
    assert found in (order.tolist(), order[::-1].tolist())


def test_parts_that_nothing_joins_stay_together(make_grid):
    edges = np.array([[0, 2, 1], [2, 4, 1], [1, 3, 1], [3, 5, 1]])
    instance = Instance(name="two", grid=make_grid(), tiles=8, edges=edges)
    found = flow_order(instance, 3).tolist()
    assert {frozenset(found[:3]), frozenset(found[3:6])} == {frozenset({0, 2, 4}),
                                                             frozenset({1, 3, 5})}
    assert found[6:] == [6, 7]


@pytest.mark.parametrize("seed", range(4))
def test_fillings_are_the_cheapest(make_instance, seed):
    instance = make_instance(7, seed=seed, density=0.3)
    order = np.random.default_rng(seed).permutation(7)
    room = np.array([3, 4, 2, 3])

    def cuts(ends):
        die = np.empty(7, int)
        die[order] = np.repeat(np.arange(len(ends)), ends)
        a, b, volume = instance.edges.T
        return int((volume * abs(die[a] - die[b])).sum())

    best = min(cuts(ends) for used in range(1, 5)
               for ends in product(*(range(1, n + 1) for n in room[:used])) if sum(ends) == 7)
    found = die_ends(instance, order, room)
    assert found.sum() == 7 and (found <= room[:len(found)]).all()
    assert cuts(found) == best


def test_the_start_is_legal_and_no_worse_than_any_curve(make_instance):
    for tiles in (1, 9, 20, 35):
        instance = make_instance(tiles)
        curves = baselines(instance)
        start = best_start(instance, curves)
        assert len(set(start)) == tiles and set(start) <= set(instance.grid.live)
        assert cost(instance, start) <= cost(instance, curves.start)


def test_whole_blocks_on_dies(shared_file):
    instance = read_instance(shared_file("mapping/llama13b_kv1.json"))
    curves = baselines(instance)
    assert cost(instance, best_start(instance, curves)) < 0.86 * curves.die_hilbert
