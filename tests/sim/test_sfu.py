from dataclasses import replace

import pytest

from ouroboros.hw.lib.library import Library
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.sfu.sfu import Sfu
from ouroboros.tb.flow.build import SIMULATORS, simulate

CASES = {"tiny": 600, "die": 200}


@pytest.mark.sim
@pytest.mark.parametrize("stall", ["0.0", "0.5"])
@pytest.mark.parametrize(("machine", "bits"), [("tiny", 16), ("tiny", 24), ("die", 24)])
@pytest.mark.parametrize("sim", SIMULATORS)
def test_sfu(sim, machine, bits, stall):
    """The SFU of 4 and of 16 lanes agrees with its golden model, in values and cycles."""
    params = load_machine(machine)
    params = replace(params, core=replace(params.core, residual_bits=bits))
    library = Library()
    library.define("sfu", lambda: Sfu(params), params=params)
    cases = CASES[machine] // (5 if sim == "icarus" else 1)
    simulate("sfu", library.sources(), sim=sim, test_module="ouroboros.tb.sfu.bench_sfu",
             env={"MACHINE": machine, "RESIDUAL_BITS": str(bits), "CASES": str(cases),
                  "STALL": stall})
