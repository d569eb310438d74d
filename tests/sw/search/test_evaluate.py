"""The evaluator against one written from the rules, and against the published figures."""

import json
from pathlib import Path

import numpy as np
import pytest

from ouroboros.sw.search.baselines.families import families, named
from ouroboros.sw.search.evaluation.evaluate import Evaluator
from ouroboros.sw.search.evaluation.tables import Problem
from ouroboros.sw.search.problem.instance import Request
from ouroboros.sw.search.problem.mapping import Mapping
from ouroboros.sw.search.problem.read import read_instance

PUBLISHED = Path(__file__).parents[4] / "shared" / "data" / "compass"
INSTANCES = sorted(path.stem for path in PUBLISHED.glob("o*.json"))
needs_published = pytest.mark.skipif(not INSTANCES, reason="the published instances do not lie "
                                     "beside the checkout")
CHANGES = {
    "plain": {}, "roomy": {"buffers": (1 << 16, 1 << 16)}, "tight": {"buffers": (64, 64)},
    "uneven": {"link_bw": 3.5, "dram_bw": 0.7, "dram_channels": 3},
    "one tile": {"tiles": 1, "ffn_tiles": 1},
    "three": {"micro_batches": tuple((Request(type="decode", new=1, hist=n),) for n in (3, 9, 1))}}

GRIDS = [((3, 2), change) for change in CHANGES] + [
    (grid, change) for grid in ((1, 5), (4, 1), (1, 1), (11, 7)) for change in ("plain", "roomy")
] + [((16, 16), "roomy")]


@pytest.mark.parametrize("contended", [False, True], ids=["alone", "contended"])
@pytest.mark.parametrize("grid, change", [
    pytest.param(grid, change, id=f"{grid[0]}x{grid[1]}-{change}") for grid, change in GRIDS])
def test_figures_are_those_of_the_rules(make_small, make_mapping, by_the_rules, grid, change,
                                        contended):
    instance = make_small(columns=grid[0], rows=grid[1], **CHANGES[change])
    evaluator = Evaluator(instance, contended=contended)
    for seed in range(1 if instance.chips > 8 else 5):
        mapping = make_mapping(instance, seed)
        found = evaluator(mapping)
        latency, energy = by_the_rules(instance, mapping, contended=contended)
        assert found.latency_cycles == float(latency)
        assert found.energy_pj == pytest.approx(float(energy), rel=1e-12)


def test_an_evaluation_leaves_nothing_to_the_next(make_small, make_mapping):
    instance = make_small()
    evaluator = Evaluator(instance)
    mappings = [make_mapping(instance, seed) for seed in range(6)]
    alone = [Evaluator(instance)(mapping) for mapping in mappings]
    assert [evaluator(mapping) for mapping in mappings] == alone
    assert [evaluator(mapping) for mapping in reversed(mappings)] == alone[::-1]


def test_micro_batches_that_follow_each_other_on_a_chip_keep_the_weights(make_small):
    """By hand: one chip, one block of single tiles; every layer cut, or none."""
    instance = make_small(columns=1, rows=1, buffers=(1 << 20, 1 << 20), tiles=1, ffn_tiles=1,
                          blocks=1, chip_kind=(0,))
    chips = np.zeros((2, instance.layers), np.int16)
    layers = instance.layers - 1
    often = Evaluator(instance)(Mapping(cuts=np.zeros(layers, np.int8), chips=chips))
    once = Evaluator(instance)(Mapping(cuts=np.ones(layers, np.int8), chips=chips))
    model = instance.model
    weights = model.d * (model.h + 2 * model.kv) * model.dh + model.d**2 + 3 * model.d * model.dff
    # With all cut, the second micro-batch finds the weights, but outputs leave the chip at once.
    tokens = [9, 2]
    outputs = sum(m * (
        2 * model.d                                             # norm1: written, read by QKV
        + (model.h + 2 * model.kv) * model.dh + model.h * model.dh     # QKV but K and V; attention
        + 2 * model.d                                           # attention
        + 2 * model.d                                           # projection
        + 2 * model.dff + 2 * model.d) for m in tokens)         # ffn1, ffn2
    # Residuals are read again by res2, in either order; res1 is read by ffn1 only from DRAM here.
    outputs += sum(m * model.d for m in tokens)
    change = (outputs - weights) * instance.energy.e_dram
    assert once.energy_pj - often.energy_pj == pytest.approx(change, rel=1e-9)


@needs_published
@pytest.mark.parametrize("contended", [False, True], ids=["alone", "contended"])
@pytest.mark.parametrize("name", INSTANCES)
def test_named_mappings_have_the_published_figures(name, contended):
    published = json.loads((PUBLISHED / "golden_open.json").read_text())
    problem = Problem(read_instance(PUBLISHED / f"{name}.json"))
    evaluator = Evaluator(problem, contended=contended)
    wanted = published[problem.instance.name]["contended" if contended else "uncontended"]
    for mapping, one in named(problem).items():
        found = evaluator(one)
        assert found.latency_cycles == pytest.approx(wanted[mapping]["latency"], rel=1e-9)
        assert found.energy_pj == pytest.approx(wanted[mapping]["energy"], rel=1e-9)
        assert found.edp == pytest.approx(wanted[mapping]["edp"], rel=1e-9)
    assert sum(1 for _ in families(problem)) == 162
