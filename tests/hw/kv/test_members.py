"""Quotient and remainder of block numbers, and the turn of a member, against Python's."""

from dataclasses import replace

import pytest

from ouroboros.hw.kv.members import BlockOwner, block_index_bits
from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.lib.pysim import PySim

MEMBERS = [1, 2, 3, 5, 6, 7, 10, 64, 100, 127, 128]


def around(members, last):
    """Numbers at the borders between quotients, up to the last one."""
    borders = {q * members for q in (1, 2, 3, last // members // 2, last // members)}
    numbers = {0, last, *(b + d for b in borders for d in (-1, 0, 1))}
    return sorted(number for number in numbers if 0 <= number <= last)


@pytest.mark.parametrize(("name", "sequences"), [("tiny", 4), ("wafer", 256), ("wafer", 65536)])
def test_blocks_of_every_member(name, sequences):
    """At the borders between quotients, up to the last block and the last sequence."""
    machine = load_machine(name)
    machine = replace(machine, kv=replace(machine.kv, sequences=sequences))
    sim = PySim(BlockOwner(machine))
    last = (1 << block_index_bits(machine)) - 1

    async def story(ctx):
        dut = sim.dut
        for members in MEMBERS:
            ctx.set(dut.settings.members, members)
            await ctx.tick()
            for index in around(members, last):
                ctx.set(dut.index, index)
                found = ctx.get(dut.own), ctx.get(dut.turn)
                assert found == divmod(index, members), f"block {index} of {members} members"
            for ring in (0, 1):
                ctx.set(dut.settings.ring, ring)
                for member in sorted({0, members // 2, members - 1}):
                    ctx.set(dut.settings.member, member)
                    await ctx.tick()
                    for sequence in around(members, sequences - 1):
                        ctx.set(dut.sequence, sequence)
                        assert ctx.get(dut.mine) == (member - ring * sequence) % members, (
                            f"sequence {sequence}, member {member} of {members}, ring {ring}")

    sim.run(story)
