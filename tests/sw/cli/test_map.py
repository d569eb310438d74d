"""``ouroboros map`` on a small instance."""

import contextlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from ouroboros.sw.cli import main
from ouroboros.sw.cli.placing import map
from ouroboros.sw.place.instance import read_instance
from ouroboros.sw.place.placement import check, load

RING = {"name": "ring", "tiles": 14, "W": 6, "H": 4, "die_w": 3, "die_h": 2, "lam": 3,
        "defects": [8], "edges": [[n, (n + 1) % 14, 10] for n in range(14)]}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ring.json").write_text(json.dumps(RING))
    return lambda *arguments: CliRunner().invoke(main.cli, ["map", *arguments])


def test_a_placement_and_its_certificate(run):
    result = run("--instance", "ring.json", "--moves", "20000", "--seed", "3", "--out", "p.json.gz",
                 "--json", "r.json")
    assert result.exit_code == 0, result.output
    found = json.loads(Path("r.json").read_text())
    placement = load("p.json.gz")
    check(placement, read_instance("ring.json"))
    assert (placement.cost, placement.lower_bound, placement.seed) == (found["cost"],
                                                                       found["lower_bound"], 3)
    assert found["lower_bound"] <= found["cost"] <= found["baselines"]["die_hilbert"]
    for word in (f"{found['cost']:,}", "lower bound", "die hilbert", "half each way", "M/s"):
        assert word in result.stdout


def test_an_interrupted_search_is_kept_and_says_so(run, monkeypatch):
    @contextlib.contextmanager
    def interrupt():
        def update(what, spent, best):
            if what == "search" and spent > 0.2:
                raise KeyboardInterrupt
        yield update

    monkeypatch.setattr(map, "place_progress", interrupt)
    result = run("--instance", "ring.json", "--moves", "200000", "--out", "p.json",
                 "--json", "r.json")
    assert result.exit_code == 130, result.output
    assert "interrupted, best so far kept" in " ".join(result.stdout.split())
    assert json.loads(Path("r.json").read_text())["interrupted"] is True
    check(load("p.json"), read_instance("ring.json"))


def test_dead_cores_beside_those_of_the_instance(run, tmp_path):
    (tmp_path / "map.json").write_text(json.dumps({"width": 6, "height": 4, "dead": [0, 5, 8]}))
    result = run("--instance", "ring.json", "--dead", "map.json", "--moves", "5000",
                 "--spares-per-die", "1", "--out", "p.json")
    assert result.exit_code == 0, result.output
    placement = load("p.json")
    assert placement.grid.defects == (0, 5, 8)
    assert not {0, 5, 8} & {*placement.core.tolist()}
    result = run("--instance", "ring.json", "--dead", "24")
    assert result.exit_code == 2
    assert "dead cores must be cores 0 to 23, not 24" in result.stderr


@pytest.mark.parametrize("changes, message", [
    ({"tiles": 24}, "tiles must be at most 23, the grid's live cores, not 24, 1 too many"),
    ({"edges": None}, "ring.json: key 'edges' must be a list, not null"),
])
def test_bad_instances_are_one_sentence(run, tmp_path, changes, message):
    (tmp_path / "ring.json").write_text(json.dumps(RING | changes))
    result = run("--instance", "ring.json")
    assert result.exit_code == 2
    assert message in result.stderr and "Traceback" not in result.stderr


def test_no_such_file(run):
    result = run("--instance", "none.json")
    assert result.exit_code == 2 and "none.json" in result.stderr


def test_name_is_printed_as_it_is(run, tmp_path):
    (tmp_path / "ring.json").write_text(json.dumps(RING | {
        "name": "[bold]x[/bold] [/nope] :bomb: \x1b[2J"}))
    result = run("--instance", "ring.json", "--moves", "10")
    assert result.exit_code == 0, result.output
    assert r"[bold]x[/bold] [/nope] :bomb: \x1b[2J: 14 tiles" in result.stdout
    assert "\x1b[2J" not in result.stdout
