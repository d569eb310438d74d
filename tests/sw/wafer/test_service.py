"""Models on the wafer: their chains, every finish time on real traces, events, the command."""

import csv
import json
from collections import Counter

import numpy as np
import pytest
from click.testing import CliRunner

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.block.latency import walk_graph
from ouroboros.sw.cli.main import cli
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.models.config_shape import config_shape
from ouroboros.sw.models.shape import load_shape
from ouroboros.sw.perf.events import unit_events
from ouroboros.sw.program.image import Token
from ouroboros.sw.wafer.attention import attention_times, head_of
from ouroboros.sw.wafer.blocks import KINDS, LayerWays, model_chain
from ouroboros.sw.wafer.cores import WaferOptions
from ouroboros.sw.wafer.counts import run_events, token_events
from ouroboros.sw.wafer.estimate import Wafer
from ouroboros.sw.wafer.plan import make_plan
from ouroboros.sw.wafer.requests import Requests, of_lengths, read_trace
from ouroboros.sw.wafer.run import Run, run
from ouroboros.sw.wafer.service import Service, service
from ouroboros.tests.conftest import DATA

TRACES = DATA / "traces"
CONTEXT = 2048
MODELS = {"llama-13b": 6, "llama-7b": 4, "llama-3-8b": 8}
FOUND: dict[str, Wafer] = {}


def wafer(name="llama-13b", context=CONTEXT):
    key = f"{name} {context}"
    if key not in FOUND:
        FOUND[key] = Wafer(load_machine("wafer"), load_shape(name), WaferOptions(context=context),
                           MODELS[name])
    return FOUND[key]


def requests(name, count):
    if name == "drawn":
        rng = np.random.default_rng(5)
        return Requests(np.cumsum(rng.exponential(0.0005, count)), rng.integers(1, 900, count),
                        rng.integers(1, 300, count), name)
    path = TRACES / f"azure2023_{name}.csv"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    found = read_trace(path, count)
    return Requests(found.arrivals_s / 500, found.prompts, found.outputs, found.name)


def test_latency_is_that_of_the_walk():
    """A token that never waits takes what the graph's walk says, at sampled contexts exactly."""
    found = wafer()
    chain = model_chain(found)
    assert len(chain.cells) == 1 + 40 * len(KINDS) + 1 + 2
    result = {context: walk_graph(found.graph, Token(context - 1), found.way_cycles).result
              for context in (1, 2, 128, 129, 1024, CONTEXT)}
    assert chain.latency(CONTEXT) == found.latency_cycles
    for context, cycles in result.items():
        # Two blocks are walked, and only attention differs.
        assert chain.latency(CONTEXT) - chain.latency(context) == 20 * (result[CONTEXT] - cycles)


def test_attention_between_samples():
    """Straight lines are near what is walked."""
    found = wafer("llama-7b")
    graph = found.graph
    head = head_of(graph, {key: one.end for key, one in found.walk.stages.items()})
    table = attention_times(graph, head, CONTEXT, found.way_cycles)
    shift = None
    for context in (CONTEXT, 77, 300, 1000, 1500, 1999):
        walk = walk_graph(graph, Token(context - 1), found.way_cycles).stages
        ends = {kind: max(walk[s.key].end for s in graph.stages
                          if s.info.layer == 1 and found.kind(s) == kind)
                for kind in ("QKV", "attention, home")}
        way = ends["attention, home"] - ends["QKV"]
        shift = way - table.way[context] if shift is None else shift
        assert abs(way - shift - table.way[context]) <= 16


@pytest.mark.long
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("trace", ["conv", "code", "drawn"])
def test_every_finish_time_is_that_of_all_cells(model, trace):
    """Pruned is full, with blocks that are alike and with blocks that are not."""
    asked = requests(trace, 60)
    keep = asked.prompts + asked.outputs <= CONTEXT
    asked = Requests(asked.arrivals_s[keep], asked.prompts[keep], asked.outputs[keep], trace)
    found = Service(wafer(model))
    rng = np.random.default_rng(11)
    layers = {layer: LayerWays({kind: int(rng.integers(-90, 300)) for kind in ("QKV", "down")},
                               {kind: int(rng.integers(-30, 60)) for kind in ("QKV", "projection")})
              for layer in range(found.wafer.shape.n_layers)}
    differing = model_chain(found.wafer, layers)
    for chain in (found.chain, differing):
        exact, full = (run(chain, found.rules, asked.at(1e9), mode=mode)
                       for mode in ("exact", "full"))
        assert np.array_equal(exact.end, full.end) and np.array_equal(exact.first, full.first)
        assert exact.nodes < full.nodes
    exact, fast = (run(found.chain, found.rules, asked.at(1e9), mode=mode)
                   for mode in ("exact", "fast"))
    assert fast.nodes < exact.nodes
    # What binds binds most in the first block or in the last, both of which are followed.
    assert np.abs(fast.end / exact.end - 1).max() < 0.0075
    assert abs(fast.end.max() / exact.end.max() - 1) < 0.0003
    with pytest.raises(OuroborosError, match="mode must be exact or full where blocks differ, as "):
        run(differing, found.rules, asked.at(1e9), mode="fast")


def test_few_nodes_are_left():
    """Link and projection of every block, and no windows but the first."""
    plan = make_plan(Service(wafer()).chain)
    assert plan.short.count < 2 * 40 + 5 and plan.limit >= CONTEXT


def test_events_are_those_of_the_units():
    """13.27e9 products a token at context 1,024, by hand."""
    found = wafer()
    one = token_events(found)
    weights = 40 * (4 * 5120 ** 2 + 3 * 5120 * 13824) + 32000 * 5120
    keys = 2 * 40 * 5120 * 1024
    assert one.at(1024).macs == pytest.approx(weights + keys, rel=0.01)
    assert one.at(1024).kv_bytes_written == 40 * 5120
    assert one.at(1024).array_group_cycles == 8 * one.at(1024).array_reads
    # K and V of a whole block more: 4 groups of 128 columns and 4 of 128 rows, 1,600 heads.
    assert (one.at(1024 + 128) + one.at(1024) * -1).array_reads == 1600 * (4 + 4)
    # Other contexts, head by head.
    heads = [stage for stage in found.graph.stages
             if stage.kv is not None and not stage.info.layer]
    for context in (2, 127, 128, 129, 300, 1500):
        more, base = (sum((unit_events(found.machine, stage.costed(), Token(c - 1))
                           for stage in heads), Counter()) for c in (context, 1))
        found_more = one.at(context) + one.at(1) * -1
        assert found_more.sfu_elements == 40 * (more["sfu_elements"] - base["sfu_elements"])
        assert found_more.array_group_cycles == 40 * (
            more["array_group_cycles"] - base["array_group_cycles"])
    made: Run = Service(found).serve(of_lengths("100:30", 20))
    total = run_events(found, made)
    # Tokens of prompts have no head.
    by_hand = sum((one.at(c) * int(n) for c, n in enumerate(made.by_context) if n),
                  one.head * (600 - 20 * 129))
    assert total.macs == by_hand.macs and total.sfu_elements == by_hand.sfu_elements
    assert total.flit_hops == by_hand.flit_hops
    assert (total.tokens, total.tokens_out) == (20 * 129, 600)
    assert total.cycles == made.cycles


def test_decode_is_that_of_the_estimate():
    """So many sequences that latency binds: the estimate's decode, all tokens at one context."""
    found = Wafer(load_machine("wafer"), load_shape("llama-13b"), WaferOptions(context=512), 6)
    made = Service(found).serve(of_lengths("256:256", 40))
    rate = 40 * 256 / (made.cycles / 1e9)
    at_400 = Wafer(load_machine("wafer"), load_shape("llama-13b"), WaferOptions(context=400), 6)
    prefill = 40 * 256 * at_400.interval_cycles / 1e9
    expected = 40 * 256 / (256 * at_400.latency_cycles / 1e9 + prefill)
    assert rate == pytest.approx(expected, rel=0.02)


def test_a_clock_scales_and_links_do_not_slow():
    shape, machine = load_shape("llama-7b"), load_machine("wafer")
    asked = of_lengths("200:50", 60)
    ends = []
    for share in (0.2, 0.1, 0.05, 0):
        found = service(machine, shape, WaferOptions(
            members=4, overrides={"busiest_link_share": share}), asked, None)
        ends.append(found.serve(asked).cycles)
    assert ends == sorted(ends, reverse=True) and ends[0] > ends[-1]


def test_the_context_sets_the_programs():
    asked = of_lengths("1000:100", 3)
    found = service(load_machine("wafer"), load_shape("llama-13b"), WaferOptions(members=2), asked,
                    None)
    assert found.wafer.context == 1152 and found.rules.context == 1152
    # Longer than two members' page tables: refused and counted.
    long = Requests(np.zeros(2), np.array([100, 20_000]), np.array([5, 5]), "two")
    made = service(load_machine("wafer"), load_shape("llama-13b"), WaferOptions(members=2), long,
                   None).serve(long)
    assert made.served.tolist() == [True, False] and made.generated.tolist() == [5, 0]


def command(*arguments):
    return CliRunner().invoke(cli, ["wafer", "--members", "4", "--model", "llama-7b", *arguments])


def test_command(tmp_path):
    outputs = []
    for n in range(2):
        out, rows = tmp_path / f"{n}.json", tmp_path / f"{n}.csv"
        result = command("--lengths", "60:20", "--requests", "30", "--rate", "2000", "--seed", "3",
                         "--json", str(out), "--csv", str(rows), "-v")
        assert result.exit_code == 0, result.output
        outputs.append((out.read_bytes(), rows.read_bytes()))
    assert outputs[0] == outputs[1]
    page = tmp_path / "page.html"
    result = command("--lengths", "60:20", "--requests", "10", "--report", str(page))
    assert result.exit_code == 0 and "What binds" in page.read_text(), result.output
    found = json.loads(outputs[0][0])
    assert found["requests"] == 30 and found["output_tokens"] == 600
    assert found["prompt_tokens"] == 1800 and found["requests_refused"] == 0
    assert [one["clock_ghz"] for one in found["by_clock"].values()] == [0.25, 0.5, 1.0]
    assert all(0 < share <= 1 for share in found["utilisation"].values())
    assert found["events"]["tokens"] == 30 * 79
    with (tmp_path / "0.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 30 and all(float(line["ttft_s"]) < float(line["e2e_s"]) for line in lines)
    assert "output tokens/s at 1 GHz" in result.output


def test_command_finds_a_rate():
    result = command("--lengths", "60:20", "--requests", "40", "--rate", "100", "--find-rate",
                     "--ttft-ms", "0.4")
    assert result.exit_code == 0, result.output
    assert "highest rate: " in result.output


@pytest.mark.parametrize(("arguments", "message"), [
    (["--lengths", "5:5", "--trace", "x.csv"],
     "requests must be those of --trace or of --lengths, one of the two"),
    (["--rate", "x2"], "--rate needs requests: give --trace or --lengths"),
    (["--cap", "5600"], "--cap needs requests: give --trace or --lengths"),
    (["--lengths", "5:5", "--technology", "absent.toml"], "absent.toml"),
    (["--wafers", "33"], "wafers must be 1 to 32, the blocks of model 'llama-7b', not 33"),
    (["--wafers", "20"], "wafers must be 16 for 2 of 32 blocks on each, not 20"),
    (["--lengths", "5:5", "--find-rate", "--ttft-ms", "1"],
     "a rate is searched from one that requests have: give --trace or --rate N"),
    (["--lengths", "5:5", "--longest", "40000"], "context must be at most 32768 tokens"),
    (["--lengths", "5:5", "--longest", "64", "--static-tokens", "65"],
     "static tokens must be at most 64, the context of the programs, not 65")])
def test_command_refuses(arguments, message):
    result = command(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr and result.stderr.count("\n") == 1


def test_shape_of_a_config(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    path = folder / "config.json"
    path.write_text(json.dumps({
        "model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008,
        "num_hidden_layers": 32, "num_attention_heads": 32, "vocab_size": 32000,
        "max_position_embeddings": 4096}))
    found, known = config_shape(path), load_shape("llama-7b")
    assert found.name == "mine" and found.weight_bytes == known.weight_bytes
    result = CliRunner().invoke(cli, ["wafer", "--model", str(path), "--members", "2"])
    assert result.exit_code == 0, result.output
    path.write_text("{}")
    result = CliRunner().invoke(cli, ["wafer", "--model", str(path)])
    assert result.exit_code == 2 and "model_type must be one of" in result.stderr
