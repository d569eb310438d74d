"""``ouroboros speed``: one table, one form of results, whatever is measured."""

import json

import pytest
from click.testing import CliRunner

from ouroboros.sw.api import speed as api
from ouroboros.sw.cli import speed as command
from ouroboros.sw.cli.main import cli

RING = {"name": "ring", "tiles": 14, "W": 6, "H": 4, "die_w": 3, "die_h": 2, "lam": 3,
        "defects": [8], "edges": [[n, (n + 1) % 14, 10] for n in range(14)]}
COLUMNS = {"what", "unit", "per_processor_s", "per_wall_s", "build_s", "more"}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ring.json").write_text(json.dumps(RING))

    def call(*arguments):
        result = CliRunner().invoke(cli, ["speed", *arguments, "--json", "f.json"])
        assert result.exit_code == 0, result.output
        assert max(map(len, result.stdout.splitlines())) <= 80
        found = json.loads((tmp_path / "f.json").read_text())
        assert all(set(one) == COLUMNS for one in found["speeds"])
        return result.stdout, found

    return call


def test_placer(run):
    text, found = run("place", "ring.json", "--seconds", "0.1")
    one, = found["speeds"]
    assert one["unit"] == "moves" and "moves" in text
    assert one["more"]["moves"] / one["more"]["processor_s"] == pytest.approx(
        one["per_processor_s"])
    assert 0 < one["more"]["accepted"] <= one["more"]["moves"]


def test_link_model(run, monkeypatch):
    monkeypatch.setattr(command, "speed_of_links", lambda options: api.speed_of_links(options, 50))
    one, = run("links", "--machine", "tiny")[1]["speeds"]
    assert (one["what"], one["unit"]) == ("link-load model, 4 x 3 cores", "packets")
    assert one["per_processor_s"] > 0


def test_whole_model(run, monkeypatch):
    summary = {"bit_exact": True, "cycles": 1000, "cycles_per_s": 50.0, "tokens_per_s": 0.25,
               "generated_tokens": 8, "build_s": 0.5, "load_s": 1.0, "run_s": 20.0}

    class Served:
        def summary(self):
            return summary | {"text": []}

    calls = []

    def serve(source, machine, prompts, **how):
        calls.append((machine.name, len(prompts), how["tokens"], how["on"], how["twin"]))
        return Served()

    monkeypatch.setattr(api, "serve", serve)
    text, found = run("--tokens", "3", "-v")
    assert calls == [("small", 4, 3, "verilator", False), ("small", 4, 3, "verilator", True)]
    assert found["machine"] == "small" and found["twin"] == summary
    assert [(one["what"], one["unit"], one["per_wall_s"]) for one in found["speeds"]] == [
        ("bit_serial", "cycles", 50.0), ("bit_serial", "tokens", 0.25),
        ("twin", "cycles", 50.0), ("twin", "tokens", 0.25)]
    assert "bit_exact" in text


def test_parts_are_listed():
    listing = CliRunner().invoke(cli, ["speed", "--help"]).stdout
    for name in ("idle", "links", "macro", "mesh", "place"):
        assert f"\n  {name} " in listing
