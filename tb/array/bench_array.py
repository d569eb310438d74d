"""Random programs of several slots on an array unit, against the golden model.

Reads MACHINE, TOKENS and STALL from the environment.
"""

import os

import cocotb

from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.array.agent import ArrayAgent
from ouroboros.tb.array.top import ArrayTop
from ouroboros.tb.lib.agent import seeded
from ouroboros.tb.lib.cosim import CocotbDut


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def random_programs(dut):
    """Weight and KV tokens of all slots interleave; every beat, poison and event is right."""
    machine = load_machine(os.environ["MACHINE"])
    agent = ArrayAgent(machine, tokens=int(os.environ["TOKENS"]),
                       stall=float(os.environ["STALL"]), rng=seeded())
    dut._log.info("%s", agent.settings)
    cycles = await agent.run(await CocotbDut.started(dut, ArrayTop(machine)))
    dut._log.info("%d beats in %d cycles, %s", agent.beats_checked, cycles, dict(agent.counts))
