import math
from functools import cache

import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.sfu.gate import Gate
from ouroboros.tb.lib.pysim import PySim

TINY = load_machine("tiny")
LANES = TINY.core.lanes


@cache
def simulated():
    return PySim(Gate(TINY))


def sigmoid(x, shift):
    """2**16 / (1 + exp(-i / 32)) of the nearest i, as the scheme cuts it off."""
    i = (x + (1 << shift >> 1)) // (1 << shift)
    if abs(i) > 255:
        return 65536 if i > 0 else 0
    value = round(65536 / (1 + math.exp(-abs(i) / 32)))
    return value if i >= 0 else 65536 - value


@pytest.mark.parametrize("shift", range(16))
def test_every_index(shift):
    """Around every multiple of the step on both sides, beyond the table, and at the ends."""
    near = [i * (1 << shift) + d for i in range(-260, 261) for d in (0, (1 << shift >> 1) - 1,
                                                                    1 << shift >> 1)]
    values = [x for x in (*near, -32768, 32767) if -32768 <= x <= 32767]
    values += [0] * (-len(values) % LANES)

    async def bench(ctx):
        dut = simulated().dut
        ctx.set(dut.look_up, 1)
        ctx.set(dut.shift, shift)
        for start in range(0, len(values), LANES):
            some = values[start:start + LANES]
            ctx.set(dut.x, some)
            await ctx.tick()
            assert [*ctx.get(dut.value)] == [sigmoid(x, shift) for x in some], (some, shift)

    simulated().run(bench)


def test_a_value_is_kept_until_the_next_is_wanted():
    async def bench(ctx):
        dut = simulated().dut
        ctx.set(dut.shift, 0)
        for wanted, x, g in ((1, -3, sigmoid(-3, 0)), (0, 300, sigmoid(-3, 0)), (1, 300, 65536),
                             (0, -300, 65536), (1, -300, 0)):
            ctx.set(dut.look_up, wanted)
            ctx.set(dut.x, [x] * LANES)
            await ctx.tick()
            assert [*ctx.get(dut.value)] == [g] * LANES

    simulated().run(bench)
