"""Link credits and packets that come to a core at every phase of its falling asleep.

Reads MACHINE from the environment.
"""

import os

import cocotb

from ouroboros.hw.core.core import Core
from ouroboros.hw.lib.library import Library
from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.core.nap_agent import NapAgent
from ouroboros.tb.lib.cosim import CocotbDut


async def _agent(dut) -> NapAgent:
    machine = load_machine(os.environ["MACHINE"])
    return NapAgent(await CocotbDut.started(dut, Core(machine, Library())), machine)


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def credits_at_every_phase(dut):
    """None is lost."""
    await (await _agent(dut)).credits_at_every_phase()


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def requests_at_every_phase(dut):
    """Each is answered."""
    await (await _agent(dut)).requests_at_every_phase()
