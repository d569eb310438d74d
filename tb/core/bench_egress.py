"""Data, credits and READs through a core's egress, cycle by cycle against the golden model.

Reads MACHINE, ROUNDS, CYCLES (of each round) and STALL from the environment; what stalls is in the
rates of the rounds, so STALL only takes another seed.
"""

import os

import cocotb

from ouroboros.hw.core.egress import Egress
from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.core.egress_agent import EgressAgent, few_credits
from ouroboros.tb.lib.agent import seeded
from ouroboros.tb.lib.cosim import CocotbDut


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def every_cycle(dut):
    """Link, handshakes, reads of events and ``active`` of every cycle are the golden model's."""
    machine = few_credits(load_machine(os.environ["MACHINE"]))
    agent = EgressAgent(await CocotbDut.started(dut, Egress(machine)), machine,
                        stall=float(os.environ["STALL"]), rng=seeded())
    await agent.rounds(int(os.environ["ROUNDS"]), int(os.environ["CYCLES"]))
