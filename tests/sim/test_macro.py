import json
import re
from pathlib import Path
from typing import Any

import pytest

from ouroboros.hw.params.machine import CONFIGS, load_machine
from ouroboros.tb.cim.macro_pair import pair_sources
from ouroboros.tb.flow.build import SIMULATORS, simulate

COMMANDS = {"tiny": 150, "small": 60}
ODD = {
    "one_group": "rows = 8, outputs = 4, active_rows = 8",
    "one_row": "rows = 16, outputs = 4, active_rows = 1",
    "one_group_a_word": "rows = 64, outputs = 8, active_rows = 16",
    "kv_rich": "rows = 2048, outputs = 8, active_rows = 16, k_write_rows_per_cycle = 8",
    "two_rows_written": "rows = 64, outputs = 16, active_rows = 8, k_write_rows_per_cycle = 2",
}


def run(sim: str, machine: str | Path, commands: int, stall: str) -> None:
    simulate("macro_pair", pair_sources(load_machine(str(machine))), sim=sim,
             test_module="ouroboros.tb.cim.bench_macro",
             env={"MACHINE": str(machine), "COMMANDS": str(commands), "STALL": stall})


@pytest.mark.sim
@pytest.mark.parametrize("stall", ["0.0", "0.5"])
@pytest.mark.parametrize("machine", ["tiny", "small"])
@pytest.mark.parametrize("sim", SIMULATORS)
def test_macro_and_twin(sim, machine, stall):
    """Macro, behavioural twin and golden model agree on random commands, writes and stalls."""
    run(sim, machine, COMMANDS[machine] // (5 if sim == "icarus" else 1), stall)


@pytest.mark.sim
@pytest.mark.parametrize("shape", ODD)
def test_odd_sizes(shape, tmp_path):
    """The same where a memory, a mask or a counter has one entry or no bits."""
    config = (CONFIGS / "tiny.toml").read_text()
    path = tmp_path / "odd.toml"
    path.write_text(re.sub(r"(?m)^cim .*$", f"cim = {{ {ODD[shape]} }}", config))
    run("icarus", path, 60, "0.3")


def products(sim: str, machine: str, count: int, masked: int) -> dict[str, Any]:
    """Whole products, and every ``masked``-th number of valid rows and columns (0: none)."""
    found = simulate("macro_pair", pair_sources(load_machine(machine)), sim=sim,
                     test_module="ouroboros.tb.cim.bench_products",
                     env={"MACHINE": machine, "PRODUCTS": str(count), "MASKED": str(masked)})
    measured: dict[str, Any] = json.loads((found.directory / "products.json").read_text())
    print(f"{sim}, {machine}: {measured}")
    return measured


@pytest.mark.sim
@pytest.mark.parametrize(("sim", "count"), [("verilator", 1200), ("icarus", 24)])
def test_products_of_a_tiny_macro(sim, count):
    found = products(sim, "tiny", count, 1)
    assert found["products"] == count
    assert found["token_counts"] == 64 + 16


@pytest.mark.slow
@pytest.mark.sim
@pytest.mark.parametrize("active", [16, 32])
def test_products_of_a_kv_rich_macro(active, tmp_path):
    """2048 x 128 of the dies that ouroboros search wafer picks: twice the rows of the paper's."""
    config, path = (CONFIGS / "die.toml").read_text(), tmp_path / "rich.toml"
    path.write_text(re.sub(r"(?m)^cim .*$", "cim = { rows = 2048, outputs = 128, active_rows = "
                           f"{active}, k_write_rows_per_cycle = {active} }}", config))
    found = products("verilator", str(path), 400, 1)
    assert (found["products"], found["cycles_per_product"]) == (400, 8 * 2048 // active)


@pytest.mark.slow
@pytest.mark.sim
def test_products_of_the_paper_s_macro():
    """1024 x 128: a product every 256 cycles, for every kind of operands and number of tokens."""
    found = products("verilator", "die", 10_000, 1)
    assert (found["products"], found["cycles_per_product"]) == (10_000, 256)
    assert found["token_counts"] == 1024 + 128
