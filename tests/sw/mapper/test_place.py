"""Programs and shapes through the placer."""

from dataclasses import replace

import numpy as np
import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.block.cores import count_cores
from ouroboros.sw.golden.decoder import IntegerDecoder
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.mapper.grid import machine_grid
from ouroboros.sw.mapper.place import place_program
from ouroboros.sw.mapper.placed import place_model, unreachable
from ouroboros.sw.mapper.tiles import tile_model
from ouroboros.sw.mapper.traffic import flit_hops, host_tiles, program_traffic
from ouroboros.sw.models.shape import ModelShape
from ouroboros.sw.place.cost import cost
from ouroboros.sw.place.place import Options, place
from ouroboros.sw.place.placement import check, save
from ouroboros.sw.place.repair import spare_cores
from ouroboros.sw.program.image import Token
from ouroboros.sw.runtime.golden import run
from ouroboros.sw.runtime.job import Job, RequestSpec

MACHINE = replace(load_machine("tiny"), mesh=replace(
    load_machine("tiny").mesh, width=20, height=20, die_width=10, die_height=10))
SHAPE = ModelShape(name="x", source="here", dim=128, hidden_dim=160, n_layers=3, n_heads=8,
                   n_kv_heads=4, vocab_size=100)


def test_a_shape_placed_beside_its_spares():
    instance = tile_model(count_cores(MACHINE, SHAPE, members=2, dead=1), defects=(5,))
    found = place(instance, Options(moves=20_000, seconds=None, threads=1, spares_per_die=4))
    check(found.placement, instance)
    used = {*found.placement.core.tolist()}
    spares = spare_cores(instance.grid, 4).tolist()
    assert len(spares) == 16 and not used & {*spares, 5}
    assert found.placement.cost <= found.baselines.die_hilbert
    assert found.placement.lower_bound < found.placement.cost


@pytest.mark.parametrize("layout", ["plain", "split"])
def test_a_placed_program_needs_fewer_hops(layout, model, tmp_path):
    """By the counters' prediction, which tests.sim holds to equality; logits do not change."""
    machine = load_machine("small")
    result, plain, placed = place_program(machine, model, layout, moves=20_000)
    assert flit_hops(placed, Token(7)) < 0.9 * flit_hops(plain, Token(7))
    instance = program_traffic(plain)
    assert result.placement.cost == cost(instance, result.placement.core) < result.start_cost
    pinned = [plain.roles[n].core for n in host_tiles(plain)]
    assert [placed.roles[n].core for n in host_tiles(placed)] == pinned

    save(result.placement, tmp_path / "p.json")
    program = place_model(machine, model, placement=str(tmp_path / "p.json"))
    assert flit_hops(program, Token(7)) == flit_hops(placed, Token(7))
    requests = (RequestSpec(prompt=(1, 9, 3), limit=2, logits="all"),)
    before, after = (run(Job(program=p, model=model, requests=requests), lambda *_: None)
                     for p in (plain, program))
    want = IntegerDecoder(model).prefill(0, [1, 9, 3, after.requests[0].tokens[0]])
    for position in range(4):
        assert np.array_equal(after.requests[0].vectors[position], want[position])
        assert np.array_equal(before.requests[0].vectors[position], want[position])


def test_fewest_hops_of_several_searches(model, monkeypatch):
    """Not the one with least unicast cost: what counters would show decides."""
    seen = []

    def hops(program, token):
        seen.append(program)
        return [50, 40, 20, 30, 60, 70, 80, 90][len(seen) - 1]
    monkeypatch.setattr("ouroboros.sw.mapper.place.flit_hops", hops)
    _, _, placed = place_program(load_machine("small"), model, "plain", moves=3000)
    assert len(seen) == 8
    # Others lie elsewhere, so that this one can be told from them.
    assert placed.roles == seen[2].roles
    assert sum(program.roles == placed.roles for program in seen) < 8


def test_the_same_seed_gives_the_same_program(model):
    machine = load_machine("small")
    first, second = (place_program(machine, model, "plain", moves=2_000, seed=3)[0]
                     for _ in range(2))
    assert first.placement.core.tolist() == second.placement.core.tolist()


def test_dead_cores_are_left_out(model, tmp_path):
    """Nor are those used that the host reaches only past a dead one; the file runs."""
    machine = load_machine("small")
    # (6, 3): behind it lie (6, 4..6) on the way there, (7, 3) on the way back.
    dead = (5 + 7 * 2,)
    assert unreachable(machine, dead) == (19, 20, 26, 33, 40)
    result, _, placed = place_program(machine, model, "plain", moves=20_000, defects=dead)
    assert not {*result.placement.core.tolist()} & {19, 20, 26, 33, 40}
    assert result.placement.grid == machine_grid(machine, dead)
    save(result.placement, tmp_path / "p.json")
    program = place_model(machine, model, placement=str(tmp_path / "p.json"), defects=dead)
    assert [role.core for role in program.roles] == [role.core for role in placed.roles]


def test_no_way_past_a_dead_core(model):
    """With (2, 1) dead beside the host's port, only the first column is left."""
    with pytest.raises(OuroborosError, match="tiles must be at most 6"):
        place_program(load_machine("small"), model, "plain", moves=500, defects=(1,))
