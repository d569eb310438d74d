"""Seeded defect maps: numbers, spread, clustering."""

import numpy as np
import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.defects.maps import defect_map, exact_map
from ouroboros.sw.defects.process import MODELS, DefectError, Process

MESH = load_machine("wafer").mesh
SEEDS = range(150)


def process(**changes):
    return Process(**({"density_per_cm2": 0.09, "core_area_mm2": 3.32} | changes))


def counts_by_die(dead):
    ids = np.array(dead, np.int64)
    die = ids % 117 // 13 + 9 * (ids // 117 // 17)
    return np.bincount(die, minlength=63)


@pytest.mark.parametrize("model", MODELS)
def test_number_of_dead_cores(model):
    one = process(model=model)
    numbers = np.array([len(defect_map(MESH, one, seed)) for seed in SEEDS])
    spread = np.sqrt(one.expected_dead(MESH.cores))
    # Five standard errors of the mean; independent cores are close to Poisson.
    assert abs(numbers.mean() - one.expected_dead(MESH.cores)) < 5 * spread / len(SEEDS) ** 0.5
    assert numbers.std() == pytest.approx(spread, rel=0.3)


def test_cores_of_a_die_fail_together_if_they_share_a_density():
    alike = process(model="negative-binomial", alpha=0.5)
    dies = [np.concatenate([counts_by_die(defect_map(MESH, alike, seed, region=region))
                            for seed in range(40)]) for region in ("core", "die")]
    mean = 221 * (1 - alike.core_yield)
    assert [one.mean() for one in dies] == pytest.approx([mean, mean], rel=0.15)
    # Variance of a Poisson count, and of one whose mean is gamma with shape 1/2.
    assert dies[0].var() == pytest.approx(mean, rel=0.2)
    assert dies[1].var() == pytest.approx(mean + mean ** 2 / 0.5, rel=0.35)
    for spares in (0, 2, 4):
        assert (dies[1] <= spares).mean() == pytest.approx(
            alike.at_most_dead(221, spares, "die"), abs=0.04)


def test_exact_maps_hit_every_core_alike():
    hits = np.zeros(MESH.cores, int)
    for seed in range(150):
        dead = exact_map(MESH, 209, seed)
        assert len(dead) == len(set(dead)) == 209
        assert list(dead) == sorted(dead)
        hits[list(dead)] += 1
    chi2 = ((counts := hits.reshape(119, 117)) - 150 * 209 / MESH.cores) ** 2
    expected = 150 * 209 / MESH.cores
    # Chi square over cores: mean cores - 1, standard deviation sqrt(2 cores).
    assert abs(chi2.sum() / expected - MESH.cores) < 5 * (2 * MESH.cores) ** 0.5
    for axis in (0, 1):
        lines = counts.sum(axis)
        assert abs(lines - lines.mean()).max() < 6 * lines.mean() ** 0.5


def test_seeds():
    one = process()
    assert defect_map(MESH, one, 5) == defect_map(MESH, one, 5)
    assert defect_map(MESH, one, 5) != defect_map(MESH, one, 6)
    assert exact_map(MESH, 209, 5) == exact_map(MESH, 209, 5)
    assert exact_map(MESH, 209, 5) != exact_map(MESH, 209, 6)


def test_cores_that_are_gone_anyway_are_not_drawn():
    gone = set(range(0, MESH.cores, 2))
    assert not gone & set(exact_map(MESH, 209, 1, without=gone))
    assert exact_map(MESH, MESH.cores - len(gone), 1, without=gone) == tuple(
        range(1, MESH.cores, 2))


def test_refusals():
    with pytest.raises(DefectError, match=r"^dead cores must be between 0 and 13923 \(cores\), "
                                          r"not 13924$"):
        exact_map(MESH, 13924, 1)
    with pytest.raises(DefectError, match=r"^seed must be at least 0, not -1$"):
        defect_map(MESH, process(), -1)
    with pytest.raises(DefectError, match=r"^region of equal density must be one of "
                                          r"\['core', 'die'\], not 'row'$"):
        defect_map(MESH, process(), 1, region="row")
