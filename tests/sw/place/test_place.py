"""Placement as a whole: certificates hold, small instances are proved, results are reproducible."""

import json

import pytest

from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.place.bound import lower_bound
from ouroboros.sw.place.cost import cost
from ouroboros.sw.place.instance import Instance, read_instance
from ouroboros.sw.place.place import Options, place
from ouroboros.sw.place.placement import check
from ouroboros.sw.place.repair import spare_cores


def test_certificate(make_instance):
    instance = make_instance(25)
    steps = []
    found = place(instance, Options(moves=20_000, seed=4),
                  lambda what, spent, best: steps.append(what))
    placed = found.placement
    check(placed, instance)
    assert list(dict.fromkeys(steps)) == ["start", "bound", "search"]
    assert placed.lower_bound == lower_bound(instance).value
    assert placed.lower_bound <= placed.cost <= found.start_cost <= found.baselines.die_hilbert
    assert found.gap == placed.cost / placed.lower_bound - 1
    assert found.optimal == (found.gap == 0)
    values = json.loads(json.dumps(found.as_dict()))
    for key in ("cost", "lower_bound", "gap", "optimal", "moves_per_s", "baselines", "seed"):
        assert key in values
    assert values["moves"] == found.evaluated >= 20_000

    again = place(instance, Options(moves=20_000, seed=4))
    assert again.placement.core.tolist() == placed.core.tolist()


@pytest.mark.parametrize("tiles", [1, 2, 6])
def test_small_instances_are_proved(make_instance, tiles):
    found = place(make_instance(tiles), Options(seconds=5.0))
    assert found.optimal and found.gap == 0
    assert found.placement.cost == found.placement.lower_bound


def test_a_proof_cut_off_is_none(make_instance):
    instance = make_instance(12, density=0.9)
    found = place(instance, Options(moves=1000, prove_seconds=0.0))
    assert not found.optimal and found.gap > 0
    assert found.placement.lower_bound >= lower_bound(instance).value


@pytest.mark.parametrize("name, optimum", [("s8_6x6_die3x3_def1", 64),
                                           ("s10_6x6_die3x3_def1_w2", 126)])
@pytest.mark.slow
def test_reference_optima(shared_file, name, optimum):
    found = place(read_instance(shared_file(f"mapping/{name}.json")))
    assert (found.placement.cost, found.optimal) == (optimum, True)


@pytest.mark.parametrize("name, best", [("s12_6x6_die3x3_def1", 285), ("s16_6x6_die3x3_def2", 530),
                                        ("s24_6x6_die3x3_def2", 934)])
def test_best_known_of_small_references(shared_file, name, best):
    instance = read_instance(shared_file(f"mapping/{name}.json"))
    found = place(instance, Options(moves=300_000, threads=1, prove_seconds=0.0))
    assert cost(instance, found.placement.core) == found.placement.cost <= best


def test_nothing_to_do(make_grid):
    alone = Instance(name="alone", grid=make_grid(), tiles=3, edges=[])
    found = place(alone, Options(moves=100))
    assert (found.placement.cost, found.gap, found.optimal) == (0, 0.0, True)


def test_budgets_are_checked(make_instance):
    with pytest.raises(OuroborosError, match=r"^budget must be above 0, not -1.0$"):
        place(make_instance(20), Options(seconds=-1.0))


def test_spares_stay_free(make_instance):
    instance = make_instance(25)
    found = place(instance, Options(moves=5000, spares_per_die=2))
    check(found.placement, instance)
    assert not set(found.placement.core) & set(spare_cores(instance.grid, 2))
    message = ("random30: tiles must be at most 27, the live cores less 2 spares per die, not 30: "
               "keep fewer spares or take a larger grid")
    with pytest.raises(OuroborosError, match=f"^{message}$"):
        place(make_instance(30), Options(moves=5000, spares_per_die=2))
