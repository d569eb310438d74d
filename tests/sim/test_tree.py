import pytest

from ouroboros.hw.array.tree import AdderTree
from ouroboros.hw.lib.library import Library
from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.flow.build import SIMULATORS, simulate


@pytest.mark.sim
@pytest.mark.parametrize("stall", ["0.0", "0.5"])
@pytest.mark.parametrize("sim", SIMULATORS)
def test_tree(sim, stall):
    """Random beats give the golden model's sums, in order, with and without stalls."""
    machine = load_machine("small")
    library = Library()
    library.define("adder_tree", lambda: AdderTree(machine), params=machine)
    simulate("adder_tree", library.sources(), sim=sim, test_module="ouroboros.tb.array.bench_tree",
             env={"MACHINE": "small", "BEATS": "200", "STALL": stall})
