"""``ouroboros floorplan``: files, figures, one-sentence errors."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from ouroboros.floorplan import layout
from ouroboros.sw.cli import main
from ouroboros.sw.place.cost import cost
from ouroboros.sw.place.instance import Grid, Instance, Net, write_instance
from ouroboros.sw.place.placement import Placement, save


@pytest.fixture
def run(tmp_path, monkeypatch, small_machine, small_rules):
    """The command on the small machine with its rules."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(layout, "load_machine", lambda name: small_machine)
    monkeypatch.setattr(layout, "load_rules", lambda path: small_rules)

    def call(*arguments):
        return CliRunner().invoke(main.cli, ["floorplan", "--out", "out", *arguments])

    return call


@pytest.fixture
def files(tmp_path):
    """Instance and placement on the small machine, core 9 dead."""
    grid = Grid(width=6, height=6, die_width=3, die_height=2, die_penalty_hops=3, defects=(9,))
    instance = Instance(name="two", grid=grid, tiles=2, edges=np.array([[0, 1, 640]]),
                        tile_names=((0, "qkv", 0), (0, "kv", 0)),
                        nets=(Net(source=0, sinks=(1,), volume_bytes=640),))
    core = np.array([0, 2])
    write_instance(instance, tmp_path / "instance.json")
    save(Placement(instance_name="two", instance_digest=instance.digest, grid=grid, core=core,
                   cost=cost(instance, core)), tmp_path / "placement.json")
    return "--placement", "placement.json", "--instance", "instance.json"


def test_writes_everything(run, tmp_path):
    result = run("--json", "f.json", "--defects", "none")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "f.json").read_text())
    assert {"wafer.gds", "tech.lef", "core.lef", "die.lef", "die.def", "wafer.def", "wafer.svg",
            "die.svg", "core.svg", "defects.json"} == set(found["files"])
    assert all((tmp_path / "out" / name).stat().st_size == size
               for name, size in found["files"].items())
    assert (found["dies"], found["cores_per_die"], found["cores"]) == (6, 6, 36)
    assert all(one["passed"] for one in found["checks"])
    assert sum(area["mm2"] for area in found["areas"]) == pytest.approx(found["core_mm2"],
                                                                        rel=1e-3)
    assert found["defects"]["dead"] == 0
    assert "Rule check" in result.stdout
    assert "assumption" in result.stdout


def test_placement_brings_its_defects_and_its_load(run, files, tmp_path):
    result = run(*files, "--json", "f.json")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "f.json").read_text())
    assert found["defects"]["kind"] == "placement"
    assert found["defects"]["random"] == 1
    # 640 bytes are 20 flits of 256 bits, over two links.
    assert "busiest: 20 flits/token" in (tmp_path / "out/load.svg").read_text()
    # The map that was written is one that fits.
    assert run(*files, "--defects", "out/defects.json").exit_code == 0


def test_a_load_of_ones_own(run, tmp_path):
    (tmp_path / "l.json").write_text(json.dumps({"load": np.ones((4, 6, 6)).tolist(),
                                                 "unit": "packets"}))
    assert run("--load", "l.json").exit_code == 0
    assert "busiest: 1 packets" in (tmp_path / "out/load.svg").read_text()


def test_same_seed_same_map(run, tmp_path):
    maps = []
    for seed in (3, 3, 4):
        assert run("--defects", "stress", "--seed", str(seed)).exit_code == 0
        maps.append((tmp_path / "out/defects.json").read_text())
    assert maps[0] == maps[1] != maps[2]


ERRORS = [
    (("--placement", "none.json"), "none.json: cannot be read: No such file or directory"),
    (("--instance", "instance.json"), "instance.json: --instance must come with --placement"),
    (("--defects", "bad"), ("--defects must be one of ['nominal', 'stress', 'none'] or the path "
                            "of a map, not 'bad'")),
    (("--placement", "placement.json", "--defects", "none"),
     ("placement.json: made for another defect map (1 cores differ): place again, or leave "
      "--defects out to show the placement's own")),
    (("--seed", "-1"), "seed must be at least 0, not -1"),
]


@pytest.mark.parametrize(("arguments", "message"), ERRORS)
def test_errors(arguments, message, run, files):
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stderr == f"Error: {message}\n"


def test_placement_of_other_traffic(run, files, tmp_path):
    found = json.loads((tmp_path / "instance.json").read_text())
    found["edges"][0][2] = 641
    (tmp_path / "instance.json").write_text(json.dumps(found))
    result = run(*files)
    assert result.exit_code == 2
    assert result.stderr == ("Error: placement.json: must be a placement of instance.json, "
                             "not of other traffic (two)\n")


def test_placement_of_another_machine(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main.cli, ["floorplan", "--out", "out", "--machine", "die",
                                           *files])
    assert result.exit_code == 2
    assert result.stderr == ("Error: placement.json: made for another machine: width is 6, but "
                             "13 on machine 'die'\n")


def test_rules_from_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.toml").write_text("[wafer]\n")
    result = CliRunner().invoke(main.cli, ["floorplan", "--out", "out", "--rules", "rules.toml"])
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: rules.toml.wafer: ")
