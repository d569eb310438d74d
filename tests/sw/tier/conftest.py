"""Published bars are third party's: tests that use them are skipped where they do not lie."""

from pathlib import Path

import pytest

from ouroboros.sw.models.shape import load_shape
from ouroboros.sw.tier.technology import load_technology

ROOT = Path(__file__).parents[3]
BARS = ROOT.parent / "shared" / "data" / "tier" / "chime_bars.json"


@pytest.fixture(scope="session")
def bars():
    """The publication's bars."""
    if not BARS.is_file():
        pytest.skip(f"{BARS.name} is not beside the checkout (docs/tier.md says what it holds)")
    return BARS


@pytest.fixture(scope="session")
def ddr4():
    """The publication's technology, with its currents."""
    return load_technology("ddr4-3200")


@pytest.fixture(scope="session")
def gpt():
    """A model with as many key heads as query heads."""
    return load_shape("gpt-175b")
