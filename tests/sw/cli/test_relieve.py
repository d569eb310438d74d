"""``ouroboros relieve`` on a row of pairs."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from ouroboros.sw.cli import main
from ouroboros.sw.place.cost import cost
from ouroboros.sw.place.instance import read_instance
from ouroboros.sw.place.placement import Placement, check, load, save

ROW = {"name": "row", "tiles": 8, "W": 8, "H": 6, "die_w": 8, "die_h": 6, "lam": 3, "defects": [],
       "edges": [[n, n + 4, 640] for n in range(4)]}


def test_dead_cores_of_the_placement(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("row.json").write_text(json.dumps(ROW))
    instance = read_instance("row.json")
    core = np.arange(8)
    save(Placement(instance_name="row", instance_digest=instance.digest,
                   grid=instance.grid.without([47, 8]), core=core, cost=cost(instance, core)),
         "p.json")
    command = ["relieve", "--instance", "row.json", "--placement", "p.json", "--out", "q.json"]
    refused = CliRunner().invoke(main.cli, command)
    assert refused.exit_code == 2 and "p.json: made for another defect map" in refused.stderr
    result = CliRunner().invoke(main.cli, [*command, "--dead", "8,47", "--share", "0.5"])
    assert result.exit_code == 0, result.output
    after = load("q.json")
    assert after.grid.defects == (8, 47) and not {8, 47} & {*after.core.tolist()}


@pytest.mark.parametrize("target, words", [("0", "missed"), ("40", "met")])
def test_relief(tmp_path, monkeypatch, target, words):
    monkeypatch.chdir(tmp_path)
    Path("row.json").write_text(json.dumps(ROW))
    instance = read_instance("row.json")
    core = np.arange(8)
    save(Placement(instance_name="row", instance_digest=instance.digest, grid=instance.grid,
                   core=core, cost=cost(instance, core)), "p.json")
    result = CliRunner().invoke(main.cli, [
        "relieve", "--instance", "row.json", "--placement", "p.json", "--share", "0.1",
        "--target-flits", target, "--out", "q.json", "--json", "r.json"])
    assert result.exit_code == 0, result.output
    found = json.loads(Path("r.json").read_text())
    after = load("q.json")
    check(after, instance)
    assert after.cost == found["cost"] <= 1.1 * found["cost_before"]
    assert found["busiest_flits_before"] == 4 * 640 / 2 / 32
    assert (found["busiest_flits"] < 40) == (target == "0")
    assert f"target {target}: {words}" in result.stdout
