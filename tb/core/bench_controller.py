"""Tokens through a core's controller, cycle by cycle against the steps of the golden core.

Reads MACHINE, ROUNDS, TOKENS (of each round) and STALL from the environment.
"""

import os

import cocotb

from ouroboros.hw.core.controller import Controller
from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.core.controller_agent import ControllerAgent, few_slots
from ouroboros.tb.lib.agent import seeded
from ouroboros.tb.lib.cosim import CocotbDut


async def _agent(dut) -> ControllerAgent:
    machine = few_slots(load_machine(os.environ["MACHINE"]))
    return ControllerAgent(await CocotbDut.started(dut, Controller(machine)), machine,
                           stall=float(os.environ["STALL"]), rng=seeded())


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def random_tokens(dut):
    """Slots, instructions, credits, traces and events of every cycle are the golden model's."""
    agent = await _agent(dut)
    await agent.rounds(int(os.environ["ROUNDS"]), int(os.environ["TOKENS"]))


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def every_number_of_members(dut):
    """Tokens of a core's own blocks, of each number of members that a KV head can have."""
    agent = await _agent(dut)
    await agent.every_number_of_members()
