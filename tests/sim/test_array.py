import pytest

from ouroboros.hw.array.array import ArrayUnit
from ouroboros.hw.cim.macro_twin import twin_verilog
from ouroboros.hw.lib.library import Library
from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.flow.build import SIMULATORS, simulate

TOKENS = {"icarus": 25, "verilator": 150}


def sources(machine, *, twin):
    library = Library()
    if twin:
        library.add_source("macro", twin_verilog(machine, "macro"))
    library.define("array_unit", lambda: ArrayUnit(machine, library), params=machine)
    return library.sources()


@pytest.mark.sim
@pytest.mark.parametrize("stall", ["0.0", "0.5"])
@pytest.mark.parametrize("sim", SIMULATORS)
def test_random_programs(sim, stall):
    """Tokens of all slots on a tiny array unit, macro by macro as it is built."""
    simulate("array_unit", sources(load_machine("tiny"), twin=False), sim=sim,
             test_module="ouroboros.tb.array.bench_array",
             env={"MACHINE": "tiny", "TOKENS": str(TOKENS[sim]), "STALL": stall})


@pytest.mark.sim
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_programs_on_twins(seed):
    """More of the same on the small machine, with behavioural twins of the macro."""
    simulate("array_unit", sources(load_machine("small"), twin=True), sim="verilator", seed=seed,
             test_module="ouroboros.tb.array.bench_array",
             env={"MACHINE": "small", "TOKENS": "200", "STALL": "0.2"})
