"""``ouroboros list``: the names are those that options take."""

import json

import pytest
from click.testing import CliRunner

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.api import catalogue
from ouroboros.sw.block import plans
from ouroboros.sw.cli.main import cli
from ouroboros.sw.models.shape import load_shape
from ouroboros.sw.noc.experiment.lab import runner
from ouroboros.sw.runtime.service import BACKENDS


def test_everything_by_name(tmp_path):
    result = CliRunner().invoke(cli, ["list", "--json", str(tmp_path / "f.json")])
    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.splitlines())) <= 80
    found = json.loads((tmp_path / "f.json").read_text())
    assert [one["name"] for one in found["machines"]] == [
        "tiny", "detour", "small", "die", "pair", "wafer"]
    assert [(one["name"], one["licence"]) for one in found["checkpoints"]] == [
        ("tales", "Apache-2.0"), ("smollm2", "Apache-2.0")]
    assert found["checkpoints"][0]["path"] == str(catalogue.SHIPPED)
    assert len(found["models"]) == len(catalogue.model_names())
    assert set(found["backends"]) == set(BACKENDS)
    assert set(found["simulators"]) == {"model", "verilator", "icarus"}
    for name in (*catalogue.machine_names(), *catalogue.model_names()):
        assert name in result.stdout


def test_names_are_what_options_take():
    assert tuple(catalogue.PLACEMENTS) == plans.PLACEMENTS
    assert {load_machine(name).name for name in catalogue.machine_names()} == {
        one.name for one in catalogue.machines()}
    assert {load_shape(name).name for name in catalogue.model_names()} == {
        one.name for one in catalogue.models()}
    assert callable(runner("model"))
    assert catalogue.SHIPPED.is_file() and catalogue.TOKENIZER.is_file()


@pytest.mark.parametrize("kind", ["machines", "placements"])
def test_one_kind(kind):
    result = CliRunner().invoke(cli, ["list", kind])
    assert result.exit_code == 0
    assert ("wafer" in result.stdout) == (kind == "machines")


def test_unknown_kind():
    assert CliRunner().invoke(cli, ["list", "wafers"]).exit_code == 2
