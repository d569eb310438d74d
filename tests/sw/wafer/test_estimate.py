"""The wafer model: cores, KV room and stage times against arithmetic by hand."""

import json
import math
from dataclasses import replace

import pytest
from click.testing import CliRunner

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.cli.main import cli
from ouroboros.sw.cli.wafer import wafer
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.models.shape import load_shape
from ouroboros.sw.wafer.assumptions import assumptions
from ouroboros.sw.wafer.busiest_link import BusiestLink
from ouroboros.sw.wafer.estimate import Wafer, WaferOptions


def model(name="llama-13b", *, context=1024, **overrides):
    return Wafer(load_machine("wafer"), load_shape(name),
                 WaferOptions(context=context, overrides=overrides))


def test_cores_of_13b():
    found = model()
    # 5 row tiles, so 6 column tiles a core: 120 tiles of Q, K, V in 20 cores, 40 in 7, 216 in 36.
    # Down: 3 row tiles x 10 column tiles a core, 5 x 4 of them. Two norm roots. LM head 250 tiles.
    assert found.weight_cores == 40 * (20 + 7 + 36 + 20 + 2) + 42 + 1
    assert found.dead == 42
    assert found.edge == 40
    assert found.spare == 4 * 63
    left = 13923 - 42 - 40 - 252 - found.weight_cores - 21
    assert found.kv_cores_left == left
    assert (found.members, found.kv_heads) == (4, 1)
    assert found.kv_cores == 4 * 40 * 40


def test_kv_room_of_13b():
    found = model()
    # By bytes: (13,923 x 4 MiB - 12.85e9 of weights) / 409,600.
    assert load_shape("llama-13b").kv_bytes_per_token == 409_600
    weights = 40 * (4 * 5120 ** 2 + 3 * 5120 * 13824) + 32000 * 5120
    assert found.kv_tokens_by_bytes == (13923 * 2 ** 22 - weights) // 409_600 == 111_195
    # A KV core holds 16 macros x 8 blocks x 128 tokens of one head; four members do 65,536.
    assert found.kv_tokens == 4 * 16 * 8 * 128
    # Dead, spare and part-filled cores explain the first step, powers of two the second.
    assert found.kv_tokens < found.kv_tokens_of_cores_left < found.kv_tokens_by_bytes
    assert found.kv_tokens_of_cores_left == 65536 * found.kv_cores_left // 6400
    assert found.sequences == 64


def test_stage_times_of_13b():
    times = {time.name.strip(): time for time in model().times}
    qkv = times["QKV"].units
    assert qkv["array"] == 32 * 8
    # 20 slices of 256 bytes, 8 flits and a header each, the RoPE row; 24 credits come back.
    assert qkv["flits in"] == 20 * 9 + 9 + 6 * 4
    assert qkv["multicast"] == 2 * (20 * 9 + 9)
    # Six vectors of 4 flits and a header; 21 credits are paid.
    assert qkv["flits out"] == 6 * 5 + 21
    # A K column is 128 bytes, one a cycle.
    assert times["attention, home"].kv_writes == 3 + 128 + 2 + 8
    # Score: 256 local tokens are 16 beats, 1 to start, 1 for word C; then 9 idle: 3 to the next
    # instruction, 1 to the release, 5 to drop what is left in the tree.
    assert times["score"].units["SFU"] == 16 + 1 + 1 + 9
    assert times["mesh"].cycles == 383


def test_totals_of_13b():
    found = model()
    # Two copies of 40 heads' outputs, 4 flits and a header each, and of a scale of 2 and a header.
    assert found.interval_cycles == 2 * (40 * 5 + 3) == 406
    assert (found.slowest.name, found.slowest.binds) == ("projection", "multicast")
    assert found.latency_cycles == (
        found.block_latency["norm 1"] + 40 * sum(found.block_latency.values())
        + found.times[-3].serial + found.times[-2].serial + 2 * found.transit)
    assert found.prefill_tokens_per_s == pytest.approx(1e9 / 406)
    assert found.prefill_s == pytest.approx((found.latency_cycles + 1023 * 406) / 1e9)
    # 64 sequences are fewer than the tokens that fill the pipeline, so room for KV binds.
    assert found.tokens_to_fill == math.ceil(found.latency_cycles / 406) > 64
    assert found.decode_tokens_per_s == pytest.approx(64e9 / found.latency_cycles)
    assert found.decode_binds == "KV room"


def test_a_busy_link_binds():
    """The reference instance's, before any relief."""
    found = model(busiest_link_flits=624)
    assert (found.interval_cycles, found.slowest.name) == (624, "mesh")
    assert model(busiest_link_flits=0).interval_cycles == 406


def test_edge_of_a_smaller_machine():
    """Eight dies of nine: no corner of it leaves the wafer."""
    machine = load_machine("wafer")
    smaller = replace(machine, mesh=replace(machine.mesh, width=8 * 13))
    found = Wafer(smaller, load_shape("llama-13b"), WaferOptions())
    assert (found.edge, found.spare) == (0, 4 * 56)


def test_the_busiest_link_scales_with_the_width_unless_it_is_the_models_own():
    assert model("llama-7b", busiest_link_flits=500).link_flits == 400
    own = BusiestLink(load_bytes=500.25 * 32, instance="llama-7b on wafer", where="m.json")
    found = Wafer(load_machine("wafer"), load_shape("llama-7b"), WaferOptions(busiest_link=own))
    assert found.link_flits == 501
    source = found.assumptions["busiest_link_flits"].source
    default = assumptions({})["busiest_link_flits"]
    assert source == (f"m.json, the model's own placement, not scaled; default {default.value:g} "
                      f"flits/token: {default.source}")


def test_clock_scales_rates_only():
    slow, fast = model(clock_ghz=0.5), model()
    assert slow.latency_cycles == fast.latency_cycles
    assert slow.decode_tokens_per_s == pytest.approx(fast.decode_tokens_per_s / 2)


def test_longer_context_costs():
    short, long = model(context=512), model(context=8192)
    assert long.block_latency["attention"] > short.block_latency["attention"]
    assert long.decode_tokens_per_s < short.decode_tokens_per_s
    assert long.sequences == 65536 // 8192


def test_every_assumption_has_a_source():
    for assumption in model().assumptions.values():
        assert assumption.source
        assert assumption.unit


@pytest.mark.parametrize(("call", "message"), [
    (lambda: load_shape("gpt-9"), (
     "model must be one of ['baichuan-13b', 'bert-large', 'gpt-175b', 'llama-13b', 'llama-2-70b', "
     "'llama-3-70b', 'llama-3-8b', 'llama-33b', 'llama-65b', 'llama-7b', 'opt-66b', "
     "'qwen-32b', 't5-11b'] or a path to a .toml file, not 'gpt-9'")),
    (lambda: model("bert-large"), ("kind of model 'bert-large' must be 'decoder' for the wafer "
     "model, not 'encoder'")),
    (lambda: model("llama-65b"), ("model 'llama-65b' must leave 2560 cores for KV on machine "
     "'wafer' (2 heads a core at most), not -2200 of 13923")),
    (lambda: model(context=70000), ("context must be at most 65536 tokens (all KV that fits beside "
     "llama-13b on machine 'wafer'), not 70000")),
    (lambda: model(context=0), "context must be at least 1, not 0"),
    (lambda: model(clock_ghz=0), "clock_ghz must be positive, not 0"),
    (lambda: model(greedy=2), ("assumption must be one of ['clock_ghz', 'core_area_mm2', "
     "'defect_density_per_cm2', 'edge_cores', 'spare_cores_per_die', 'die_link_cycles', "
     "'die_crossings_per_way', 'hops_per_block_side', 'busiest_link_flits'], not 'greedy'"))])
def test_refused(call, message):
    with pytest.raises(OuroborosError) as error:
        call()
    assert str(error.value) == message


def test_command(tmp_path):
    path = tmp_path / "wafer.json"
    result = CliRunner().invoke(wafer, ["--context", "2048", "--clock-ghz", "0.8", "--set",
                                        "die_link_cycles=40", "--json", str(path)])
    assert result.exit_code == 0, result.output
    found = json.loads(path.read_text())
    values = {a["name"]: a["value"] for a in found["assumptions"]}
    assert (values["clock_ghz"], values["die_link_cycles"]) == (0.8, 40)
    assert all(a["source"] for a in found["assumptions"])
    assert found["sequences"] == 32


MAPPED = {"instance": "llama-13b on wafer", "links": {"busiest_bytes": 450.5 * 32}}
RELIEVED = {"instance": "llama-13b on wafer", "busiest_bytes": 450.5 * 32}


@pytest.mark.parametrize("command", ["map", "relieve"])
def test_command_with_a_placement(tmp_path, command):
    mapped, path = tmp_path / "m.json", tmp_path / "wafer.json"
    mapped.write_text(json.dumps(MAPPED if command == "map" else RELIEVED))
    result = CliRunner().invoke(wafer, ["--mapped", str(mapped), "--json", str(path)])
    assert result.exit_code == 0, result.output
    found = json.loads(path.read_text())
    assert (found["interval_cycles"], found["interval_binds"]) == (451, "busiest link of mesh")
    values = {a["name"]: a for a in found["assumptions"]}
    assert values["busiest_link_flits"]["value"] == 450.5
    assert str(mapped) in values["busiest_link_flits"]["source"]


@pytest.mark.parametrize(("content", "arguments", "message"), [
    ("nothing", [], "must be the JSON file of ouroboros map or relieve ("),
    ("[]", [], "must have the keys 'instance' and 'busiest_bytes'"),
    (json.dumps({"busiest_bytes": 3}), [], "must have the keys 'instance' and 'busiest_bytes'"),
    (json.dumps(RELIEVED | {"busiest_bytes": -1}), [],
     "key 'busiest_bytes' must be a number of at least 0, not -1"),
    (json.dumps(MAPPED), ["--model", "llama-7b"],
     ("key 'instance' must be 'llama-7b on wafer', the tiles of the wafer model, not "
      "'llama-13b on wafer'")),
    (json.dumps(RELIEVED | {"instance": "llama-13b on die"}), [],
     "key 'instance' must be 'llama-13b on wafer'"),
    (json.dumps(MAPPED), ["--set", "busiest_link_flits=3"],
     "busiest_link_flits must be given by name or by the file of a placement, not both")])
def test_bad_placements(tmp_path, content, arguments, message):
    (tmp_path / "m.json").write_text(content)
    result = CliRunner().invoke(cli, ["wafer", "--mapped", str(tmp_path / "m.json"), *arguments])
    assert result.exit_code == 2
    assert message in result.stderr and result.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--model", "gpt-9"], ["--machine", "huge"],
                                       ["--set", "clock_ghz"]])
def test_command_refuses_in_a_sentence(arguments):
    result = CliRunner().invoke(cli, ["wafer", *arguments])
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
