"""Repair: legal, exact in cost, near the best of all chains, refused when spares end."""

import re
from itertools import permutations

import numpy as np
import pytest

from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.place.cost import cost
from ouroboros.sw.place.instance import Instance
from ouroboros.sw.place.place import Options, place
from ouroboros.sw.place.placement import Placement, check
from ouroboros.sw.place.repair import Repairer, spare_cores


def placed(instance, core):
    return Placement(instance_name=instance.name, instance_digest=instance.digest,
                     grid=instance.grid, core=core, cost=cost(instance, core))


def on(grid, instance):
    return Instance(name=instance.name, grid=grid, tiles=instance.tiles, edges=instance.edges)


def test_faults_until_the_spares_end(make_instance):
    instance = make_instance(30)
    repairer = Repairer(instance, place(instance, Options(moves=20_000)).placement)
    rng = np.random.default_rng(0)
    assert repairer.spares == 5
    while repairer.spares:
        before = repairer.placement()
        failed = int(rng.choice(repairer.live))
        found = repairer.fail(failed)
        after = repairer.placement()
        check(after, on(after.grid, instance))       # legal, and its cost is exact
        assert after.cost - before.cost == found.cost_change
        moved = np.flatnonzero(after.core != before.core)
        assert len(moved) == max(0, found.chain.size - 1)
        assert failed in after.grid.defects and failed not in after.core
    last = int(repairer.live[0])
    kept = repairer.placement()
    message = (f"core {last} cannot be repaired: all 30 live cores have a tile and no spare is "
               "left; place fewer tiles on this wafer")
    with pytest.raises(OuroborosError, match="^" + re.escape(message) + "$"):
        repairer.fail(last)
    assert repairer.placement().core.tolist() == kept.core.tolist()
    assert repairer.placement().grid == kept.grid


def test_a_free_core_dies_without_a_trace(make_instance):
    instance = make_instance(30)
    repairer = Repairer(instance, placed(instance, instance.grid.live[:30]))
    free = int(instance.grid.live[32])
    found = repairer.fail(free)
    assert (found.chain.size, found.cost_change, repairer.spares) == (0, 0, 4)
    with pytest.raises(OuroborosError, match=f"^failed core must be a live core of the grid, "
                                         f"not {free}$"):
        repairer.fail(free)


def best_chain(instance, core, failed, alive, reach=2):
    """Cheapest of all chains, by enumeration."""
    grid, tile = instance.grid, {int(c): n for n, c in enumerate(core)}
    others = [q for q in alive if q != failed]
    low = None
    for length in range(1, len(others) + 1):
        for way in permutations(others, length):
            chain = (failed, *way)
            if any((q in tile) != (n < length - 1) for n, q in enumerate(way)):
                continue
            if any(max(abs(grid.x[p] - grid.x[q]), abs(grid.y[p] - grid.y[q])) > reach
                   for p, q in zip(chain, way, strict=False)):
                continue
            new = core.copy()
            for p, q in zip(chain, way, strict=False):
                new[tile[p]] = q
            value = cost(instance, new) - cost(instance, core)
            low = value if low is None else min(low, value)
    return low


def test_chains_against_enumeration(make_instance, make_grid):
    grid = make_grid(width=4, height=2, die_width=2, die_height=2, defects=())
    equal = 0
    for seed in range(12):
        instance = make_instance(6, seed=seed, density=0.6, grid=grid)
        core = place(instance, Options(moves=2000)).placement.core
        failed = int(core[seed % 6])
        found = Repairer(instance, placed(instance, core)).fail(failed)
        best = best_chain(instance, core, failed, range(8))
        assert found.cost_change >= best
        equal += found.cost_change == best
    # Steps can be worth less than nothing, so the search by cost may end too early.
    assert equal >= 8


def test_walled_in(make_grid):
    # One row: the cores beside the tile are dead, the free one is 4 away.
    grid = make_grid(width=5, height=1, die_width=5, die_height=1, defects=(1, 2, 3))
    instance = Instance(name="alone", grid=grid, tiles=1, edges=np.zeros((0, 3)))
    found = Repairer(instance, placed(instance, np.array([0]))).fail(0)
    assert found.chain.tolist() == [0, 4]


def test_spares_are_spread(make_grid):
    grid = make_grid(width=26, height=17, die_width=13, die_height=17, defects=(5,))
    spares = spare_cores(grid, 4)
    assert np.bincount(grid.die[spares]).tolist() == [4, 4]
    assert not set(spares) & {5}
    hops = abs(grid.x[:, None] - grid.x[spares]) + abs(grid.y[:, None] - grid.y[spares])
    assert hops.min(1).max() <= 13
    with pytest.raises(OuroborosError, match=(
            r"^spares per die must be at most 220, the live cores of "
            r"die 0, not 221$")):
        spare_cores(grid, 221)
