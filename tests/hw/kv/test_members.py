"""Quotient and remainder of block numbers, against Python's."""

import pytest

from ouroboros.hw.kv.members import BlockOwner, block_index_bits
from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.lib.pysim import PySim

MEMBERS = [1, 2, 3, 5, 6, 7, 10, 64, 100, 127, 128]


@pytest.mark.parametrize("name", ["tiny", "wafer"])
def test_blocks_of_every_member(name):
    """At the borders between quotients, up to the last block that a position can lie in."""
    machine = load_machine(name)
    sim = PySim(BlockOwner(machine))
    last = (1 << block_index_bits(machine)) - 1

    async def story(ctx):
        for members in MEMBERS:
            ctx.set(sim.dut.members, members)
            await ctx.tick()
            borders = {q * members for q in (1, 2, 3, last // members // 2, last // members)}
            for index in sorted({0, last, *(b + d for b in borders for d in (-1, 0, 1))}):
                if 0 <= index <= last:
                    ctx.set(sim.dut.index, index)
                    found = ctx.get(sim.dut.own), ctx.get(sim.dut.turn)
                    assert found == divmod(index, members), f"block {index} of {members} members"

    sim.run(story)
