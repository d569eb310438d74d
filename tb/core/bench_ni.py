"""Operands in, vectors out, credits, configuration and readout through a core's network port.

Reads MACHINE, ROUNDS and STALL from the environment.
"""

import os

import cocotb

from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.core.agent import NiAgent
from ouroboros.tb.core.ni_top import NetworkInterface
from ouroboros.tb.lib.agent import seeded
from ouroboros.tb.lib.cosim import CocotbDut


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def everything_at_once(dut):
    """All slots receive and send while credits, configuration and refused packets come and go."""
    machine = load_machine(os.environ["MACHINE"])
    agent = NiAgent(await CocotbDut.started(dut, NetworkInterface(machine)), machine,
                    stall=float(os.environ["STALL"]), rng=seeded())
    await agent.everything_at_once(int(os.environ["ROUNDS"]))
