"""Commands: what they write, and one sentence for what is wrong."""

import json

import pytest
from click.testing import CliRunner

from ouroboros.sw.api.tier.tier import RunOptions, run_tier
from ouroboros.sw.cli.main import cli

pytestmark = pytest.mark.long


def call(*words):
    return CliRunner().invoke(cli, ["tier", *map(str, words)])


def test_run_writes_what_it_shows(tmp_path):
    path = tmp_path / "run.json"
    done = call("run", "--requests", 20, "--trace", "dolphin", "--json", path)
    assert done.exit_code == 0, done.output
    found = json.loads(path.read_text())
    assert found["system"] == "tier"
    assert f"{found['tokens_per_s']:,.1f} generated tokens/s" in done.output
    assert found["joules_per_token"]["total"] > 0


def test_requests_of_a_file(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text("arrival_s,input_tokens,output_tokens\n0,100,20\n1,50,10\n")
    found = run_tier(RunOptions(trace=str(path), system="gpu")).as_dict()
    assert found["traffic"]["requests"] == 2
    assert found["traffic"]["output_tokens"] == 30


@pytest.mark.parametrize(("words", "message"), [
    (("run", "--trace", "none"), "Error: trace must be one of openr1, dolphin, openthoughts or"),
    (("run", "--technology", "ddr9"), "Error: technology must be one of ddr4-3200"),
    (("run", "--system", "gpu", "--scheduler", "--requests", 5, "--trace", "dolphin"),
     "Error: scheduler must be off for system 'gpu'"),
    (("run", "--capacity", "0.01"), "Error: 1000 lengths as of openr1, seed 0: tokens of a "),
    (("figures", "--technology", "ddr5-6400", "--requests", 50),
     "Error: technology must have currents for energy"),
    (("edge", "--head-rows", 10**6), "Error: head_rows must be at most 32000"),
])
def test_one_sentence(words, message):
    done = call(*words)
    assert done.exit_code == 2
    assert message in done.output
    assert done.output.strip().splitlines()[-1].startswith("Error: ")


def test_edge_draws_and_writes(tmp_path):
    picture, path = tmp_path / "edge.svg", tmp_path / "edge.json"
    done = call("edge", "--plot", picture, "--json", path)
    assert done.exit_code == 0, done.output
    found = json.loads(path.read_text())
    assert found["alone"]["sequences"] == 0
    assert found["both"]["sequences"] == 84
    assert "ouroboros tier edge" in picture.read_text()
