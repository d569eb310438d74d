"""Integer program, evaluator and search agree on the best mapping of small instances."""

import itertools

import numpy as np
import pytest

from ouroboros.sw.search.annealing.search import search
from ouroboros.sw.search.bounds.integer import least
from ouroboros.sw.search.errors import SearchError
from ouroboros.sw.search.evaluation.evaluate import Evaluator
from ouroboros.sw.search.evaluation.tables import Problem
from ouroboros.sw.search.problem.instance import Request
from ouroboros.sw.search.problem.mapping import Mapping

DECODE = (Request(type="decode", new=1, hist=5),)


@pytest.fixture
def make_problem(make_small):
    def make(batches, columns=2, buffers=(1 << 13, 1 << 13)):
        return Problem(make_small(columns=columns, rows=1, tiles=1, ffn_tiles=1, blocks=1,
                                  buffers=buffers, micro_batches=(DECODE,) * batches))
    return make


@pytest.mark.parametrize("energy", [False, True], ids=["latency", "energy"])
@pytest.mark.parametrize("buffers", [(1 << 13, 1 << 13), (64, 1 << 13)], ids=["roomy", "one kind"])
def test_least_of_all_mappings(make_problem, buffers, energy):
    problem = make_problem(1, columns=3, buffers=buffers)
    cuts = np.zeros(problem.instance.layers - 1, np.int8)
    evaluator = Evaluator(problem, contended=False)
    found = [evaluator(Mapping(cuts=cuts, chips=np.array([chips], np.int16)))
             for chips in itertools.product(range(3), repeat=8)]
    value, mapping = least(problem, cuts, energy=energy)
    wanted = min(one.energy_pj if energy else one.latency_cycles for one in found)
    assert value == pytest.approx(wanted, rel=1e-6)
    own = evaluator(mapping)
    assert (own.energy_pj if energy else own.latency_cycles) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.long
@pytest.mark.parametrize("energy", [False, True], ids=["latency", "energy"])
@pytest.mark.parametrize("cut", [0, 1])
def test_search_of_16_genes_is_not_above_the_integer_program(make_problem, cut, energy):
    problem = make_problem(2)
    cuts = np.full(problem.instance.layers - 1, cut, np.int8)
    value, mapping = least(problem, cuts, energy=energy)
    evaluator = Evaluator(problem, contended=False)
    own = evaluator(mapping)
    assert (own.energy_pj if energy else own.latency_cycles) == pytest.approx(value, rel=1e-6)
    found = search(problem, evaluations=20000, contended=False,
                   objective="energy" if energy else "latency").figures
    assert (found.energy_pj if energy else found.latency_cycles) <= value * (1 + 1e-6)


def test_too_many_genes(make_small):
    problem = Problem(make_small())
    with pytest.raises(SearchError, match=r"^small: genes must be at most 20 for the integer "
                                          r"program, not 68$"):
        least(problem, np.zeros(problem.instance.layers - 1, np.int8))
