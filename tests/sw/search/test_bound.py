"""The bound: no layer costs less than it says, no mapping either; small ones by exhaustion."""

import itertools

import numpy as np
import pytest

from ouroboros.sw.search.bounds.bound import bound
from ouroboros.sw.search.bounds.forced import forced
from ouroboros.sw.search.evaluation.evaluate import Evaluator
from ouroboros.sw.search.evaluation.look import look
from ouroboros.sw.search.evaluation.tables import Problem
from ouroboros.sw.search.problem.instance import Request
from ouroboros.sw.search.problem.mapping import Mapping

CHANGES = {
    "plain": {}, "roomy": {"buffers": (1 << 16, 1 << 16)}, "tight": {"buffers": (64, 64)},
    "one kind holds": {"buffers": (1 << 16, 64)}, "slow links": {"link_bw": 1},
    "many tiles": {"columns": 2, "rows": 1, "ffn_tiles": 8, "tiles": 2}}


@pytest.mark.parametrize("change", CHANGES)
def test_no_layer_takes_less_than_is_forced(make_small, make_mapping, change):
    problem = Problem(make_small(**CHANGES[change]))
    pays, t = forced(problem), problem.tables
    for seed in range(12):
        for contended in (False, True):
            seen = look(problem, make_mapping(problem.instance, seed), contended=contended)
            chips = seen.mapping.chips.reshape(-1)
            assert (seen.end - seen.start >= pays.cycles[t.row, chips] * (1 - 1e-12)).all()
            assert (seen.read + seen.write >= pays.dram[t.row, chips]).all()


@pytest.mark.parametrize("contended", [False, True], ids=["alone", "contended"])
@pytest.mark.parametrize("change", CHANGES)
def test_no_mapping_is_below(make_small, make_mapping, change, contended):
    problem = Problem(make_small(**CHANGES[change]))
    limits = bound(problem, contended=contended)
    evaluator = Evaluator(problem, contended=contended)
    assert limits.edp >= limits.latency_cycles * limits.energy_pj * (1 - 1e-6)
    for seed in range(60):
        # Few chips are used by some of them.
        mapping = make_mapping(problem.instance, seed, cuts=seed % 3 / 2)
        mapping = Mapping(cuts=mapping.cuts, chips=mapping.chips % (1 + seed % 6) % (
            problem.instance.chips))
        found = evaluator(mapping)
        assert found.latency_cycles >= limits.latency_cycles
        assert found.energy_pj >= limits.energy_pj
        assert found.edp >= limits.edp


@pytest.mark.parametrize("contended", [False, True], ids=["alone", "contended"])
def test_bound_is_below_every_mapping_of_a_small_instance(make_small, contended):
    instance = make_small(
        columns=2, rows=1, tiles=1, ffn_tiles=1, blocks=1,
        micro_batches=((Request(type="decode", new=1, hist=5),),))
    problem = Problem(instance)
    limits, evaluator = bound(problem, contended=contended), Evaluator(problem, contended=contended)
    cuts = np.zeros(instance.layers - 1, np.int8)
    found = [evaluator(Mapping(cuts=cuts, chips=np.array([chips], np.int16)))
             for chips in itertools.product(range(2), repeat=instance.layers)]
    assert min(one.edp for one in found) >= limits.edp
    assert min(one.latency_cycles for one in found) >= limits.latency_cycles
    assert min(one.energy_pj for one in found) >= limits.energy_pj
    assert min(one.edp for one in found) <= 1.5 * limits.edp, "the bound says something"
