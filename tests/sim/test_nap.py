import pytest

from ouroboros.hw.core.core import Core
from ouroboros.hw.lib.library import Library
from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.flow.build import simulate


@pytest.mark.sim
def test_credits_at_every_phase():
    """A core that falls asleep, or sleeps, loses neither link credits nor packets."""
    machine, library = load_machine("tiny"), Library()
    library.define("core", lambda: Core(machine, library), params=machine)
    simulate("core", library.sources(), sim="icarus", test_module="ouroboros.tb.core.bench_nap",
             env={"MACHINE": "tiny"})
