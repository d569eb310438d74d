"""The machine model beside the wafer model's chain, on the same requests."""

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.cli.predict import predict
from ouroboros.sw.experiments.levels import Level, levels
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.models import llama2c
from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.quantise.recipe import RECIPES


def test_error():
    assert Level(prompt=1, output=1, requests=1, machine=100, wafer=98).error == pytest.approx(
        -0.02)


def test_both_levels(make_checkpoint):
    """A sequence at a time within 2 %. Tokens that wait for each other inside a core, for a unit
    that none of them binds, wait for nothing in the chain: it is below then, and never above.
    """
    model = quantise(make_checkpoint(dim=64, n_heads=4, n_kv_heads=2, n_layers=2, hidden_dim=80,
                                     seq_len=64))
    program = map_model(load_machine("small"), model)
    alone, prompt, four = levels(program, model, [(1, 12, 1), (24, 1, 1), (1, 12, 4)])
    assert abs(alone.error) < 0.02, alone
    assert -0.08 < prompt.error < 0.02, prompt
    assert -0.08 < four.error < 0.02, four


def test_other_schemes_are_refused(make_checkpoint):
    machine = load_machine("small")
    machine = replace(machine, core=replace(machine.core, residual_bits=24))
    model = quantise(make_checkpoint(dim=32), recipe=RECIPES["R2"])
    with pytest.raises(PerfError, match="levels must be of scheme R and placement plain"):
        levels(map_model(machine, model), model, [(1, 2, 1)])


def test_command(make_checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    llama2c.write(tmp_path / "model.bin", make_checkpoint(dim=32))
    result = CliRunner().invoke(predict, [
        "--machine", "small", "--checkpoint", "model.bin", "--prompt-tokens", "4", "--context", "6",
        "--sequences", "1", "--levels", "3:2:1,1:4:2", "--json", "found.json"])
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "found.json").read_text())["levels"]
    assert [(row["prompt"], row["output"], row["requests"]) for row in rows] == [
        (3, 2, 1), (1, 4, 2)]
    assert all(row["error"] == row["wafer"] / row["machine"] - 1 for row in rows)
    assert "Cycles until the last result" in result.output
