"""``ouroboros repair`` after ``ouroboros map``."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from ouroboros.sw.cli import main
from ouroboros.sw.place.placement import load

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


def test_cores_of_a_defect_map_die(run):
    """First those that the placement does not know, then as many drawn ones as asked for."""
    Path("map.json").write_text(json.dumps({"width": 6, "height": 4, "dead": [3, 8, 23]}))
    for faults, number in (((), 2), (("--faults", "1"), 3)):
        result = run("--dead", "map.json", *faults, "--json", "r.json", "--out", "q.json")
        assert result.exit_code == 0, result.output
        assert json.loads(Path("r.json").read_text())["faults"] == number
        after = load("q.json")
        assert {3, 8, 23} <= {*after.grid.defects} and len(after.grid.defects) == number + 1
        assert not {*after.grid.defects} & {*after.core.tolist()}


def test_a_placement_that_knows_of_more_dead_cores_than_its_instance(run):
    """Repaired once, repaired again: the second time the user says what died the first time."""
    run("--dead", "2,3", "--out", "once.json")
    Path("once.json").replace("p.json")
    assert run("--faults", "1").exit_code == 2
    result = run("--dead", "2,3", "--faults", "1", "--out", "q.json")
    assert result.exit_code == 0, result.output
    assert {2, 3} < {*load("q.json").grid.defects} and len(load("q.json").grid.defects) == 4


def test_spares_end(run):
    result = run("--faults", "10")
    assert result.exit_code == 1
    assert "fault 10: core" in result.stderr and "no spare is left" in result.stderr


def test_another_defect_map(run):
    Path("ring.json").write_text(json.dumps(RING | {"defects": []}))
    result = run()
    assert result.exit_code == 2
    assert "p.json: made for another defect map" in result.stderr
