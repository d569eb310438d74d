"""Figures that pages show in tables are those that the code gives today."""

from pathlib import Path

import pytest

from ouroboros.sw.api.wafer.energy import EnergyOptions, energy_of_model
from ouroboros.sw.api.wafer.experiments import ExperimentOptions, run_experiments
from ouroboros.sw.api.wafer.wafer import EstimateOptions, estimate_wafer
from ouroboros.sw.lib.quantities import CORNERS

ROOT = Path(__file__).parents[2]


def rows(page: str, head: str) -> list[list[str]]:
    """Cells of the table of a page whose head line begins so."""
    lines = iter((ROOT / "docs" / page).read_text(encoding="utf-8").splitlines())
    for line in lines:
        if line.startswith(head):
            break
    else:
        raise AssertionError(f"{page} has no table {head!r}")
    next(lines)
    found = []
    for line in lines:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


@pytest.mark.parametrize("model", ["llama-13b", "llama-3-8b"])
def test_one_block(model):
    found = estimate_wafer(EstimateOptions(model=model)).as_dict()
    shown = {row[0]: row[2] for row in rows("performance.md", f"| {model} | before")}
    now = {"cores for weights": f"{found['cores']['weights']:,}",
           "members, KV cores": f"{found['cores']['kv_members_per_head']}, "
                                f"{found['cores']['kv']:,}",
           "KV tokens, sequences": f"{found['kv_tokens']:,}, {found['sequences']:,}",
           "latency, cycles": f"{found['latency_cycles']:,}",
           "interval, cycles": f"{found['interval_cycles']:,}",
           "decode, tokens/s": f"{found['decode_tokens_per_s']:,.0f}",
           "prefill, tokens/s": f"{found['prefill_tokens_per_s']:,.0f}",
           "busiest link, flits": f"{found['busiest_link']['flits']:,}"}
    assert shown and shown == {name: now[name] for name in shown}


@pytest.fixture(scope="module")
def energy():
    return energy_of_model(EnergyOptions())


def test_energy_by_kind(energy):
    split = {corner: energy.split(corner)["decoded"].as_dict() for corner in CORNERS}
    names = {"rows of macros read": "array", "products and sums": "mac", "buffers": "buffers",
             "writes of K and V": "kv_write", "routers and links": "noc",
             "die borders": "die_links", "H-trees": "htree"}
    shown = {row[0]: row[1:] for row in rows("energy.md", "| mJ of a decoded token")}
    for name, kind in names.items():
        assert shown[name] == [f"{1e3 * split[corner][kind]:.2f}" for corner in CORNERS]
    assert shown["total"] == [f"{1e3 * split[corner]['total']:.1f}" for corner in CORNERS]


def test_energy_of_a_row_read(energy):
    table = {f"{row['pj_per_row']:,.0f}" if row["pj_per_row"] > 100 else
             f"{row['pj_per_row']:.1f}": row for row in energy.row_reads()}
    for cells in rows("energy.md", "| pJ a row of 128 bytes"):
        row = table[cells[0]]
        mj = 1e3 * row["joules_per_decoded_token"]
        assert cells[1:] == [
            row["what"], f"{mj:.0f}" if mj > 100 else f"{mj:.1f}",
            f"{100 * row['array_share']:.0f}", f"{row['tokens_per_s']:,.0f}",
            f"{row['joules_per_token']:.3f}"]


def test_power():
    found = energy_of_model(EnergyOptions(context=480, prompts=1.06, clocks=(0.2, 1.0)))
    table = {(row["clock_ghz"], row["cap_w"]): row for row in found.powers("mid")}
    for clocks, cap, *figures in rows("energy.md", "| clock, GHz | cap, kW"):
        for clock in clocks.split(", or "):
            row = table[float(clock), float(cap) * 1e3 if cap else None]
            assert figures == [f"{row['watts'] / 1e3:.1f}", f"{row['tokens_per_s']:,.0f}",
                               f"{row['joules_per_token']:.3f}"]


@pytest.mark.slow
def test_the_paper_s_table():
    """Each figure of the page's three tables; results lie in the cache, by digest."""
    [done] = run_experiments(ExperimentOptions(names=("paper",)))
    found = {row.what: row for row in done.finding.rows}
    mixes = ("chat", "512:512", "2048:128", "128:128", "128:2048")
    for model, *cells in rows("experiments.md", "| gain / gain of llama-13b"):
        line = [found[f"gain of {model} / gain of llama-13b, {mix}"] for mix in mixes]
        assert cells == [*(f"{row.ours:.2f}" for row in line), f"{line[0].paper:.2f}"]
    for model, *cells in rows("experiments.md", "| gain over the DGX"):
        watts = "11.2" if model == "llama-65b" else "5.6"
        line = [*(found[f"{model}: tokens/s over DGX at {ghz} GHz"] for ghz in ("0.25", "0.5", 1)),
                *(found[f"{model}: the same within {watts} kW, {corner} energies"]
                  for corner in CORNERS)]
        assert cells == [*(f"{row.ours:.1f}" for row in line), f"{line[0].paper:.1f}"]
    for system, *cells in rows("experiments.md", "| change, %"):
        way = "100% of full power" + ("" if system == "wse2" else " while busy")
        line = [found[f"13B: energy of a token against {system}, {way}, {corner} energies, %"]
                for corner in CORNERS]
        assert cells == [*(f"{row.ours:+.0f}" for row in line), f"{line[0].paper:+.0f}"]
