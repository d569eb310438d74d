"""The lower bound: below exact optima, recomputed from its prices in plain Python."""

import numpy as np
import pytest

from ouroboros.sw.place.bound import balls, evaluate, lower_bound
from ouroboros.sw.place.cost import cost
from ouroboros.sw.place.exact import solve
from ouroboros.sw.place.instance import Instance, read_instance


def by_hand(instance, prices):
    """The claim of ``sw.place.bound`` word for word, with its own count of cores."""
    grid = instance.grid
    u, v = grid.u.tolist(), grid.v.tolist()
    live = sorted(set(range(grid.cores)) - set(grid.defects))
    total = sum(volume for _, _, volume in instance.edges.tolist())
    for k in range(prices.shape[1]):
        most = max(sum(abs(u[p] - u[q]) + abs(v[p] - v[q]) <= k + 1 for q in live) - 1
                   for p in live)
        price = prices[:, k].tolist()
        total += sum(min(volume, price[a] + price[b]) for a, b, volume in instance.edges.tolist())
        total -= most * sum(price)
    return total


def test_balls_of_an_open_grid(make_grid):
    grid = make_grid(width=21, height=21, die_width=21, die_height=21)
    assert balls(grid, 4).tolist() == [4, 12, 24, 40]
    assert balls(make_grid(die_penalty_hops=1), 2).tolist() == [4, 8]
    assert balls(make_grid(width=2, height=1), 3).tolist() == [1, 1, 1]


@pytest.mark.parametrize("tiles, density", [(3, 1.0), (6, 0.9), (7, 1.0), (20, 0.5)])
def test_recomputed_by_hand(make_instance, tiles, density):
    instance = make_instance(tiles, density=density)
    found = lower_bound(instance, 100)
    assert found.value == max(instance.volume, by_hand(instance, found.prices))
    assert (found.prices >= 0).all()


def test_any_prices_prove_a_bound(make_instance):
    instance = make_instance(7, density=1.0)
    optimum = solve(instance, instance.grid.live[:7], seconds=60).cost
    rng = np.random.default_rng(0)
    for _ in range(50):
        prices = rng.integers(0, 6, (7, 3))
        assert evaluate(instance, prices) == by_hand(instance, prices) <= optimum


@pytest.mark.parametrize("tiles, seed", [(2, 0), (4, 1), (6, 2), (7, 3)])
def test_below_the_optimum(make_instance, tiles, seed):
    instance = make_instance(tiles, seed=seed, density=1.0)
    optimum = solve(instance, instance.grid.live[:tiles], seconds=60).cost
    found = lower_bound(instance).value
    assert instance.volume <= found <= optimum
    if tiles == 2:
        assert found == optimum


def test_a_star_is_bounded_exactly(make_grid):
    grid = make_grid(width=9, height=9, die_width=9, die_height=9)
    edges = np.array([[0, n, 10 + n] for n in range(1, 13)])
    instance = Instance(name="star", grid=grid, tiles=13, edges=edges)
    # Largest volumes on the 4 cores at one hop, the other 8 at two.
    assert lower_bound(instance).value == pytest.approx(sum(range(19, 23))
                                                        + 2 * sum(range(11, 19)), rel=0.01)
    assert lower_bound(instance).value <= sum(range(19, 23)) + 2 * sum(range(11, 19))


def test_no_edges(make_instance):
    assert lower_bound(make_instance(1)).value == 0


@pytest.mark.parametrize("name, at_least", [("llama13b_kv1.json", 54.5e6),
                                            ("llama13b_kv36.json.gz", 118.6e6)])
def test_reference_bounds(shared_file, name, at_least):
    instance = read_instance(shared_file(f"mapping/{name}"))
    found = lower_bound(instance)
    assert found.value >= at_least
    # Recomputed apart, in floats, from the prices found.
    a, b, volume = instance.edges.T
    again = float(volume.sum())
    for k, price in enumerate(found.prices.T):
        again += np.minimum(volume, price[a] + price[b]).sum() \
            - (2 * (k + 1) * (k + 2)) * price.sum()
    assert again <= found.value <= cost(instance, instance.grid.live[:instance.tiles])
