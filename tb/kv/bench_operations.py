"""Long random use of the KV manager, checked by a ledger of owners and tokens.

Reads MACHINE, OPERATIONS, ROUND (operations between new settings) and STALL from the environment;
writes ``operations.json``, replies by kind, into the folder of the run.
"""

import json
import os
from pathlib import Path

import cocotb

from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.kv.operations import KvOperations
from ouroboros.tb.kv.player import KvPlayer
from ouroboros.tb.lib.agent import seeded
from ouroboros.tb.lib.cosim import CocotbDut


@cocotb.test()
async def operations(dut):
    """No block has two owners, none leaks, no token is lost."""
    machine, total = load_machine(os.environ["MACHINE"]), int(os.environ["OPERATIONS"])
    agent = KvOperations(await CocotbDut.started(dut, KvPlayer(machine)), machine,
                         stall=float(os.environ["STALL"]), rng=seeded())
    for _ in range(0, total, each := int(os.environ["ROUND"])):
        await agent.run(min(each, total))
    Path("operations.json").write_text(json.dumps(agent.ledger.replies))
