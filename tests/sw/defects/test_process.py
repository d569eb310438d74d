"""Yield formulas against closed forms, binomials and random draws."""

import math

import numpy as np
import pytest

from ouroboros.sw.defects.process import MODELS, DefectError, Process


def process(**changes):
    return Process(**({"density_per_cm2": 0.09, "core_area_mm2": 3.32} | changes))


def test_murphy():
    x = 3.32 / 100 * 0.09
    assert process().core_yield == pytest.approx(((1 - math.exp(-x)) / x) ** 2, abs=1e-12)
    assert process().expected_dead(13923) == pytest.approx(41.53, abs=0.01)
    # The figure of the 5x stress map.
    assert process(density_per_cm2=0.4562).expected_dead(13923) == pytest.approx(209, abs=0.1)


def test_negative_binomial_and_poisson():
    x = 3.32 / 100 * 0.09
    assert process(model="negative-binomial", alpha=2.0).core_yield == pytest.approx(
        (1 + x / 2) ** -2, abs=1e-12)
    assert process(model="poisson").core_yield == pytest.approx(math.exp(-x), abs=1e-12)
    # alpha to infinity is Poisson.
    assert process(model="negative-binomial", alpha=1e6).block_yield(221) == pytest.approx(
        process(model="poisson").block_yield(221), abs=1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_no_defects(model):
    none = process(model=model, density_per_cm2=0)
    assert (none.core_yield, none.expected_dead(9), none.block_yield(9)) == (1, 0, 1)
    assert none.at_most_dead(9, 0, "die") == none.at_most_dead(9, 0, "core") == 1


def test_independent_cores_are_binomial():
    one = process()
    dead = 1 - one.core_yield
    for spares in (0, 1, 4):
        want = math.fsum(math.comb(221, k) * dead ** k * (1 - dead) ** (221 - k)
                         for k in range(spares + 1))
        assert one.at_most_dead(221, spares, "core") == pytest.approx(want, abs=1e-12)
    assert one.at_most_dead(3, 7, "core") == pytest.approx(1)


@pytest.mark.parametrize("model", MODELS)
def test_clustered_cores_against_quadrature(model):
    one = process(model=model, alpha=2.0)
    g, step = np.linspace(0, 40, 400_001, retstep=True)
    density = {"murphy": np.maximum(0, 1 - abs(g - 1)),
               "negative-binomial": 4 * g * np.exp(-2 * g)}.get(model)
    for spares in (0, 2, 4, 8):
        dead = -np.expm1(-one.defects_per_core * g)
        die = sum(math.comb(221, k) * dead ** k * (1 - dead) ** (221 - k)
                  for k in range(spares + 1))
        want = die[10_000] if density is None else (die * density).sum() * step
        assert one.at_most_dead(221, spares, "die") == pytest.approx(want, abs=1e-7)


def test_no_spares_is_the_yield_of_the_die():
    one = process()
    assert one.at_most_dead(221, 0, "die") == pytest.approx(one.block_yield(221), abs=1e-12)
    assert one.at_most_dead(30, 30, "die") == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("model", MODELS)
def test_densities_have_mean_one_and_give_the_yield(model):
    one = process(model=model, alpha=2.0, density_per_cm2=30)
    drawn = one.densities(np.random.default_rng(3), 200_000)
    assert drawn.mean() == pytest.approx(1, abs=0.01)
    assert np.exp(-one.defects_per_core * drawn).mean() == pytest.approx(one.core_yield, abs=0.003)


REFUSED = [
    ({"density_per_cm2": -1}, "defect density must be between 0 and 100 per cm2, not -1"),
    ({"density_per_cm2": math.nan}, "defect density must be between 0 and 100 per cm2, not nan"),
    ({"core_area_mm2": 0}, "core area (mm2) must be above 0, not 0"),
    ({"alpha": math.inf}, "alpha must be above 0, not inf"),
    ({"model": "seeds"}, ("yield model must be one of ['murphy', 'negative-binomial', 'poisson'], "
                          "not 'seeds'")),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_refusals(changes, message):
    with pytest.raises(DefectError) as caught:
        process(**changes)
    assert str(caught.value) == message


def test_unknown_region():
    with pytest.raises(DefectError, match=r"^region of equal density must be one of "
                                          r"\['core', 'die'\], not 'wafer'$"):
        process().at_most_dead(4, 1, "wafer")
