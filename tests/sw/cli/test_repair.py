"""``ouroboros repair`` after ``ouroboros map``."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from sw.cli import main
from sw.place.placement import load

RING = {"name": "ring", "tiles": 14, "W": 6, "H": 4, "die_w": 3, "die_h": 2, "lam": 3,
        "defects": [8], "edges": [[n, (n + 1) % 14, 10] for n in range(14)]}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("ring.json").write_text(json.dumps(RING))
    CliRunner().invoke(main.cli, ["map", "--instance", "ring.json", "--moves", "5000",
                                  "--out", "p.json"])
    return lambda *arguments: CliRunner().invoke(
        main.cli, ["repair", "--instance", "ring.json", "--placement", "p.json", *arguments])


def test_faults_are_repaired(run):
    result = run("--faults", "5", "--json", "r.json", "--out", "q.json")
    assert result.exit_code == 0, result.output
    found = json.loads(Path("r.json").read_text())
    after = load("q.json")
    assert len(after.grid.defects) == 6 and after.cost == found["cost"]
    assert found["spares_left"] == 4 and "spares left: 4" in result.stdout


def test_spares_end(run):
    result = run("--faults", "10")
    assert result.exit_code == 1
    assert "fault 10: core" in result.stderr and "no spare is left" in result.stderr


def test_another_defect_map(run):
    Path("ring.json").write_text(json.dumps(RING | {"defects": []}))
    result = run()
    assert result.exit_code == 2
    assert "p.json: made for another defect map" in result.stderr
