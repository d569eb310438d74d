"""Phases through a controller without chips: writes ``controller.json``, what it gave.

Reads SIZE, REFRESH_BATCH, PHASES (``score`` and ``context``, a comma between), TOKENS and
STAGGERED from the environment.
"""

import json
import os
from dataclasses import replace
from pathlib import Path

import cocotb
from cocotb.triggers import ClockCycles

from ouroboros.hw.pim.job import JobOp
from ouroboros.tb.lib.agent import Agent
from ouroboros.tb.lib.cosim import CocotbDut
from ouroboros.tb.lib.stream import StreamSource
from ouroboros.tb.pim.alone import ControllerAlone
from ouroboros.tb.pim.sizes import SIZES

OPS = {"score": JobOp.SCORE, "context": JobOp.CONTEXT}
PATIENCE = 2_000_000
AT_ONCE = 100


@cocotb.test()
async def phases(dut):
    """No rule is broken, and every bank has done all of its MACs."""
    pim = replace(SIZES[os.environ["SIZE"]], refresh_batch=int(os.environ["REFRESH_BATCH"]))
    tokens, kinds = int(os.environ["TOKENS"]), os.environ["PHASES"].split(",")
    agent = Agent(await CocotbDut.started(dut, ControllerAlone(pim)))
    agent.dut.set("staggered", int(os.environ["STAGGERED"]))
    jobs = StreamSource(agent, "jobs")
    for kind in kinds:
        jobs.send({"op": OPS[kind], "head": {"tokens": tokens}})
    macs = 0
    for kind in kinds:
        macs += (pim.score_units(tokens) * pim.score_unit_macs if kind == "score"
                 else pim.value_units(tokens) * pim.value_unit_macs)
    waited = 0
    while jobs.queue or not agent.dut.get("idle"):
        assert waited < PATIENCE, "the controller hangs"
        await agent.step()
        waited += 1
        if not jobs.queue:
            # No job is offered from here on. Nothing is to be looked at: the checker counts.
            await agent.step()
            await ClockCycles(dut.clk, AT_ONCE)
            waited += AT_ONCE
    await agent.step()
    found = {name: agent.dut.get(name)
             for name in ("macs", "first", "last", "refreshes", "breaks")}
    found["cycles"] = found["last"] - found["first"] + pim.timing.ccd_l
    found["efficiency"] = macs * pim.timing.ccd_l / found["cycles"]
    Path("controller.json").write_text(json.dumps(found))
    assert found["breaks"] == 0
    assert found["macs"] == macs * pim.banks
