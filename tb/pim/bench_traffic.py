"""Random commands through gate and checker: none of them breaks a rule.

Reads COMMANDS and LOOK (how many clocks the golden model judges too) from the environment; writes
``traffic.json``, commands by kind.
"""

import json
import os
from pathlib import Path

import cocotb
from cocotb.triggers import ClockCycles

from ouroboros.hw.params.dram import DDR4_3200, Op
from ouroboros.hw.params.pim import RANK
from ouroboros.sw.golden.dram import DramGolden
from ouroboros.tb.lib.agent import seeded
from ouroboros.tb.lib.cosim import CocotbDut
from ouroboros.tb.pim.traffic import RandomTraffic

AT_ONCE = 1000
PATIENCE = 40
"""Clocks a command, at most."""


@cocotb.test()
async def random_commands(dut):
    """The checker finds nothing, and neither does the golden model in the clocks it looks at."""
    wanted, look = int(os.environ["COMMANDS"]), int(os.environ["LOOK"])
    top = await CocotbDut.started(dut, RandomTraffic(RANK.banks, RANK.groups, DDR4_3200))
    golden = DramGolden(banks=RANK.banks, groups=RANK.groups, timing=DDR4_3200)
    top.set("seed", seeded().getrandbits(64) | 1)
    top.set("start", 1)
    await top.settle()
    await top.tick()
    top.set("start", 0)
    for time in range(look):
        await top.settle()
        op, banks = Op(top.get("op")), top.get("banks")
        broken = golden.judge(time + 1, op, banks)
        assert not broken, f"{op.name} of banks {banks:b} at {time + 1} breaks {broken}"
        await top.tick()
    for _ in range(wanted * PATIENCE // AT_ONCE):
        if top.get("total") >= wanted:
            break
        await ClockCycles(dut.clk, AT_ONCE)
        await top.settle()
    given = {op.name: top.get(f"given__{op.value}") for op in Op}
    Path("traffic.json").write_text(json.dumps(given))
    assert top.get("breaks") == 0
    assert top.get("total") >= wanted, given
    assert min(count for name, count in given.items() if name != "NOP") > 0, given
