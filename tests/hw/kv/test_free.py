from functools import cache

import pytest

from ouroboros.hw.kv.free import SequenceFreer
from ouroboros.tb.lib.pysim import PySim

STEPS = ("drop", "read", "select", "give_back")


@cache
def simulated():
    return PySim(SequenceFreer())


@pytest.mark.parametrize("pages", [0, 1, 2, 7])
def test_gives_back_a_page_a_cycle(pages):
    async def bench(ctx):
        dut = simulated().dut
        for _ in range(2):
            left, ended, seen = pages, None, {step: [] for step in STEPS}
            for cycle in range(pages + 8):
                ctx.set(dut.start, cycle == 0)
                ctx.set(dut.any, left > 0)
                for step in STEPS:
                    if ctx.get(getattr(dut, step)):
                        seen[step].append(cycle)
                if ctx.get(dut.ended):
                    assert ended is None
                    ended = cycle
                assert ctx.get(dut.busy) == (pages > 0 and 2 <= cycle < pages + 4)
                left -= ctx.get(dut.drop)
                await ctx.tick()
            assert ended == pages + 1
            for n, step in enumerate(STEPS, 1):
                assert seen[step] == list(range(n, pages + n))

    simulated().run(bench)
