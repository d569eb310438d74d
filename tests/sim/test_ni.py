import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.core.ni_top import ni_sources
from ouroboros.tb.flow.build import SIMULATORS, simulate


@pytest.mark.sim
@pytest.mark.parametrize("stall", ["0.0", "0.5"])
@pytest.mark.parametrize("machine", ["tiny", "die"])
@pytest.mark.parametrize("sim", SIMULATORS)
def test_network_interface(sim, machine, stall):
    """Operands, vectors, credits, configuration and readout, all at once."""
    simulate("network_interface", ni_sources(load_machine(machine)), sim=sim,
             test_module="ouroboros.tb.core.bench_ni",
             env={"MACHINE": machine, "ROUNDS": "3", "STALL": stall})
