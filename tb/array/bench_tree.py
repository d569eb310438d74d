"""Random beats through the adder tree, against the golden model.

Reads MACHINE, BEATS and STALL from the environment.
"""

import os

import cocotb

from ouroboros.hw.array.tree import AdderTree
from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.array.tree_agent import TreeAgent
from ouroboros.tb.lib.agent import seeded
from ouroboros.tb.lib.cosim import CocotbDut


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def random_beats(dut):
    """Every beat comes out once, in order, with the golden model's sums."""
    machine = load_machine(os.environ["MACHINE"])
    agent = TreeAgent(await CocotbDut.started(dut, AdderTree(machine)), machine,
                      stall=float(os.environ["STALL"]), rng=seeded())
    agent.send_random(int(os.environ["BEATS"]))
    await agent.finish()
