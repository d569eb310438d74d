"""The annealer: exact deltas, legal results, budgets, seeds, threads, Ctrl-C."""

import numpy as np
import pytest

from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.place.anneal import Schedule, anneal
from ouroboros.sw.place.cost import cost
from ouroboros.sw.place.instance import Instance
from ouroboros.sw.place.kernel import EMPTY, exponential_draws, sweep
from ouroboros.sw.place.traffic import traffic_of


def legal(instance, core):
    return len(set(core.tolist())) == instance.tiles and not set(core) & set(instance.grid.defects)


def call_sweep(instance, core, moves, temperature, *, window=3, near_of_256=128, owner=None):
    grid, traffic = instance.grid, traffic_of(instance)
    u, v = grid.u.astype(np.int32), grid.v.astype(np.int32)
    if owner is None:
        owner = np.full(grid.cores, -1, np.int8)
        owner[grid.live] = 0
    core = core.astype(np.int32)
    tile = np.full(grid.cores, EMPTY, np.int32)
    tile[core] = np.arange(instance.tiles)
    mine = np.flatnonzero(owner[core] == 0).astype(np.int32)
    tile_u, tile_v = u[core], v[core]
    counts = sweep(moves, temperature, window, 1, near_of_256, np.array([3, 5], np.uint64),
                   exponential_draws(), mine, owner, 0, traffic.start, traffic.tile,
                   traffic.volume, u, v, grid.width, core, tile, tile_u, tile_v)
    assert (u[core] == tile_u).all() and (v[core] == tile_v).all()
    assert (tile[core] == np.arange(instance.tiles)).all()
    assert (tile != EMPTY).sum() == instance.tiles
    return core, counts


@pytest.mark.parametrize("temperature", [0.0, 5.0, 1e9])
@pytest.mark.parametrize("tiles", [4, 12, 35])
def test_the_sum_of_deltas_is_the_change_of_cost(make_instance, tiles, temperature):
    instance = make_instance(tiles, density=0.6)
    start = instance.grid.live[:tiles]
    core, (evaluated, accepted, change) = call_sweep(instance, start, 3000, temperature)
    assert legal(instance, core)
    assert evaluated == 3000
    assert cost(instance, core) - cost(instance, start) == change
    if temperature == 0.0:
        assert change < 0
    if temperature == 1e9:
        assert accepted == evaluated


def test_a_sweep_keeps_to_its_cores(make_instance):
    instance = make_instance(20)
    owner = np.where(instance.grid.x < 3, 0, 1).astype(np.int8)
    start = instance.grid.live[:20]
    core, _ = call_sweep(instance, start, 2000, 1e9, owner=owner)
    others = owner[start] == 1
    assert (core[others] == start[others]).all()
    assert (owner[core] == owner[start]).all()
    assert (core != start)[~others].any()


def test_a_window_bounds_a_step(make_instance, make_grid):
    instance = make_instance(1, grid=make_grid(width=30, height=30, die_width=30, die_height=30))
    assert len(instance.edges) == 0
    seen = set()
    for n in range(1, 40):
        start = np.array([15 + 30 * 15])
        core, _ = call_sweep(instance, start, n, 1e9, window=2, near_of_256=0)
        seen.add((core[0] % 30, core[0] // 30))
    first, _ = call_sweep(instance, np.array([465]), 1, 1e9, window=2, near_of_256=0)
    assert max(abs(first[0] % 30 - 15), abs(first[0] // 30 - 15)) <= 2
    assert len(seen) > 20


def test_exponential_draws_have_mean_one():
    draws = exponential_draws()
    assert draws.mean() == pytest.approx(1.0, abs=1e-3)
    assert (np.diff(draws) < 0).all() and draws[-1] > 0


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_budget_of_moves_is_reproducible(make_instance, threads):
    instance = make_instance(30)
    start = instance.grid.live[:30]
    first, again, other = (anneal(instance, start, seed=seed, moves=20_000, threads=threads)
                           for seed in (1, 1, 2))
    assert first.core.tolist() == again.core.tolist() != other.core.tolist()
    assert first.evaluated == again.evaluated
    assert 20_000 <= first.evaluated < 20_000 + threads
    for found in (first, other):
        assert legal(instance, found.core)
        assert found.cost == cost(instance, found.core) < 0.8 * cost(instance, start)


def test_fixed_tiles_stay(make_instance):
    instance = make_instance(20)
    start = instance.grid.live[:20]
    movable = np.arange(20) >= 8
    found = anneal(instance, start, moves=5000, threads=2, movable=movable)
    assert (found.core[:8] == start[:8]).all()
    assert (found.core != start)[8:].any()
    assert legal(instance, found.core)
    nothing = anneal(instance, start, moves=5000, threads=2, movable=np.zeros(20, bool))
    assert nothing.core.tolist() == start.tolist() and nothing.evaluated == 0


def test_a_full_grid_is_only_exchanged(make_instance):
    instance = make_instance(35)
    found = anneal(instance, instance.grid.live, moves=20_000, threads=2)
    assert sorted(found.core) == instance.grid.live.tolist()


def test_one_core(make_instance, make_grid):
    instance = make_instance(1, grid=make_grid(width=1, height=1))
    assert anneal(instance, np.array([0]), moves=100).cost == 0
    assert anneal(instance, np.array([0]), seconds=0.01).cost == 0


def test_seconds_are_a_budget(make_instance):
    instance = make_instance(30)
    calls = []
    found = anneal(instance, instance.grid.live[:30], seconds=0.1,
                   progress=lambda spent, best: calls.append((spent, best)))
    assert 0.1 <= found.seconds < 1.0
    assert calls == sorted(calls, key=lambda call: (call[0], -call[1]))
    assert found.moves_per_s > 0


def test_an_interrupt_keeps_the_best(make_instance):
    instance = make_instance(30)
    start = instance.grid.live[:30]

    def stop(spent, best):
        if spent > 0.2:
            raise KeyboardInterrupt

    found = anneal(instance, start, moves=200_000, progress=stop)
    assert found.interrupted and found.evaluated < 100_000
    assert legal(instance, found.core)
    assert found.cost == cost(instance, found.core) < cost(instance, start)


def test_volumes_beyond_32_bits(make_instance):
    small = make_instance(12)
    edges = small.edges * np.array([1, 1, 1 << 45])
    large = Instance(name="large", grid=small.grid, tiles=12, edges=edges)
    assert traffic_of(large).shift > 0 and traffic_of(small).shift == 0
    start = small.grid.live[:12]
    found = anneal(large, start, moves=20_000, threads=1)
    assert found.cost == cost(small, found.core) << 45
    assert found.cost < 0.8 * cost(large, start)


@pytest.mark.parametrize("options, message", [
    ({}, "budget must be seconds or moves, one of the two"),
    ({"seconds": 1, "moves": 1}, "budget must be seconds or moves, one of the two"),
    ({"moves": 0}, "budget must be above 0, not 0"),
    ({"seconds": -1.0}, "budget must be above 0, not -1.0"),
    ({"moves": 5, "threads": 0}, "threads must be 1 to 64, not 0"),
])
def test_refusals(make_instance, options, message):
    instance = make_instance(4)
    with pytest.raises(OuroborosError, match=f"^{message}$"):
        anneal(instance, instance.grid.live[:4], **options)


def test_a_schedule_can_be_given(make_instance):
    instance = make_instance(20)
    start = instance.grid.live[:20]
    frozen = anneal(instance, start, moves=5000, schedule=Schedule(hot=1e-6, cold=1e-7))
    assert cost(instance, start) > frozen.cost
