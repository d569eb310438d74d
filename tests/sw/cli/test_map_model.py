"""``ouroboros map`` on shapes and checkpoints."""

import json

import pytest
from click.testing import CliRunner

from ouroboros.sw.api.catalogue import SHIPPED
from ouroboros.sw.cli.main import cli
from ouroboros.sw.place.placement import load


def test_a_shape_on_the_wafer(tmp_path):
    out = tmp_path / "p.json"
    found = CliRunner().invoke(cli, [
        "map", "--model", "bert-large", "--members", "1", "--moves", "1000", "--threads", "1", "-v",
        "--out", str(out), "--json", str(tmp_path / "f.json")])
    assert found.exit_code == 0, found.output
    written = json.loads((tmp_path / "f.json").read_text())
    assert written["tiles"] == written["tiling"]["tiles"] == load(out).core.size
    assert written["busiest_link_target_flits"] == 256
    assert "target 256" in found.output and "crossbar minimum" in found.output
    assert written["links"]["known"]


def test_a_checkpoint_on_the_small_machine(tmp_path):
    out = tmp_path / "p.json"
    found = CliRunner().invoke(cli, [
        "map", "--machine", "small", "--checkpoint", str(SHIPPED), "--moves", "2000",
        "--out", str(out), "--json", str(tmp_path / "f.json")])
    assert found.exit_code == 0, found.output
    written = json.loads((tmp_path / "f.json").read_text())
    assert written["flit_hops_per_token"] < written["flit_hops_per_token_snake"]
    assert load(out).instance_digest == written["digest"]


@pytest.mark.long
@pytest.mark.parametrize("arguments", [
    [], ["--model", "llama-13b", "--instance", "x.json"], ["--model", "gpt-175b"],
    ["--checkpoint", "none.bin"], ["--model", "llama-13b", "--members", "33"]])
def test_one_source_that_fits(arguments):
    found = CliRunner().invoke(cli, ["map", *arguments])
    assert found.exit_code == 2
    assert found.stderr.startswith("Error: ") and found.stderr.count("\n") == 1
