"""Prefill and decode totals, and the command."""

import json

import pytest
from click.testing import CliRunner

from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import Flag
from ouroboros.sw.cli.main import cli
from ouroboros.sw.cli.predict import predict
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.models import llama2c
from ouroboros.sw.perf.cycles import serial
from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.perf.pipeline import Prediction
from ouroboros.sw.perf.stage_time import machine_time
from ouroboros.sw.program.image import Token, read_stages
from ouroboros.sw.quantise.quantise import quantise


@pytest.fixture
def mapped(make_checkpoint):
    model = quantise(make_checkpoint(dim=32, n_heads=4, n_kv_heads=2, n_layers=1, vocab_size=23,
                                     hidden_dim=40))
    return map_model(load_machine("tiny"), model)


def test_totals_by_hand(by_hand):
    found = Prediction(by_hand, prompt_tokens=3, context=3)
    # Latency 120 and interval 26 are worked out in test_stage_time. The third token waits for a
    # slot of the embedding, whose two go around in 42 cycles; the dispatcher, busy with the second
    # token, ends the first a cycle late.
    assert found.decode_time.latency == 120
    assert found.decode_time.interval == 26
    assert found.prefill_cycles == 120 + 43
    # One sequence waits for its own tokens; so do four, since 4 x 26 is less than 120.
    assert [found.decode(n).round_cycles for n in (1, 4)] == [120, 120]
    assert found.decode(4).cycles_per_token == 30.0
    assert found.decode(4).binds == "latency"


def test_full_pipeline_binds(by_hand, monkeypatch):
    found = Prediction(by_hand, prompt_tokens=1, context=1)
    monkeypatch.setattr(type(found.decode_time), "latency", 100)
    assert found.decode(4).round_cycles == 104
    assert found.decode(4).binds == "slots of lm"


@pytest.mark.parametrize(("changes", "message"), [
    ({"prompt_tokens": 9, "context": 1},
     "prompt tokens must be between 1 and 8 (the context of the placed program), not 9"),
    ({"prompt_tokens": 1, "context": 0},
     "context must be between 1 and 8 (the context of the placed program), not 0")])
def test_out_of_range(by_hand, changes, message):
    with pytest.raises(PerfError) as error:
        Prediction(by_hand, **changes)
    assert str(error.value) == message


def test_too_many_sequences(by_hand):
    with pytest.raises(PerfError, match=r"sequences must be between 1 and 4 \(rows of the page "
                                        r"table\), not 5"):
        Prediction(by_hand, prompt_tokens=1, context=1).decode(5)


def test_mapped_model(mapped):
    """Serial time of every stage is the sum over its instructions; time grows with the context."""
    stages = read_stages(mapped)
    early, late = (machine_time(mapped, stages, Token(position)) for position in (1, 20))
    for time in (early, late):
        for core in time.cores:
            for stage in core.stages:
                # From the cycle in which the first WAIT acts to END's: both count 1 of their 2.
                want = serial(mapped.machine, stage.stage, time.token, stage.stage.code) - 2
                assert stage.serial == want
                assert core.cycles >= stage.holds.array
    assert late.latency > early.latency
    quiet = machine_time(mapped, stages, Token(20, Flag.QUIET))
    assert quiet.latency < late.latency


def test_command(make_checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    llama2c.write(tmp_path / "model.bin", make_checkpoint(dim=32))
    result = CliRunner().invoke(predict, [
        "--machine", "tiny", "--checkpoint", "model.bin", "--prompt-tokens", "4", "--context", "6",
        "--sequences", "1,2", "--json", "found.json"])
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "found.json").read_text())
    assert [row["sequences"] for row in found["decode"]] == [1, 2]
    assert found["stages"][0]["stage"] == "embed"
    assert found["levels"] == []
    assert "least interval between tokens" in result.output


@pytest.mark.parametrize(("arguments", "message"), [
    (["--sequences", "1,x"], "sequences must be whole numbers with commas between, not '1,x'"),
    (["--levels", "3:2"], "levels must be prompt tokens, output tokens and requests, as in 24:1:1"),
    (["--machine", "huge"], "machine must be one of"),
    (["--context", "99"], "context must be between 1 and 24")])
def test_one_sentence(make_checkpoint, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    llama2c.write(tmp_path / "model.bin", make_checkpoint(dim=32))
    result = CliRunner().invoke(cli, ["predict", "--machine", "tiny", "--checkpoint", "model.bin",
                                      "--prompt-tokens", "4", *arguments])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {message}")
