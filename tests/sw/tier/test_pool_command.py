"""``ouroboros tier serve`` on the golden machine: what it says, writes, draws and refuses."""

import json

import pytest
from click.testing import CliRunner

from ouroboros.sw.api.tier import pools as tier_pools
from ouroboros.sw.cli.main import cli


def call(*words):
    return CliRunner().invoke(cli, ["tier", "serve", *map(str, words)])


def test_three_places_one_text(tmp_path):
    path, picture = tmp_path / "where.json", tmp_path / "where.svg"
    done = call("--prompt", "Once", "--prompt", "The", "--tokens", 2, "--json", path, "--plot",
                picture)
    assert done.exit_code == 0, done.output
    assert "the same, bit for bit, wherever K and V are" in done.output
    found = json.loads(path.read_text())
    assert found["same_tokens_and_logits"]
    assert found["ports"] == [[8, 3]]
    runs = found["runs"]
    assert {place: run["members"] for place, run in runs.items()} == {
        "wafer": 1, "tier": 1, "split": 2}
    assert all(run["bit_exact"] for run in runs.values())
    assert runs["wafer"]["most_in_pools"] == runs["tier"]["most_on_wafer"] == 0
    # Of the two sequences, shorter than a block, one is in the pool.
    assert runs["split"]["most_in_pools"] > 0 < runs["split"]["most_on_wafer"]
    assert "ouroboros tier serve" in picture.read_text()


def test_a_lost_pool_is_said(tmp_path):
    done = call("--prompt", "Once", "--tokens", 2, "--kv", "tier", "--lost", 2)
    assert done.exit_code == 0, done.output
    assert "tier: pools lost at" in done.output
    assert "computed again" in done.output


def test_a_difference_is_exit_code_3(monkeypatch):
    monkeypatch.setattr(tier_pools, "compare", lambda *given: (False, 0))
    done = call("--prompt", "Once", "--tokens", 1, "--kv", "tier")
    assert done.exit_code == 3
    assert "DIFFER" in done.output


@pytest.mark.parametrize(("words", "message"), [
    (("--port", "3,3"), "Error: port of a pool: more_hosts must be edge ports"),
    (("--port", "east"), "Error: port must be x,y, not 'east'"),
    (("--port", "0,1"), "Error: port of a pool: more_hosts must be ports that have no host yet"),
    (("--rows", "2", "--kv", "tier"), "Error: pool at port (8, 3) must hold a sequence"),
    (("--kv", "wafer", "--lost", "3"), "Error: lost must be given with K and V in a pool"),
    (("--prompt", "word " * 400), "Error: prompt 'word word"),
    (("--kv", "moon"), "Invalid value for '--kv'"),
])
def test_refusals(words, message):
    done = call("--tokens", 1, *words)
    assert done.exit_code == 2, done.output
    assert message in done.output
