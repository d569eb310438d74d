import json
import re

import pytest

from ouroboros.hw.kv.manager import KvManager
from ouroboros.hw.lib.library import Library
from ouroboros.hw.params.machine import CONFIGS, load_machine
from ouroboros.tb.flow.build import SIMULATORS, simulate
from ouroboros.tb.kv.player import player_sources

KINDS = {"illegal", "free", "found", "absent", "appended", "new", "pages out", "K out", "V out"}
SHARING = {"shared", "not shared", "no page to share"}


@pytest.mark.sim
@pytest.mark.parametrize("stall", ["0.0", "0.5"])
@pytest.mark.parametrize("machine", ["tiny", "small"])
@pytest.mark.parametrize("sim", SIMULATORS)
def test_random_commands(sim, machine, stall):
    """Look-ups, appends and frees, back to back, until blocks run out and after."""
    params, library = load_machine(machine), Library()
    library.define("kv_manager", lambda: KvManager(params), params=params)
    simulate("kv_manager", library.sources(), sim=sim, test_module="ouroboros.tb.kv.bench_manager",
             env={"MACHINE": machine, "COMMANDS": "400", "ROUND": "100", "STALL": stall})


@pytest.mark.sim
@pytest.mark.parametrize("shares", [False, True])
@pytest.mark.parametrize(("operations", "stall"), [
    (15_000, "0.0"), pytest.param(1_000_000, "0.1", marks=pytest.mark.slow)])
def test_a_ledger_of_owners_and_tokens(operations, stall, shares, tmp_path):
    """Sequences grow, are read, evicted, share blocks, until K, V or pages run out, and after."""
    path = tmp_path / "odd.toml"
    path.write_text(re.sub(
        r"(?m)^kv .*$", "kv = { sequences = 6, heads = 3, blocks = 5, pages = "
        + ("12, shares = true }" if shares else "9 }"),
        (CONFIGS / "tiny.toml").read_text()))
    params = load_machine(str(path))
    found = simulate("kv_player", player_sources(params), sim="verilator",
                     test_module="ouroboros.tb.kv.bench_operations",
                     env={"MACHINE": str(path), "OPERATIONS": str(operations), "ROUND": "1000",
                          "STALL": stall})
    replies = json.loads((found.directory / "operations.json").read_text())
    print(replies)
    assert sum(replies.values()) == operations + operations // 1000 * params.kv.sequences
    assert set(replies) == KINDS | (SHARING if shares else set())
