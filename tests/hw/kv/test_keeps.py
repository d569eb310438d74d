"""With ``kv.keeps`` a reset forgets no block, at whatever cycle of a command it comes."""

from dataclasses import replace

import pytest
from amaranth import ResetInserter, Signal

from ouroboros.hw.kv.layout import KvOp
from ouroboros.hw.kv.manager import KvManager
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import KV_CONFIG, Unit
from ouroboros.sw.golden.kv import KvSettings
from ouroboros.tb.lib.pysim import PySim

TINY = load_machine("tiny")
SETTINGS = KvSettings(k_macros=0b0101, v_macros=0b1010, k_groups=1, k_blocks=4, v_slots=2,
                      head_dim=8, heads=2)


class Resettable(KvManager):
    """With a reset that a bench can give."""

    def __init__(self, machine):
        super().__init__(machine)
        self.reset = Signal()

    def elaborate(self, platform):
        return ResetInserter(self.reset)(super().elaborate(platform))


@pytest.mark.parametrize("keeps", [True, False])
def test_a_reset(keeps):
    sim = PySim(Resettable(replace(TINY, kv=replace(TINY.kv, keeps=keeps))))

    async def bench(ctx):
        dut = sim.dut

        async def command(op, sequence, block=0, token=0, cut=None):
            """The reply, or None if a reset cuts the command off after so many cycles."""
            ctx.set(dut.cmd.valid, 1)
            ctx.set(dut.cmd.p, {"op": op, "sequence": sequence, "head": 0, "block": block,
                                "token": token})
            ctx.set(dut.rsp.ready, 1)
            reply = None
            for cycle in range(30):
                ctx.set(dut.reset, cycle == cut)
                taken = ctx.get(dut.cmd.ready) and ctx.get(dut.cmd.valid)
                if cycle != cut and ctx.get(dut.rsp.valid):
                    reply = (ctx.get(dut.rsp.p.ok), ctx.get(dut.rsp.p.valid))
                await ctx.tick()
                if taken or cycle == cut:
                    ctx.set(dut.cmd.valid, 0)
            ctx.set(dut.reset, 0)
            return reply

        ctx.set(dut.config.valid, 1)
        ctx.set(dut.config.unit, Unit.KV)
        ctx.set(dut.config.data, KV_CONFIG.pack(SETTINGS.fields()))
        await ctx.tick()
        ctx.set(dut.config.valid, 0)
        assert (await command(KvOp.APPEND, 1, token=3))[0]
        for cut in range(8):
            # An APPEND that was cut off is simply given again.
            await command(KvOp.APPEND, 2, block=cut % 4, token=cut, cut=cut)
            used = ctx.get(dut.used)
            got = await command(KvOp.LOOKUP, 1)
            assert got[0] == keeps
            if keeps:
                assert got[1] == 1 << 3
                await command(KvOp.APPEND, 2, block=cut % 4, token=cut)
                got = await command(KvOp.LOOKUP, 2, block=cut % 4)
                assert got[0] and got[1] >> cut & 1
                assert ctx.get(dut.used) in (used, used + 1)
        if keeps:
            assert ctx.get(dut.used) == 5
            await command(KvOp.FREE, 2)
            await command(KvOp.FREE, 1)
            assert ctx.get(dut.used) == 0

    sim.run(bench)
