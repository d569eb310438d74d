import random

import pytest

from ouroboros.hw.core.egress import Egress
from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.core.egress_agent import EgressAgent, few_credits
from ouroboros.tb.lib.pysim import PySim

FEW = few_credits(load_machine("tiny"))


@pytest.mark.parametrize("seed", [1, 2])
def test_every_cycle(seed):
    """Handshakes, credits, replies and ``active`` of every cycle are the golden model's."""
    PySim(Egress(FEW)).tell(
        lambda dut: EgressAgent(dut, FEW, rng=random.Random(seed)).rounds(12, 60))
