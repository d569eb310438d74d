"""Energy of whole models: powers and shares that add up, caps, the sweep, the command."""

import json

import pytest
from click.testing import CliRunner

from ouroboros.sw.api.wafer.energy import EnergyOptions, energy_of_model
from ouroboros.sw.cli.main import cli
from ouroboros.sw.cli.wafer.energy import energy
from ouroboros.sw.lib.quantities import CORNERS


@pytest.fixture(scope="module")
def model():
    return energy_of_model(EnergyOptions(members=4, recomputed=0.2, prompts=2.0))


def test_prompts_and_recomputed_tokens(model):
    """Three tokens are useful for each generated one; a fifth of all is not."""
    for corner in CORNERS:
        split = model.split(corner)
        assert split["recomputed"].total == pytest.approx(0.75 * split["prompt"].total)
        assert split["output"].total == pytest.approx(
            split["decoded"].total + 2.75 * split["prompt"].total)


def test_powers_add_up_and_caps_hold(model):
    for corner in CORNERS:
        each, leakage = model.split(corner)["output"].total, model.leakage_w(corner)
        for row in model.powers(corner):
            assert row["watts"] == pytest.approx(leakage + each * row["tokens_per_s"])
            assert row["cap_w"] is None or row["watts"] <= max(row["cap_w"], leakage) * (1 + 1e-9)
            assert 0 < row["throttled"] <= 1
            assert row["joules_per_token"] * row["tokens_per_s"] == pytest.approx(row["watts"])


def test_a_cap_throttles(model):
    rows = {(row["clock_ghz"], row["cap_w"]): row for row in model.powers("mid")}
    assert rows[1.0, 5600.0]["throttled"] < 1
    assert rows[1.0, 5600.0]["watts"] == pytest.approx(5600)
    assert rows[1.0, 5600.0]["tokens_per_s"] <= rows[1.0, 15000.0]["tokens_per_s"] <= rows[
        1.0, None]["tokens_per_s"]


def test_leakage_above_the_cap():
    found = energy_of_model(EnergyOptions(members=4, caps=(100.0,), clocks=(1.0,)))
    capped = found.powers("mid")[1]
    assert (capped["tokens_per_s"], capped["joules_per_token"]) == (0, None)


def test_rate_is_the_wafer_s(model):
    wafer = model.wafer
    assert model.rate(1.0) == pytest.approx(
        min(wafer.decode_tokens_per_s, wafer.prefill_tokens_per_s / 3.75))
    assert model.rate(0.5) == pytest.approx(model.rate(1.0) / 2)


def test_the_sweep_rises_and_passes_the_figure_that_counts(model):
    rows = model.row_reads()
    figures = [row["pj_per_byte"] for row in rows]
    assert figures == sorted(figures)
    assert figures[0] == pytest.approx(0.00896) and figures[-1] == 12.7
    for key in ("joules_per_decoded_token", "array_share", "joules_per_token"):
        values = [row[key] for row in rows]
        assert values == sorted(values)
    mid = next(row for row in rows if row["what"] == "SRAM read, mid")
    assert mid["joules_per_decoded_token"] == pytest.approx(model.split("mid")["decoded"].total)
    assert mid["pj_per_row"] == pytest.approx(2.6 * 128)


def test_bit_planes_cost_more():
    once, each = (energy_of_model(EnergyOptions(members=4, bit_planes=planes)).split("mid")
                  for planes in (False, True))
    assert each["decoded"].array == pytest.approx(8 * once["decoded"].array)
    assert each["decoded"].mac == once["decoded"].mac


def test_command(tmp_path):
    out = tmp_path / "e.json"
    shown = CliRunner().invoke(energy, ["--members", "4", "--json", str(out), "-v"])
    assert shown.exit_code == 0, shown.output
    found = json.loads(out.read_text())
    for corner in CORNERS:
        parts = dict(found["corners"][corner]["decoded"])
        total = parts.pop("total")
        assert sum(parts.values()) == pytest.approx(total)
    mid = found["corners"]["mid"]["decoded"]["total"]
    assert f"{1e3 * mid:,.1f} mJ a generated token's pass" in shown.output
    assert "SRAM read, mid" in shown.output and "FlooNoC" in shown.output


@pytest.mark.parametrize("options, words", [
    (["--context", "0"], "context must be at least 1, not 0"),
    (["--model", "bert-large"], "kind of model 'bert-large' must be 'decoder'"),
    (["--recomputed", "1"], "recomputed must be 0 to 0.99, not 1.0"),
    (["--cap", "0"], "cap"), (["--technology", "absent.toml"], "absent.toml")])
def test_refusals(options, words):
    shown = CliRunner().invoke(cli, ["energy", *options])
    assert shown.exit_code == 2
    assert words in shown.output
    assert shown.output.count("\n") <= 4
