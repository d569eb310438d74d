"""The wafer model: cores, KV room and stage times against arithmetic by hand."""

import json
import math
from dataclasses import replace

import pytest
from click.testing import CliRunner

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.block.cores import count_cores
from ouroboros.sw.cli.main import cli
from ouroboros.sw.cli.wafer.wafer import wafer
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.mapper.tiles import tile_model
from ouroboros.sw.models.shape import load_shape
from ouroboros.sw.wafer.busiest_link import BusiestLink
from ouroboros.sw.wafer.cores import WaferOptions, WaferPlacement
from ouroboros.sw.wafer.estimate import Wafer
from ouroboros.sw.wafer.members import OBJECTIVES, alternatives, best_members, estimate

WAFER = load_machine("wafer")
FOUND = {}


def model(name="llama-13b", *, context=1024, members=4, **overrides):
    """Equal arguments give the same object: it is made in a second, and not changed."""
    key = name, context, members, tuple(overrides.items())
    if key not in FOUND:
        FOUND[key] = Wafer(load_machine("wafer"), load_shape(name),
                           WaferOptions(context=context, overrides=overrides), members)
    return FOUND[key]


def test_cores_of_13b():
    found = model()
    # QKV, projection, up/gate, down; a norm root after down, two after the projection. The last
    # norm reserves 42 head cores and the argmax, so it has two roots.
    assert found.count.weights == 40 * (20 + 7 + 36 + 21 + 3) + 1 + 42 + 1
    assert found.count.embedding == 20 + 1
    assert found.dead == 42
    assert found.edge == 40
    assert found.count.spares == 4 * 63
    left = 13923 - 42 - 40 - 252 - found.count.weights - 21
    assert found.count.left_for_kv == left == 10044
    # Six cores for each of 1,600 heads.
    assert found.count.most_members == left // 1600 == 6
    assert (found.members, found.count.kv_heads, found.count.kv) == (4, 1, 4 * 40 * 40)


def test_kv_room_of_13b():
    found = model()
    # By bytes: (13,923 x 4 MiB - 12.85e9 of weights) / 409,600.
    assert load_shape("llama-13b").kv_bytes_per_token == 409_600
    weights = 40 * (4 * 5120 ** 2 + 3 * 5120 * 13824) + 32000 * 5120
    assert found.kv_tokens_by_bytes == (13923 * 2 ** 22 - weights) // 409_600 == 111_195
    # A KV core holds 16 macros x 8 blocks x 128 tokens of one head; four members do 65,536.
    assert found.kv_tokens == 4 * 16 * 8 * 128
    assert found.kv_tokens < found.kv_tokens_of_cores_left < found.kv_tokens_by_bytes
    assert found.kv_tokens_of_cores_left == 65536 * 10044 // 6400
    assert found.sequences == 64
    # Without a ring too: 8 blocks are two in each member. 9 are three in the first of them.
    for ring, context, sequences in ((False, 1024, 64), (False, 1152, 42), (True, 1152, 56)):
        machine = replace(WAFER, kv=replace(WAFER.kv, ring=ring))
        placed = WaferPlacement(machine, load_shape("llama-13b"), WaferOptions(context=context), 4)
        assert placed.sequences == sequences
    # A member's page table has 64 blocks of a sequence.
    assert found.most_context == 4 * 64 * 128


def test_stage_times_of_13b():
    times = {time.name.strip(): time for time in model().times}
    qkv = times["QKV"].units
    assert qkv["array"] == 32 * 8
    # 20 slices of 256 bytes, 8 flits and a header each, the RoPE row; two heads' members, whose
    # slots it reserves, return credits.
    assert qkv["flits in"] == 20 * 9 + 9 + 2 * 4
    # The next packet of 9 flits waits for the eighth credit of 18 - 10, 6 cycles later.
    assert qkv["multicast"] == 21 * (7 + 6)
    # q, k and v of two heads, 4 flits and a header each; its own slot's credit.
    assert qkv["flits out"] == 6 * 5 + 1
    # A K column is 128 bytes, 32 a cycle.
    assert times["attention, home"].kv_writes == 3 + 128 // 32 + 2 + 8
    # Score: 256 local tokens are 16 beats, 1 to start, 1 for word C; then 9 idle: 3 to the next
    # instruction, 1 to the release, 5 to drop what is left in the tree.
    assert times["score"].units["SFU"] == 16 + 1 + 1 + 9
    # Slices of the down projection: three row slices, so two partial sums of 256 channels go out
    # and come in; 12 or 13 of the 36 up/gate cores have inputs of one.
    assert times["down"].units["send"] == 2 * (1 + 32 + 4) + (1 + 2 + 1) + (1 + 8 + 1) + (
        1 + 16 + 2) + (1 + 8 + 1) + (1 + 8 + 1)
    # Two roots of 32 counters reserve 58 stages, the first 32 of them; the last slice tells both.
    assert times["norm 2"].cores == 2 and times["norm 1"].cores == 1
    assert times["norm 2"].units["flits in"] == 2 + 32
    assert times["norm 1"].units["flits in"] == 21 * 3 + 20 + 7 + 2
    assert times["mesh"].cycles == math.ceil(0.0727 * model().block_flits) == 305


def test_totals_of_13b():
    found = model()
    # The copies of 40 heads' outputs, 4 flits and a header each, of six sums of squares of 2 flits
    # and a header, and of two roots' word that slots are reserved, leave together.
    times = {time.name: time.units for time in found.times}
    assert times["projection"]["multicast"] == 40 * 5 + 6 * 3 + 2 * 2
    assert found.interval_cycles == times["mesh"]["busiest link"] == 305
    assert (found.slowest.name, found.slowest.binds) == ("mesh", "busiest link")
    assert found.prefill_tokens_per_s == pytest.approx(1e9 / 305)
    assert found.prefill_s == pytest.approx((found.latency_cycles + 1023 * 305) / 1e9)
    # 64 sequences are fewer than the tokens that fill the pipeline, so room for KV binds.
    assert found.tokens_to_fill == math.ceil(found.latency_cycles / 305) > 64
    assert found.decode_tokens_per_s == pytest.approx(64e9 / found.latency_cycles)
    assert found.decode_binds == "KV room"


def test_latency_is_the_longest_path():
    """A block's parts are what lies between one block's end and the next one's: all of it."""
    found = model()
    ends = {stage.info.name: found.walk.stages[stage.key].end for stage in found.graph.stages}
    last = {layer: max(end for name, end in ends.items() if name.startswith(f"l{layer}.qkv"))
            for layer in (0, 1)}
    assert sum(found.block_latency.values()) == pytest.approx(last[1] - last[0], abs=20)
    assert found.latency_cycles == found.walk.result + 38 * sum(found.block_latency.values())
    # Up/gate waits for the projection's slices, a way and its own 393 cycles.
    assert found.block_latency["up/gate"] == max(
        ends[f"l1.up.{n}"] for n in range(36)) - max(ends[f"l1.proj.{n}"] for n in range(7))
    # The last slice, which is the smallest, tells the roots before any has its sum of squares.
    assert ends["l0.norm.proj.1"] == ends["l0.norm.proj.0"] < ends["l0.proj.6"]
    assert found.way_cycles == 2 * (found.hops + 1) + 23


@pytest.mark.long
def test_members_for_an_objective():
    machine, shape = load_machine("wafer"), load_shape("llama-3-8b")
    tried = alternatives(machine, shape, WaferOptions())
    # A maker has the first queries of two heads, and 32 counters.
    assert [wafer.members for wafer in tried] == [*range(1, 13), 16]
    found = {objective: best_members(tried, objective) for objective in OBJECTIVES}
    for objective, worth in (("decode", "decode_tokens_per_s"), ("prefill", "prefill_tokens_per_s"),
                             ("room", "kv_tokens")):
        assert getattr(found[objective], worth) == max(getattr(wafer, worth) for wafer in tried)
    assert found["room"].members == 16 and found["room"].kv_tokens == 16 * 16384
    assert found["prefill"].members < found["decode"].members < 16
    # More members are not faster: the home adds up what all of them send.
    assert found["prefill"].prefill_tokens_per_s > 2 * found["room"].prefill_tokens_per_s
    assert found["decode"].decode_tokens_per_s > found["room"].decode_tokens_per_s


def test_members_that_were_asked_for():
    asked, tried = estimate(load_machine("wafer"), load_shape("llama-3-8b"),
                            WaferOptions(members=3))
    assert asked.members == 3 and tried == (asked,)


def test_a_busy_link_binds():
    found = model(busiest_link_share=0.12)
    assert (found.interval_cycles, found.slowest.name) == (
        math.ceil(0.12 * found.block_flits), "mesh")
    assert model(busiest_link_share=0).interval_cycles == 285


@pytest.mark.parametrize(("name", "flit_bits"), [
    ("llama-7b", 128), ("llama-13b", 256), ("llama-13b", 512)])
def test_the_busiest_link_follows_the_flits(name, flit_bits):
    """What a block sends is about the same bytes; narrow flits are more of them.

    (With 128 bits llama-13b would split the inputs of the projection, and exchange sums.)
    """
    machine = load_machine("wafer")
    machine = replace(machine, noc=replace(machine.noc, flit_bits=flit_bits))
    found = Wafer(machine, load_shape(name), WaferOptions(), 2)
    assert found.link_flits == math.ceil(0.0727 * found.block_flits)
    bytes_sent = found.block_flits * flit_bits // 8
    assert bytes_sent == pytest.approx(model(name, members=2).block_flits * 32, rel=0.1)


def test_tables_that_do_not_suffice_are_refused():
    """As the mapper refuses them: 58 receivers are two roots, but members have one owner."""
    machine = load_machine("wafer")
    machine = replace(machine, core=replace(machine.core, program_words=16))
    with pytest.raises(OuroborosError, match=r"program words must be at most 16 on machine "
                                             r"'wafer', not \d+: too many by"):
        assert Wafer(machine, load_shape("llama-13b"), WaferOptions(), 4).times


def test_edge_of_a_smaller_machine():
    """Eight dies of nine: no corner of it leaves the wafer."""
    machine = load_machine("wafer")
    smaller = replace(machine, mesh=replace(machine.mesh, width=8 * 13))
    found = Wafer(smaller, load_shape("llama-13b"), WaferOptions())
    assert (found.edge, found.count.spares) == (0, 4 * 56)


def test_the_busiest_link_of_the_models_own_placement():
    machine, shape = load_machine("wafer"), load_shape("llama-7b")
    digest = tile_model(count_cores(machine, shape, members=2)).digest
    own = BusiestLink(load_bytes=500.25 * 32, instance="llama-7b on wafer", digest=digest,
                      where="m.json")
    found = Wafer(machine, shape, WaferOptions(busiest_link=own), 2)
    assert found.link_flits == 501
    assert found.as_dict()["busiest_link"] == {"flits": 501, "flit_bits": 256, "source": "m.json"}
    # Of three members' tiles it says nothing.
    with pytest.raises(OuroborosError, match=r"m.json: key 'digest' must be .*, that of llama-7b "
                                             r"on wafer with 3 members of a KV head, not "):
        Wafer(machine, shape, WaferOptions(busiest_link=own), 3)


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
     "model must be one of ['baichuan-13b', 'bert-large', 'codellama-34b', 'gpt-175b', "
     "'internlm-20b', 'llama-13b', 'llama-2-70b', "
     "'llama-3-70b', 'llama-3-8b', 'llama-33b', 'llama-65b', 'llama-7b', 'opt-66b', "
     "'qwen-32b', 'qwen2-72b', 't5-11b'] or a path to a .toml file, not 'gpt-9'")),
    (lambda: model("bert-large"), ("kind of model 'bert-large' must be 'decoder' for the wafer "
     "model, not 'encoder': give it inputs, by --lengths N:1 or --trace")),
    (lambda: model("llama-65b"), ("model 'llama-65b' must be at most 13,589 cores (live ones of "
     "machine 'wafer' less 252 spares), not 17,549 with one KV core for every 4 heads: it takes 2 "
     "of them, whole blocks on each")),
    (lambda: model(members=7), ("members must be between 1 and 6 for model 'llama-13b' on machine "
     "'wafer', not 7")),
    (lambda: model(context=40000), ("context must be at most 32768 tokens (all KV that fits beside "
     "llama-13b on machine 'wafer' with 4 members a head), not 40000")),
    (lambda: estimate(load_machine("wafer"), load_shape("llama-13b"), WaferOptions(
        context=50000)), ("context must be at most 49152 tokens (all KV that fits beside "
     "llama-13b on machine 'wafer' with 6 members a head), not 50000")),
    (lambda: estimate(load_machine("wafer"), load_shape("llama-13b"), WaferOptions(
        objective="speed")), ("objective must be one of ('decode', 'prefill', 'room'), not "
     "'speed'")),
    (lambda: model(context=0), "context must be at least 1, not 0"),
    (lambda: model(clock_ghz=math.inf), "clock_ghz must be a positive number, not inf"),
    (lambda: model(clock_ghz=0), "clock_ghz must be a positive number, not 0"),
    (lambda: model(greedy=2), ("assumption must be one of clock_ghz, core_area_mm2, "
     "defect_density_per_cm2, edge_cores, spare_cores_per_die, die_crossings_per_way, "
     "hops_per_block_side, busiest_link_share, wafer_link_gb_s, wafer_link_ns, encoder_copies, "
     "encoder_inputs_waiting, not 'greedy'"))])
def test_refused(call, message):
    with pytest.raises(OuroborosError) as error:
        call()
    assert str(error.value) == message


def test_command(tmp_path):
    path = tmp_path / "wafer.json"
    result = CliRunner().invoke(wafer, ["--context", "2048", "--clock-ghz", "0.8", "--set",
                                        "die_crossings_per_way=2", "--members", "4", "--json",
                                        str(path)])
    assert result.exit_code == 0, result.output
    found = json.loads(path.read_text())
    values = {a["name"]: a["value"] for a in found["assumptions"]}
    assert (values["clock_ghz"], values["die_crossings_per_way"]) == (0.8, 2)
    assert all(a["source"] for a in found["assumptions"])
    assert found["sequences"] == 32


MAPPED = {"instance": "llama-13b on wafer", "digest": "0", "links": {"busiest_bytes": 450.5 * 32}}
RELIEVED = {"instance": "llama-13b on wafer", "digest": "0", "busiest_bytes": 450.5 * 32}


@pytest.mark.parametrize("command", ["map", "relieve"])
def test_command_with_a_placement(tmp_path, command):
    mapped, path = tmp_path / "m.json", tmp_path / "wafer.json"
    digest = tile_model(count_cores(load_machine("wafer"), load_shape("llama-13b"),
                                    members=2)).digest
    mapped.write_text(json.dumps(
        (MAPPED if command == "map" else RELIEVED) | {"digest": digest}))
    result = CliRunner().invoke(wafer, ["--mapped", str(mapped), "--members", "2", "--json",
                                        str(path)])
    assert result.exit_code == 0, result.output
    found = json.loads(path.read_text())
    assert (found["interval_cycles"], found["interval_binds"]) == (451, "busiest link of mesh")
    assert found["busiest_link"]["source"] == str(mapped)
    assert [other["members"] for other in found["alternatives"]] == [2]


@pytest.mark.parametrize(("content", "arguments", "message"), [
    ("nothing", [], "not JSON ("),
    ("[]", [], "must have the keys 'instance', 'digest' and 'busiest_bytes'"),
    (json.dumps({"busiest_bytes": 3}), [],
     "must have the keys 'instance', 'digest' and 'busiest_bytes'"),
    (json.dumps(RELIEVED | {"busiest_bytes": -1}), [],
     "key 'busiest_bytes' must be a number of at least 0, not -1"),
    (json.dumps(MAPPED), ["--model", "llama-7b", "--members", "2"],
     ("key 'instance' must be 'llama-7b on wafer', the tiles of the wafer model, not "
      "'llama-13b on wafer'")),
    (json.dumps(RELIEVED | {"instance": "llama-13b on die"}), ["--members", "2"],
     "key 'instance' must be 'llama-13b on wafer'"),
    (json.dumps(MAPPED), ["--set", "busiest_link_share=3", "--members", "2"],
     "busiest_link_share must be given by name or by the file of a placement, not both"),
    (json.dumps(MAPPED), ["--members", "2"], "place these tiles by ouroboros map --members 2")])
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
