"""Requests on the wafer with pools: rates of the closed form, contexts that nothing else serves."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.cli.main import cli
from ouroboros.sw.models.shape import load_shape
from ouroboros.sw.tier.edge import Edge, Wafers
from ouroboros.sw.tier.edge_service import pooled_service
from ouroboros.sw.tier.pool_side import Pools
from ouroboros.sw.wafer.cores import WaferOptions
from ouroboros.sw.wafer.requests import Requests, of_lengths


def serve(ddr4, prompts, outputs, pools=1, model="llama-33b", longest=None, **more):
    shape = load_shape(model)
    asked = Requests(np.zeros(len(prompts)), np.array(prompts), np.array(outputs), "own")
    own = Pools(model=shape, technology=ddr4[0], pools=pools)
    return pooled_service(load_machine("wafer"), shape, WaferOptions(), asked, longest, own,
                          **more).serve(asked)


def steady(made, hz=1e9, first=0, least=12):
    """Tokens/s from when the first request of those from ``first`` on has ended until so many
    sequences are left.
    """
    cycles, alive = made.column("cycle"), made.column("sequences")
    at = np.flatnonzero((cycles >= made.end[first:].min()) & (alive >= least))[[0, -1]]
    tokens, cycles = made.column("generated")[at], cycles[at]
    return (tokens[1] - tokens[0]) / (cycles[1] - cycles[0]) * hz


@pytest.mark.long
@pytest.mark.parametrize("pools", [1, 2])
def test_a_pool_adds_what_the_closed_form_says(ddr4, pools):
    """Decode at 1,024 tokens of context, on average, of sequences longer than the wafer's room."""
    wafers = Wafers(load_machine("wafer"), load_shape("llama-33b"))
    edge = Edge(wafers=wafers, technology=ddr4[0], pools=pools)
    rate, count = wafers.rate(1024)
    alone = serve(ddr4, [1] * count, [1000] * count, pools=0, longest=1024)
    more = 48 * pools
    both = serve(ddr4, [1] * (count + more), [1000] * count + [2047] * more, pools=pools,
                 longest=1024)
    assert both.served.all() and both.on_wafer.sum() == count
    assert both.end[:count].max() < both.end[count:].min()
    gain = steady(both, first=count, least=12 * pools)
    assert gain == pytest.approx(edge.whole(1024).tokens_per_s, rel=0.05)
    assert gain / rate == pytest.approx(edge.ratio(1024), rel=0.05)
    # Those on the wafer hardly notice.
    assert both.end[:count].max() == pytest.approx(alone.end.max(), rel=0.05)


@pytest.mark.long
def test_a_faster_pool_in_staggered_banks_and_other_clocks(ddr4):
    shape, asked = load_shape("llama-33b"), of_lengths("1:3000", 40)
    rates = {}
    for banks in ("lockstep", "staggered"):
        own = pooled_service(load_machine("wafer"), shape, WaferOptions(), asked, 1024, Pools(
            model=shape, technology=ddr4[0], pools=1, banks=banks))
        rates[banks] = steady(own.serve(asked))
        # Pools keep their pace in seconds at any clock of the wafer, and they bind at either.
        for name in ("hold", "fixed", "way", "port", "move"):
            assert getattr(own.times(0.5e9), name) == pytest.approx(
                getattr(own.times(1e9), name) / 2)
        assert steady(own.serve(asked, clock_hz=0.5e9), 0.5e9) == pytest.approx(
            rates[banks], rel=0.05)
    assert rates["staggered"] / rates["lockstep"] == pytest.approx(0.904 / 0.825, rel=0.02)


def command(*arguments):
    return CliRunner().invoke(cli, ["wafer", "--model", "llama-33b", *arguments])


@pytest.mark.long
def test_command(tmp_path):
    out, picture = tmp_path / "out.json", tmp_path / "where.svg"
    result = command("--lengths", "9000:20", "--requests", "3", "--pools", "2",
                     "--json", str(out), "--plot", str(picture))
    assert result.exit_code == 0, result.output
    found = json.loads(out.read_text())
    assert found["requests"] == 3 and found["pools"]["beyond_wafer"] == 3
    assert found["pools"]["tokens_computed"] == 3 * 9019 and 0 < found["pools"]["banks_busy"] <= 1
    assert picture.read_text().startswith("<?xml") and "ouroboros wafer --pools" in (
        picture.read_text())


@pytest.mark.parametrize(("arguments", "message"), [
    (["--lengths", "32000:200"], "context must be at most 8192 tokens"),
    (["--lengths", "3000000:1", "--requests", "2", "--pools", "1"],
     "tokens of a request must be at most 2,753,184 (1 pools of 2048 GiB, policy 'sequences'; "),
    (["--lengths", "5:5", "--pools", "473"], "pools must be 0 to 472"),
    (["--lengths", "5:5", "--banks", "staggered"], "--banks needs pools: give --pools N"),
    (["--lengths", "5:5", "--pools", "1", "--grain", "sequence"],
     "grain must be token with pools, not sequence"),
    (["--lengths", "5:5", "--pools", "1", "--static-tokens", "64"],
     "static_tokens must be 0 with pools, not 64"),
    (["--lengths", "5:5", "--pools", "1", "--pool-share", "1"],
     "pool_share must lie between 0 and 1, not 1"),
    (["--pools", "1"], "--pools needs requests: give --trace or --lengths")])
def test_command_refuses(arguments, message):
    result = command(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr and result.stderr.count("\n") == 1, result.output
