"""Random commands to the KV manager, back to back, against the golden model.

Reads MACHINE, COMMANDS and STALL from the environment.
"""

import os

import cocotb

from ouroboros.hw.kv.manager import KvManager
from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.array.agent import random_settings
from ouroboros.tb.kv.agent import KvAgent
from ouroboros.tb.lib.agent import seeded
from ouroboros.tb.lib.cosim import CocotbDut


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def random_commands(dut):
    """Every reply is the golden model's; after freeing all no block is left over."""
    machine, rng = load_machine(os.environ["MACHINE"]), seeded()
    agent = KvAgent(await CocotbDut.started(dut, KvManager(machine)), machine,
                    random_settings(machine, rng), stall=float(os.environ["STALL"]), rng=rng)
    await agent.random_commands(int(os.environ["COMMANDS"]))
