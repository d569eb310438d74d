import pytest

from hw.params.machine import load_machine
from tb.cim.macro_pair import pair_sources
from tb.lib.build import SIMULATORS, simulate

COMMANDS = {"tiny": 150, "small": 60}


@pytest.mark.sim
@pytest.mark.parametrize("stall", ["0.0", "0.5"])
@pytest.mark.parametrize("machine", ["tiny", "small"])
@pytest.mark.parametrize("sim", SIMULATORS)
def test_macro_and_twin(sim, machine, stall):
    """Macro, behavioural twin and golden model agree on random commands, writes and stalls."""
    commands = COMMANDS[machine] // (5 if sim == "icarus" else 1)
    simulate("macro_pair", pair_sources(load_machine(machine)), sim=sim,
             test_module="tb.cim.bench_macro",
             env={"MACHINE": machine, "COMMANDS": str(commands), "STALL": stall})
