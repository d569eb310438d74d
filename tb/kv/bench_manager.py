"""Random commands to the KV manager, back to back, against the golden model.

Reads MACHINE, COMMANDS (in all), ROUND (commands between new settings) and STALL from the
environment.
"""

import os

import cocotb

from ouroboros.hw.kv.manager import KvManager
from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.kv.agent import KvAgent, spread_settings
from ouroboros.tb.lib.agent import seeded
from ouroboros.tb.lib.cosim import CocotbDut


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def random_commands(dut):
    """Every reply is the golden model's; after freeing all no block is left over."""
    machine, rng = load_machine(os.environ["MACHINE"]), seeded()
    agent = KvAgent(await CocotbDut.started(dut, KvManager(machine)), machine,
                    spread_settings(machine, rng), stall=float(os.environ["STALL"]), rng=rng)
    each = int(os.environ["ROUND"])
    for _ in range(0, int(os.environ["COMMANDS"]), each):
        await agent.random_commands(each)
        agent.settings = spread_settings(machine, rng)
