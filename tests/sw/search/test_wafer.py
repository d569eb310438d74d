"""Dies of several kinds: areas, halves put together, the search against all there is, refusals."""

import json
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from click.testing import CliRunner

from ouroboros.floorplan.plan import plan_floor
from ouroboros.floorplan.rules import load_rules
from ouroboros.hw.params.machine import MeshParams, load_machine
from ouroboros.sw.cli.main import cli
from ouroboros.sw.models.shape import ModelShape
from ouroboros.sw.search.annealing.budget import Budget
from ouroboros.sw.search.errors import SearchError
from ouroboros.sw.search.wafer.areas import load_silicon
from ouroboros.sw.search.wafer.classes import mixed_decode
from ouroboros.sw.search.wafer.designs import Design, Model
from ouroboros.sw.search.wafer.factors import best_design, factors
from ouroboros.sw.search.wafer.kinds import DieKind, kind_of, kinds
from ouroboros.sw.search.wafer.places import BINDING, KV, WEIGHTS, Places
from ouroboros.sw.search.wafer.ranking import Ranking
from ouroboros.sw.search.wafer.search import anneal, homogeneous, search, space
from ouroboros.sw.wafer.chain import Chain
from ouroboros.sw.wafer.estimate import Wafer
from ouroboros.sw.wafer.mixed import MixedWafer
from ouroboros.sw.wafer.requests import Requests, of_lengths

PAPER = load_machine("wafer")
SMALL = replace(PAPER, mesh=MeshParams(width=15, height=8, die_width=5, die_height=4),
                kv=replace(PAPER.kv, sequences=64))
SHAPE = ModelShape(name="small", source="made up", dim=1024, hidden_dim=2048, n_layers=4,
                   n_heads=8, n_kv_heads=8, head_dim=128, vocab_size=512)
SPARES = {"spare_cores_per_die": 1.0}
OWN = kind_of(PAPER)
RICH = DieKind(2048, 16, 16)
KINDS = (OWN, RICH, DieKind(1024, 16, 16))


def model(context=2048, machine=SMALL, density=4.0):
    """A few large cores on each die: adders take three quarters of macros."""
    return Model(load_silicon(machine, {"cell_density": density}), SHAPE, context, SPARES)


@pytest.fixture(scope="module")
def small():
    return model()


def few(found):
    """Designs of three kinds."""
    return space(found, weights=[OWN], kv=KINDS, heads=[1])


def test_areas_are_those_of_the_floorplan():
    silicon, core = load_silicon(PAPER), plan_floor(PAPER, load_rules()).core
    assert silicon.base_core_mm2 == pytest.approx(core.outline.mm2, rel=1e-4)
    assert silicon.base_macro_mm2 == pytest.approx(core.macros[0].mm2, rel=1e-3)
    assert silicon.blocks_mm2(PAPER) == pytest.approx(
        sum(block.rect.mm2 for block in core.blocks), rel=1e-2)


def test_a_kind_s_own_area_is_the_machine_s():
    silicon = load_silicon(PAPER)
    assert silicon.core_mm2(OWN) == pytest.approx(silicon.base_core_mm2)
    assert silicon.die_mesh(OWN) == (13, 17)


@pytest.mark.parametrize("kind", kinds(PAPER), ids=lambda kind: kind.name)
def test_dies_are_no_larger_than_the_machine_s(kind):
    silicon = load_silicon(PAPER)
    across, along = silicon.die_mesh(kind)
    assert across * along * silicon.core_mm2(kind) <= 221 * silicon.base_core_mm2 * (1 + 1e-9)


def test_denser_cells_make_kv_rich_dies_richer():
    """And the machine's own no different: its area is published, whatever it is made of."""
    bits = [np.prod(load_silicon(PAPER, corner=corner).die_mesh(RICH)) * RICH.rows
            for corner in ("low", "mid", "high")]
    assert bits == sorted(bits)
    assert bits[0] < bits[-1]
    assert {load_silicon(PAPER, corner=corner).die_mesh(OWN) for corner in ("low", "high")} == {
        (13, 17)}


def test_two_equal_halves_are_a_wafer(small):
    seed = homogeneous(small)
    half = seed.wafer.weights
    assert seed.wafer.latency_cycles == half.latency_cycles
    assert seed.wafer.interval_cycles == half.interval_cycles
    assert seed.wafer.decode_tokens_per_s == half.decode_tokens_per_s


def test_a_mixed_chain_takes_attention_from_the_kv_kind(small):
    design = Design(OWN, RICH, 1, 1)
    mixed = small.on(design)
    chain, ours, theirs = mixed.chain, small.half(OWN, 1, 1), small.half(RICH, 1, 1)
    assert isinstance(chain, Chain)
    assert ours.block_latency["attention"] != theirs.block_latency["attention"]
    assert mixed.latency_cycles == ours.latency_cycles + 4 * (
        theirs.block_latency["attention"] - ours.block_latency["attention"])
    # Times between samples are rounded up.
    assert 0 <= chain.latency(2048) - mixed.latency_cycles <= 16


def test_halves_that_do_not_fit_each_other_are_refused(small):
    with pytest.raises(Exception, match="members must be the same"):
        MixedWafer(small.half(OWN, 1, 1), small.half(RICH, 1, 2))


def test_the_search_finds_the_best_of_all(small):
    """Costed best first with a bound, as good as costing every design."""
    every = few(small)
    found = search(small, evaluations=400, seed=1, designs=every)
    best = best_design(small, every)
    assert best is not None and len(every) > 4
    assert found.bound >= best[0] >= found.best.decode >= homogeneous(small).decode
    assert best[0] > found.homogeneous.decode
    # Ways between dies are all that may be missing.
    ways = found.best.place.cycles if found.best.place else 0
    unplaced = small.on(found.best.design)
    assert found.best.wafer.latency_cycles == unplaced.latency_cycles + ways


def test_bounds_come_closer_and_are_never_below(small):
    ranking, every = Ranking(small), few(small)
    ranking.rank(every)
    for design in every:
        try:
            value = small.on(design).decode_tokens_per_s
        except SearchError:
            continue
        assert value <= ranking.bounds.closer(design) <= ranking.bounds(design) * (1 + 1e-9)


def test_out_of_time_the_best_are_costed_all_the_same(small):
    """Mixed designs are bounded closely first, so none may have been costed by then."""
    ranking = Ranking(small)
    ranking.rank(one for one in few(small) if one.mixed)
    assert ranking.step() is None and not ranking.costed
    reach = ranking.reach
    ranking.hurry()
    assert len(ranking.costed) == ranking.tried == 1
    assert ranking.best[0][0] <= ranking.reach <= reach


def test_places_are_the_best_of_all(small):
    design = next(one for one in few(small) if one.mixed)
    places = Places(small, design)
    dies = places.dies.weights + places.dies.kv
    assert 1 < dies <= 6 and places.dies.kv
    every = []
    for used in combinations(range(6), dies):
        for kv in combinations(used, places.dies.kv):
            pattern = np.zeros(6, np.int8)
            pattern[list(used)] = WEIGHTS
            pattern[list(kv)] = KV
            every.append(places.place(pattern).cycles)
    found, tried = anneal(small, design, Budget(evaluations=400), 1.0, np.random.default_rng(3))
    assert found.place.cycles == min(every) < max(every)
    assert tried == 400


def test_a_border_that_binds_is_part_of_the_cost(small):
    """Only by what it has more than the interval that no place changes."""
    places = Places(small, next(one for one in few(small) if one.mixed))
    pattern = places.naive()
    place = places.place(pattern)
    flits = places.border_flits(place)
    assert flits > 1
    for interval, over in ((flits, 0), (flits - 1, 1), (0, flits)):
        places.__dict__["_interval"] = interval
        assert places.cost(pattern) == place.cycles + BINDING * over


def test_same_seed_same_wafer(small):
    one, other = (search(small, evaluations=60, seed=5, designs=few(small)) for _ in range(2))
    assert json.dumps(one.best.as_dict()) == json.dumps(other.best.as_dict())
    assert one.patterns == other.patterns


def test_more_silicon_is_never_worse():
    wide = replace(SMALL, mesh=replace(SMALL.mesh, width=20))
    one, other = model(), model(machine=wide)
    assert homogeneous(one).decode <= homogeneous(other).decode
    assert best_design(one, few(one))[0] <= best_design(other, few(other))[0]


def test_an_interrupted_search_keeps_its_best(small):
    calls = []

    def stop(spent, best):
        calls.append(best)
        if len(calls) == 2:
            raise KeyboardInterrupt

    found = search(small, evaluations=400, designs=few(small), progress=stop)
    assert found.interrupted and found.bound >= found.best.decode >= found.homogeneous.decode


def test_each_part_is_worth_something_or_nothing(small):
    found = search(small, evaluations=100, designs=few(small))
    rows = factors(small, found)
    assert rows[0].decode == found.homogeneous.decode
    assert rows[-1].decode == found.best.decode
    assert [row.decode for row in rows[:4]] == sorted(row.decode for row in rows[:4])


def two_members(small):
    """A design whose heads have two members."""
    two = Design(OWN, OWN, 1, 2)
    return replace(homogeneous(small), design=two, wafer=small.on(two))


def test_one_class_is_the_estimate_at_its_context(small):
    """All requests alike: sequences by room over the latency at their mean context."""
    seed = homogeneous(small)
    found = mixed_decode(small, seed, of_lengths("2000:48", 6))
    assert {one.longest for one in found.classes} == {2048}
    assert sum(one.decoded_share for one in found.classes) == pytest.approx(1.0)
    assert {(one.context, one.blocks) for one in found.classes} == {(2024, 16.0)}
    [latency] = {one.latency_cycles for one in found.classes}
    assert latency == small.half(OWN, 1, seed.design.members, 2024).latency_cycles
    sequences = min(seed.wafer.kv.head_blocks / 16, 64)
    assert found.decode == pytest.approx(min(
        1e9 / seed.wafer.interval_cycles, sequences * 1e9 / latency))


def test_a_mix_lies_between_its_classes(small):
    both = Requests(np.zeros(4), np.array([300, 300, 4000, 4000]), np.array([84, 84, 96, 96]),
                    "made up")
    seed = two_members(small)
    short, long_ = (mixed_decode(small, seed, of_lengths(lengths, 4)).decode
                    for lengths in ("300:84", "4000:96"))
    found = mixed_decode(small, seed, both, count=2)
    assert long_ < found.decode < short
    assert [one.longest for one in found.classes] == [384, 4096]
    assert [one.blocks for one in found.classes] == [3.0, 32.0]
    assert found.classes[0].decoded_share == pytest.approx(168 / 360)


def test_homes_are_the_best_of_all_and_short_ones_at_most(small):
    seed = two_members(small)
    room = seed.wafer.kv.head_blocks // 2 * small.base.block_tokens
    lengths = np.array([100, 200, 3000, room, room + 1, room + 200])
    both = Requests(np.zeros(6), lengths - 50, np.full(6, 50), "made up")
    found = mixed_decode(small, seed, both)
    assert found.homes_decode >= found.decode
    assert all(one.members == 2 for one in found.classes)
    assert found.homes[-1].members == 2          # longer than a member
    assert all(one.members in (1, 2) for one in found.homes)
    one = Design(OWN, OWN, 1, 1)
    alone = mixed_decode(small, replace(seed, design=one, wafer=small.on(one)), both)
    assert alone.homes == alone.classes and alone.homes_decode == alone.decode


def test_a_trace_that_does_not_fit_has_no_classes(small):
    with pytest.raises(SearchError, match=r"requests must be at most .* and none is"):
        mixed_decode(small, homogeneous(small), of_lengths("6000000:10", 2))


@pytest.mark.parametrize(("make", "why"), [
    (lambda: search(model(), evaluations=0), "budget must be above 0, not 0"),
    (lambda: search(model()), "budget must be seconds or evaluations"),
    (lambda: homogeneous(model(context=6_000_000)), "context must be at most"),
    (lambda: homogeneous(model(machine=replace(SMALL, mesh=MeshParams(
        width=5, height=4, die_width=5, die_height=4)))), "must be at most 18, not 19"),
    (lambda: model(density=0.5), "cell_density must be above"),
    (lambda: load_silicon(PAPER, {"cells": 3.0}), "figure must be one of cell_density"),
    (lambda: load_silicon(PAPER, {"cell_density": -1.0}), "cell_density must be above 0"),
], ids=["no budget", "no kind of budget", "one sequence does not fit", "a wafer too small",
        "sparse cells", "unknown figure", "negative figure"])
def test_what_cannot_be_is_refused_by_name(make, why):
    with pytest.raises(SearchError, match=why):
        make()


def test_the_command_refuses_no_trace_and_no_budget(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("arrival_s,input_tokens,output_tokens\n0,100,20\n")
    for arguments, why in (((), "--trace FILE must be given"),
                           (("--trace", str(path), "--seconds", "0"), "budget must be above 0"),
                           (("--trace", str(path), "--set", "x"), "name=number")):
        result = CliRunner().invoke(cli, ["search", "wafer", *arguments])
        assert result.exit_code == 2, result.output
        assert why in result.output


def test_wafer_of_a_count_has_that_count(small):
    half = small.half(OWN, 1, 2)
    assert isinstance(half, Wafer) and half.members == 2
