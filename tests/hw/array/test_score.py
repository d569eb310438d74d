import random
from functools import cache
from types import SimpleNamespace

import pytest

from ouroboros.hw.array.result import ResultKind
from ouroboros.hw.array.score import ScoreExecutor
from ouroboros.hw.params.isa import Op, assemble
from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.lib.pysim import PySim

TINY = load_machine("tiny")
OUTPUTS = TINY.cim.outputs
HOLE = None
BLOCKS = [(1, 2, 0xABCD), HOLE, (0, 3, 0x0F0F)]
"""(macro, K block, valid tokens) of each; the second was never appended."""


@cache
def simulated():
    return PySim(ScoreExecutor(TINY))


class Surroundings:
    """Walk, loader, macros and drain stage, each of them ready with a probability of ``ready``."""

    def __init__(self, ctx, dut, blocks, tokens, *, ready=1.0):
        self.ctx, self.dut, self.blocks, self.tokens = ctx, dut, blocks, tokens
        self.ready, self.rng = ready, random.Random(len(blocks))
        self.taken, self.loads, self.orders, self.frames, self.results = 0, [], [], [], []
        self.loaded_in, self.cycles = None, 0

    async def start(self):
        ctx, dut = self.ctx, self.dut
        ctx.set(dut.job, {"issue": {"instruction": assemble(Op.SCORE, src=7, head=1),
                                    "slot": 2, "base": 100}, "bank": 1})
        for name, value in (("head_dim", 8), ("k_macros", 0b0011), ("k_groups", 2)):
            ctx.set(dut.settings[name], value)
        ctx.set(dut.walk.blocks, len(self.blocks))
        ctx.set(dut.start, 1)
        await self.step()
        ctx.set(dut.start, 0)
        assert not self.loads and not self.results

    async def step(self, *, hold_result=False, **inputs):
        """One cycle; what came out in it."""
        ctx, dut, walk, n = self.ctx, self.dut, self.dut.walk, self.taken
        known = n < len(self.blocks)
        self.cycles += 1
        assert self.cycles < 500, "the instruction is never over"
        block = self.blocks[n] if known else HOLE
        ctx.set(walk.valid, known and self._chance())
        ctx.set(walk.place, {"ok": block is not HOLE})
        if block is not HOLE:
            ctx.set(walk.place.k, {"macro": block[0], "block": block[1]})
            ctx.set(walk.place.valid, block[2])
        ctx.set(walk.taken, n)
        ctx.set(walk.under_way, known)
        ctx.set(walk.count, min(OUTPUTS, self.tokens - n * OUTPUTS) if known else 0)
        ctx.set(dut.loaded, self.loaded_in == 0)
        for stream in (dut.load, dut.order, dut.result, dut.frame):
            ctx.set(stream.ready, self._chance() and not (hold_result and stream is dut.result))
        ctx.set(dut.quiet, self._chance())
        for name, value in inputs.items():
            ctx.set(getattr(dut, name), value)
        seen = SimpleNamespace(**{name: ctx.get(getattr(dut, name)) for name in
                                  ("ended", "loader_free", "aborted")}, take=ctx.get(walk.take))
        if self.loaded_in is not None:
            self.loaded_in -= 1
        for stream, log in ((dut.load, self.loads), (dut.order, self.orders),
                            (dut.frame, self.frames), (dut.result, self.results)):
            if ctx.get(stream.valid) and ctx.get(stream.ready):
                log.append(ctx.get(stream.p))
                if stream is dut.load:
                    self.loaded_in = 3
                if stream is dut.frame:
                    assert self.results and self.loaded_in is not None and self.loaded_in < 0
        self.taken += seen.take
        await ctx.tick()
        return seen

    def _chance(self):
        return self.rng.random() < self.ready


@pytest.mark.parametrize("ready", [1.0, 0.5])
def test_loads_q_once_and_commands_block_after_block(ready):
    async def bench(ctx):
        around = Surroundings(ctx, simulated().dut, BLOCKS, 2 * OUTPUTS + 5, ready=ready)
        await around.start()
        while not (seen := await around.step()).ended:
            assert not seen.loader_free and not seen.aborted
        assert seen.loader_free
        load, result = around.loads[0], around.results[0]
        assert (len(around.loads), len(around.results)) == (1, 1)
        assert (load.addr, load.index, load.length, load.macros) == (107, 0, 8, 0b0011)
        assert (load.bank, load.clear, load.masked) == (1, 1, 0)
        assert (result.kind, result.slot, result.bank, result.empty) == (
            ResultKind.FRAMES, 2, 1, 0)
        assert [(frame.none, frame.last) for frame in around.frames] == [(0, 0), (1, 0), (0, 1)]
        assert [frame.macro for frame in around.frames if not frame.none] == [1, 0]
        first, none, last = around.orders
        assert (first.macros, none.macros, last.macros) == (0b0010, 0, 0b0001)
        for order, group in ((first, 4), (last, 6)):
            command = order.command
            assert (command.first_group, command.groups, command.operand_group) == (group, 2, 0)
            assert (command.first, command.last, command.bank) == (1, 1, 1)
        assert first.command.columns == 0xABCD
        assert last.command.columns == 0x0F0F & 0b11111     # tokens past the position do not count

    simulated().run(bench)


def test_no_frame_before_the_drain_stage_has_the_result():
    async def bench(ctx):
        around = Surroundings(ctx, simulated().dut, BLOCKS, 3 * OUTPUTS)
        await around.start()
        for _ in range(20):
            await around.step(hold_result=True)
        assert around.loads and not around.frames
        while not (await around.step()).ended:
            pass
        assert len(around.frames) == len(BLOCKS)

    simulated().run(bench)


def test_no_tokens_need_no_load():
    async def bench(ctx):
        around = Surroundings(ctx, simulated().dut, [], 0)
        await around.start()
        assert not (await around.step()).ended      # hands the result over
        assert (await around.step()).ended
        assert not around.loads and around.results[0].empty

    simulated().run(bench)


@pytest.mark.parametrize("dropped_after", [0, 1, 2])
def test_stops_when_its_frames_are_dropped(dropped_after):
    async def bench(ctx):
        dut = simulated().dut
        around = Surroundings(ctx, dut, BLOCKS, 3 * OUTPUTS)
        await around.start()
        while len(around.frames) < dropped_after or not around.results:
            await around.step(dropping=1, waiting=1)    # of the result before: not this one's
        frames = len(around.frames)
        await around.step(dropping=1, waiting=0)        # may still command a block
        frames = len(around.frames)
        while not (seen := await around.step()).aborted:
            assert seen.take and not seen.ended
        assert len(around.frames) == frames and around.taken == len(BLOCKS)
        assert not seen.ended
        assert not (await around.step(dropping=0, quiet=0)).ended
        seen = await around.step(quiet=1)
        assert seen.ended and seen.loader_free
        assert not (await around.step()).aborted

    simulated().run(bench)


def test_dropped_in_its_last_cycle_it_needs_no_loader_but_is_not_over():
    async def bench(ctx):
        around = Surroundings(ctx, simulated().dut, BLOCKS[:1], 3)
        await around.start()
        while not around.frames:
            await around.step(quiet=0)
        await around.step(quiet=0)
        seen = await around.step(quiet=1, dropping=1, waiting=0)
        assert seen.loader_free and not seen.ended
        assert not (await around.step()).ended
        assert (await around.step(dropping=0)).ended

    simulated().run(bench)
