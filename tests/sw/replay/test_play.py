"""Loads on the golden machine and on the model: what is reported, by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.replay.compare import cases, compare_policies, factors
from ouroboros.sw.replay.load import Load, ReplayError
from ouroboros.sw.replay.perfetto import write_trace
from ouroboros.sw.replay.picture import draw
from ouroboros.sw.replay.play import Stage, play
from ouroboros.sw.serving.options import ServingOptions


@pytest.fixture
def stage(make_checkpoint):
    model = quantise(make_checkpoint(dim=32, hidden_dim=40, n_layers=1, n_heads=4, n_kv_heads=2,
                                     vocab_size=40, seq_len=64))
    return Stage(machine=load_machine("tiny"), model=model, on="golden")


def load(*rows):
    arrivals, prompts, outputs = map(np.array, zip(*rows, strict=True))
    return Load(arrivals, prompts, outputs, 1.0, "t.csv")


def test_one_request_by_hand(stage):
    """A token a tick: 3 of the prompt, 3 of those that were generated; the first waits for one
    tick more than it takes."""
    played = play(stage, load((0, 3, 4)), ServingOptions())
    found = played.as_dict()
    assert found["bit_exact"] and found["requests_served"] == 1 and found["ticks"] == 7
    assert {name: found[f"{name}_ticks"]["p50"] for name in ("ttft", "tpot", "e2e", "wait")} == {
        "ttft": 3, "tpot": 1, "e2e": 6, "wait": 0}
    assert found["output_tokens_per_kilotick"] == pytest.approx(4000 / 7)
    assert found["evictions"] == found["tokens_recomputed"] == 0
    assert found["sequences_mean"] == 1 and found["tokens_sent"] == 7
    json.dumps(found)


def test_fragmentation_and_reservation(stage):
    """One sequence of 8 tokens in blocks of 16, with and without 48 reserved."""
    for static, reserved in ((0, 1), (48, 3)):
        found = play(stage, load((0, 4, 4)), ServingOptions(static_tokens=static)).as_dict()
        assert found["kv_reserved_peak"] * found["kv_blocks"] == reserved
        assert found["reserved_unfilled"] >= 1 - 1 / reserved
        assert 0.5 < found["fragmentation"] < 1


@pytest.mark.long
def test_policies_on_one_load(stage):
    """The same texts; static KV and whole prompts take longer, and say what they hold."""
    many = load(*[(2 * n, 5 + 3 * (n % 3), 6) for n in range(8)])
    tight = replace(stage, kv_blocks=4)
    chosen = [case for case in cases(tight, ServingOptions()) if "ring" not in case.name]
    found = compare_policies(tuple(chosen), many)
    dicts = {name: played.as_dict() for name, played in found.items()}
    assert all(one["bit_exact"] and one["requests_served"] == 8 for one in dicts.values())
    assert dicts["static"]["sequences_mean"] < dicts["token"]["sequences_mean"]
    assert dicts["sequence"]["stage_activation_bytes"] == 11 * 32 * 2
    assert dicts["token"]["stage_activation_bytes"] == 32 * 2
    assert factors(found)["distributed_over_static"] == \
        found["static"].ticks / found["token"].ticks


def test_less_room_is_a_crowded_machine(stage):
    """KV of two blocks: sequences give way, tokens are computed again, texts stay."""
    tight = Stage(machine=stage.machine, model=stage.model, on="golden", kv_blocks=2)
    assert tight.program().kv_blocks == 2
    found = play(tight, load((0, 14, 8), (0, 14, 8)), ServingOptions(headroom_blocks=0)).as_dict()
    assert found["bit_exact"] and found["requests_served"] == 2
    assert found["evictions"] > 0 and found["tokens_recomputed"] > 0
    for blocks in (0, 99):
        with pytest.raises(OuroborosError, match="KV blocks of a core must be 1 to"):
            Stage(machine=stage.machine, model=stage.model, on="golden",
                  kv_blocks=blocks).program()


@pytest.mark.long
def test_some_are_given_up(stage):
    found = play(stage, load(*[(5 * n, 6, 8) for n in range(10)]), ServingOptions(), cancel=0.9)
    assert 0 < found.numbers["requests_cancelled"] < 10 and found.numbers["bit_exact"]


def test_the_model_is_bounded_by_the_same_policy(stage):
    model = Stage(machine=load_machine("small"), model=stage.model, on="model", context=64)
    many = load(*[(0, 8, 6) for _ in range(6)])
    found = {grain: play(model, many, ServingOptions(grain=grain)) for grain in
             ("token", "sequence")}
    assert found["sequence"].ticks > found["token"].ticks
    assert found["token"].numbers["requests_served"] == 6
    json.dumps(found["token"].as_dict())
    with pytest.raises(ReplayError, match="chunk_tokens must be None on the model"):
        play(model, many, ServingOptions(chunk_tokens=3))
    with pytest.raises(ReplayError, match="cancel must be 0 on the model"):
        play(model, many, ServingOptions(), cancel=0.5)
    for write in (write_trace, draw):
        with pytest.raises(ReplayError, match="is of a machine's run"):
            write(found["token"], None)


def test_what_is_drawn(stage, tmp_path):
    played = play(stage, load((0, 3, 4), (20, 5, 1)), ServingOptions())
    write_trace(played, tmp_path / "t.json")
    events = json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    slices = [(one["tid"], one["name"], one["ts"], one["dur"]) for one in events
              if one["ph"] == "X"]
    assert slices[:2] == [(0, "prompt", 0, 3), (0, "decode", 3, 3)]
    assert {one["name"] for one in events if one["ph"] == "C"} == {
        "sequences", "KV blocks", "tokens under way"}
    for name in ("t.svg", "t.png"):
        draw(played, tmp_path / name)
        assert b"ouroboros serve-trace" in (tmp_path / name).read_bytes()[:4000]
