import pytest

from ouroboros.hw.cim.macro_twin import twin_verilog
from ouroboros.hw.core.core import Core
from ouroboros.hw.lib.library import Library
from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.flow.build import simulate


@pytest.mark.sim
def test_credits_wake_a_core():
    """At every phase between a core's last flit and its clock's last edge, and after."""
    machine, library = load_machine("tiny"), Library()
    library.add_source("macro", twin_verilog(machine, "macro"))
    library.define("core", lambda: Core(machine, library), params=machine)
    simulate("core", library.sources(), sim="icarus", test_module="ouroboros.tb.core.bench_sleep",
             env={"MACHINE": "tiny", "PHASES": "9"})
