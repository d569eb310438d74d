"""``ouroboros yield``."""

import json

import pytest
from click.testing import CliRunner

from ouroboros.sw.cli import main


def run(*arguments):
    return CliRunner().invoke(main.cli, ["yield", *arguments])


def test_nominal_wafer(tmp_path):
    result = run("--json", str(tmp_path / "f.json"))
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "f.json").read_text())
    assert found["expected_dead"] == pytest.approx(41.53, abs=0.01)
    assert found["spares_per_die"][4]["core"]["all_dies"] == pytest.approx(0.964, abs=0.001)
    assert found["defect_density_per_cm2"]["source"].startswith("7 nm, Murphy: GEMINI")
    assert {one["model"] for one in found["models"]} == {"murphy", "negative-binomial", "poisson"}
    assert "41.5" in result.stdout


def test_other_values(tmp_path):
    result = run("--d0", "0", "--yield-model", "poisson", "--machine", "die",
                 "--json", str(tmp_path / "f.json"))
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "f.json").read_text())
    assert (found["cores"], found["expected_dead"]) == (221, 0)
    assert found["spares_for_99%_die"] == 0


def test_bad_value():
    result = run("--d0", "-1")
    assert result.exit_code == 2
    assert result.stderr == ("Error: defect density must be between 0 and 100 per cm2, "
                             "not -1.0\n")
