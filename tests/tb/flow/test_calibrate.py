"""Cycles of leaf blocks on RTL are those of the contracts, or the command says so and fails."""

import json

import pytest
from click.testing import CliRunner

from ouroboros.tb.flow import calibrate as flow


@pytest.mark.sim
def test_blocks_keep_their_contracts(tmp_path):
    found = {}
    for top in ("sfu", "router"):
        path = tmp_path / f"{top}.json"
        result = CliRunner().invoke(flow.calibrate, ["--block", top, "--json", str(path)])
        assert result.exit_code == 0, result.output
        found[top] = json.loads(path.read_text())[top]
    samples = [one for sets in found.values() for some in sets.values() for one in some]
    assert len(samples) == 4 * 12 + 4 * 12
    assert all(one["cycles"] == one["contract"] for one in samples)


def test_another_cycle_fails(monkeypatch):
    sample = flow.Measured({"beats": 1, "reads_c": 0, "writes_c": 0}, 8, 7)
    monkeypatch.setattr(flow, "measure", lambda block, name, sim: [sample])
    result = CliRunner().invoke(flow.calibrate, ["--block", "sfu"])
    assert result.exit_code == 1
    assert "sfu 4 lanes: 1 samples of 8 to 8 cycles, off by 1 from the contract at most" in (
        result.output)


def test_the_simulator_is_what_on_names(monkeypatch, tmp_path):
    ran = []

    def measure(block, name, on):
        ran.append((block.top, on))
        return [flow.Measured({"routers": 1}, 7, 7)]

    monkeypatch.setattr(flow, "measure", measure)
    path = tmp_path / "found.json"
    result = CliRunner().invoke(flow.calibrate, ["--block", "router", "--on", "icarus", "--json",
                                                 str(path)])
    assert result.exit_code == 0, result.output
    assert set(ran) == {("router", "icarus")}
    assert json.loads(path.read_text())["router"]["128 bit, 2 vc"] == [
        {"features": {"routers": 1}, "cycles": 7, "contract": 7}]
