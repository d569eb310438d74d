import pytest

from ouroboros.hw.kv.manager import KvManager
from ouroboros.hw.lib.library import Library
from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.flow.build import SIMULATORS, simulate


@pytest.mark.sim
@pytest.mark.parametrize("stall", ["0.0", "0.5"])
@pytest.mark.parametrize("machine", ["tiny", "small"])
@pytest.mark.parametrize("sim", SIMULATORS)
def test_random_commands(sim, machine, stall):
    """Look-ups, appends and frees, back to back, until blocks run out and after."""
    params, library = load_machine(machine), Library()
    library.define("kv_manager", lambda: KvManager(params), params=params)
    simulate("kv_manager", library.sources(), sim=sim, test_module="ouroboros.tb.kv.bench_manager",
             env={"MACHINE": machine, "COMMANDS": "400", "STALL": stall})
