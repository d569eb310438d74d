"""The search: legal and reproducible, never above its baselines, never below its bound."""

import numpy as np
import pytest

from ouroboros.sw.search.annealing.budget import Budget
from ouroboros.sw.search.annealing.chain import Chain
from ouroboros.sw.search.annealing.front import Point, front, undominated
from ouroboros.sw.search.annealing.search import Plan, search
from ouroboros.sw.search.baselines.baselines import baselines
from ouroboros.sw.search.baselines.families import families
from ouroboros.sw.search.bounds.bound import bound
from ouroboros.sw.search.errors import SearchError
from ouroboros.sw.search.evaluation.evaluate import Evaluator, Figures
from ouroboros.sw.search.evaluation.tables import Problem
from ouroboros.sw.search.problem.generate import BATCHES, MakeOptions, make_instance


@pytest.fixture
def problem(make_small):
    return Problem(make_small())


def same(one, other):
    return (one.mapping.cuts == other.mapping.cuts).all() and (
        one.mapping.chips == other.mapping.chips).all()


def test_seed_and_evaluations_give_one_answer(problem):
    first, again = (search(problem, evaluations=3000, seed=5, threads=2) for _ in range(2))
    assert same(first, again) and first.figures == again.figures
    assert first.evaluations == again.evaluations
    assert 2990 <= first.evaluations <= 3000
    assert not same(first, search(problem, evaluations=3000, seed=6, threads=2))


@pytest.mark.parametrize("contended", [False, True], ids=["alone", "contended"])
def test_result_is_legal_and_costs_what_it_says(problem, contended):
    found = search(problem, evaluations=2000, contended=contended)
    instance = problem.instance
    assert found.mapping.chips.shape == (2, instance.layers)
    assert found.mapping.chips.min() >= 0 and found.mapping.chips.max() < instance.chips
    assert {*np.unique(found.mapping.cuts)} <= {0, 1}
    assert Evaluator(problem, contended=contended)(found.mapping) == found.figures
    assert found.figures.edp >= found.bound.edp
    assert found.gap == found.figures.edp / found.bound.edp - 1


def test_search_is_not_above_what_it_is_held_against(problem):
    found = search(problem, evaluations=12000, seed=1)
    for one in baselines(problem, evaluations=3000):
        assert found.figures.edp <= one.figures.edp, one.name


def test_a_budget_below_the_families_takes_what_was_tried(problem):
    found = search(problem, evaluations=1)
    assert found.evaluations == 1
    assert found.figures == Evaluator(problem)(next(families(problem)))


def test_more_evaluations_are_not_worse(problem):
    few, many = (search(problem, evaluations=n, threads=1).figures.edp for n in (200, 8000))
    assert many < few


def test_interrupted_search_keeps_its_best(problem):
    def interrupt(spent, best):
        raise KeyboardInterrupt

    found = search(problem, seconds=600.0, progress=interrupt)
    assert found.interrupted and found.seconds < 60
    best = min(Evaluator(problem)(mapping).edp for mapping in families(problem))
    assert found.bound.edp <= found.figures.edp <= best


@pytest.mark.parametrize("given, message", [
    ({}, "budget must be seconds or evaluations, one of the two"),
    ({"seconds": 1.0, "evaluations": 1}, "budget must be seconds or evaluations, one of the two"),
    ({"evaluations": 0}, "budget must be above 0, not 0"),
    ({"seconds": -1.0}, "budget must be above 0, not -1.0"),
    ({"seconds": float("nan")}, "budget must be above 0, not nan"),
    ({"seconds": 1.0, "threads": 0}, "threads must be 1 to 64, not 0"),
])
def test_refused_budgets(problem, given, message):
    with pytest.raises(SearchError) as error:
        search(problem, **given)
    assert str(error.value) == message


def test_proposals_that_are_given_up_would_not_have_been_taken(problem):
    """The same annealing with every evaluation carried to its end."""
    found = []
    for limited in (True, False):
        chain = Chain(problem, Budget(evaluations=1500), seed=3)
        chain.start(next(families(problem)))
        if not limited:
            chain.tables = chain.tables._replace(tail=np.zeros_like(chain.tables.tail))
        chain.anneal(1.0, 0.02, 0.001)
        found.append((chain.best_cost, chain.best.chips.tolist()))
    assert found[0] == found[1]


def test_plans_leave_out_what_they_say(problem):
    found = search(problem, evaluations=1500, plan=Plan(families=False, trees=False, rows=False))
    assert (found.mapping.chips == found.mapping.chips[0]).all()
    assert found.evaluations == 1500


def figures(latency, energy):
    return Point(mapping=None, figures=Figures(latency_cycles=latency, energy_pj=energy))


def test_undominated():
    points = [figures(3, 1), figures(1, 5), figures(2, 5), figures(2, 2), figures(3, 2),
              figures(1, 5)]
    assert [(one.figures.latency_cycles, one.figures.energy_pj) for one in undominated(points)] == [
        (1, 5), (2, 2), (3, 1)]


def test_front_has_the_least_edp_and_is_in_order(problem):
    found, points = front(problem, evaluations=5000)
    latency = [one.figures.latency_cycles for one in points]
    energy = [one.figures.energy_pj for one in points]
    assert latency == sorted(latency) and energy == sorted(energy, reverse=True)
    assert min(one.figures.edp for one in points) <= found.figures.edp
    assert latency[0] >= found.bound.latency_cycles and energy[-1] >= found.bound.energy_pj


@pytest.mark.parametrize("batch", BATCHES)
def test_bound_holds_for_unseen_instances(batch, make_mapping):
    problem = Problem(make_instance(MakeOptions(
        model="llama-7b", batch=batch, decodes=12, per_micro_batch=4, columns=3, rows=3,
        tiles=4, ffn_tiles=8, seed=3)))
    limits = bound(problem)
    evaluator = Evaluator(problem)
    tried = [*families(problem), *(make_mapping(problem.instance, seed) for seed in range(20)),
             search(problem, evaluations=1500).mapping]
    for mapping in tried:
        found = evaluator(mapping)
        assert found.latency_cycles >= limits.latency_cycles
        assert found.energy_pj >= limits.energy_pj
        assert found.edp >= limits.edp
