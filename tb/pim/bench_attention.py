"""Heads on a rank, from the host's port to the context: bits and clocks.

Reads SIZE, TOKENS (a comma between the heads'), STAGGERED, EXP_BITS and SEED_OF_DATA from the
environment; writes ``attention.json``.
"""

import json
import os
from pathlib import Path

import cocotb

from ouroboros.hw.lib.library import Library
from ouroboros.hw.params.dram import Op
from ouroboros.hw.pim.rank import Rank
from ouroboros.tb.lib.cosim import CocotbDut
from ouroboros.tb.pim.agent import RankAgent
from ouroboros.tb.pim.sizes import SIZES
from ouroboros.tb.pim.story import compare, golden, make_rounds, play, store


@cocotb.test()
async def attention(dut):
    """Contexts and sums are the golden model's; clocks from the first job to the last word."""
    pim = SIZES[os.environ["SIZE"]]
    tokens = [int(one) for one in os.environ["TOKENS"].split(",")]
    exp_bits = int(os.environ["EXP_BITS"])
    agent = RankAgent(await CocotbDut.started(dut, Rank(pim, Library())), pim,
                      staggered=os.environ["STAGGERED"] == "1")
    rounds = make_rounds(pim, tokens, int(os.environ["SEED_OF_DATA"]))
    await store(agent, rounds)
    stored, before = agent.cycle, dict(agent.ops)
    jobs = len(agent.jobs.times)
    play(agent, rounds, exp_bits=exp_bits)
    await agent.finished()
    values = sum(compare(agent.contexts(), golden(one, exp_bits=exp_bits)) for one in rounds)
    assert not agent.given
    commands = {Op(op).name: count - before.get(op, 0) for op, count in agent.ops.items()}
    Path("attention.json").write_text(json.dumps({
        "cycles": agent.context.times[-1] - agent.jobs.times[jobs],
        "store_cycles": stored, "values": values, "commands": commands,
        "breaks": agent.dut.get("breaks")}))
    assert agent.dut.get("breaks") == 0
