import random

import pytest

from ouroboros.hw.noc.credits import Credits
from ouroboros.tb.lib.pysim import PySim


@pytest.mark.parametrize("channels, depth", [(1, 4), (3, 5), (5, 10)])
def test_random(channels, depth):
    """Counts follow what is spent and comes back, from none to all, also in the same cycle."""
    rng = random.Random(channels)
    dut = Credits(channels, depth)
    seen = set()

    async def bench(ctx):
        counts = [depth] * channels
        for cycle in range(600):
            mostly_spend = cycle // 50 % 2
            assert [ctx.get(dut.counts[vc]) for vc in range(channels)] == counts
            assert ctx.get(dut.credited) == sum(1 << vc for vc in range(channels) if counts[vc])
            assert ctx.get(dut.full) == sum(
                1 << vc for vc in range(channels) if counts[vc] == depth)
            spent = [count > 0 and rng.random() < 0.3 + 0.6 * mostly_spend for count in counts]
            back = [count < depth and rng.random() < 0.9 - 0.6 * mostly_spend for count in counts]
            ctx.set(dut.spent, sum(bit << vc for vc, bit in enumerate(spent)))
            ctx.set(dut.back, sum(bit << vc for vc, bit in enumerate(back)))
            seen.update(zip(counts, spent, back, strict=True))
            counts = [count - lost + got
                      for count, lost, got in zip(counts, spent, back, strict=True)]
            await ctx.tick()

    PySim(dut).run(bench)
    assert {count for count, _, _ in seen} == set(range(depth + 1))
    assert any(spent and back for _, spent, back in seen)
