from functools import cache

import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.core.agent import NiAgent
from ouroboros.tb.core.ni_top import NetworkInterface
from ouroboros.tb.lib.pysim import PySim

TINY = load_machine("tiny")


@cache
def simulated():
    return PySim(NetworkInterface(TINY))


@pytest.mark.parametrize("stall", [0.0, 0.5])
def test_everything_at_once(stall):
    """Ingress, buffer, send unit, egress and events together, as a core connects them."""
    simulated().tell(lambda dut: NiAgent(dut, TINY, stall=stall).everything_at_once(1))
