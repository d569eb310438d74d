"""Commands at any time, right and wrong, to a checker: it says what the golden model says.

Reads COMMANDS from the environment; writes ``checker.json``, how often each rule was broken.
"""

import json
import os
from collections import Counter
from pathlib import Path

import cocotb

from ouroboros.hw.params.pim import RANK
from ouroboros.hw.pim.checker import TimingChecker
from ouroboros.sw.golden.dram import DramGolden
from ouroboros.tb.lib.agent import seeded
from ouroboros.tb.lib.cosim import CocotbDut
from ouroboros.tb.pim.near import SHORT, near_limits


@cocotb.test()
async def any_commands(dut):
    """The same rules in every clock, those without a command too."""
    checker = TimingChecker(RANK.banks, RANK.groups, SHORT)
    top = await CocotbDut.started(dut, checker)
    golden = DramGolden(banks=RANK.banks, groups=RANK.groups, timing=SHORT)
    found: Counter[str] = Counter()
    commands = near_limits(seeded(), SHORT, RANK.banks, int(os.environ["COMMANDS"]))
    for time, (op, banks) in enumerate(commands):
        top.set("op", op)
        top.set("banks", banks)
        await top.settle()
        bits = top.get("broken").as_bits()
        broken = {name for n, name in enumerate(checker.names) if bits >> n & 1}
        assert broken == golden.judge(time, op, banks), f"{op.name} of {banks:b} at {time}"
        found.update(broken)
        await top.tick()
    Path("checker.json").write_text(json.dumps(found))
    assert set(found) == set(checker.names), found
