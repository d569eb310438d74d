"""Published tables are third party's: tests that use one are skipped where it does not lie."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NAME = "lmdeploy_a100_fp16.csv"
PLACES = (ROOT.parent / "shared" / "data" / "baselines" / NAME, ROOT / "build" / "points" / NAME)


@pytest.fixture(scope="session")
def lmdeploy():
    """The 80 static points of LMDeploy's page, as docs/baselines.md says."""
    found = next((path for path in PLACES if path.is_file()), None)
    if found is None:
        pytest.skip(f"{NAME} is not beside the checkout (docs/baselines.md says what it holds)")
    return found
