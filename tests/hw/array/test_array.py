import gc
import random
import re
import warnings
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from amaranth.hdl import UnusedElaboratable

from ouroboros.hw.array.array import ArrayUnit
from ouroboros.hw.params.isa import Op, assemble
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import KV_CONFIG, Unit
from ouroboros.hw.params.timing import array as timing
from ouroboros.sw.golden.array import ArrayGolden, Issue, local_tokens
from ouroboros.sw.golden.kv import KvSettings
from ouroboros.tb.array.agent import ArrayAgent
from ouroboros.tb.lib.pysim import PySim

TINY = load_machine("tiny")
TINY = replace(TINY, cim=replace(TINY.cim, rows=32))
LANES = TINY.core.lanes
SETTINGS = KvSettings(k_macros=0b0011, v_macros=0b1100, k_groups=1, k_blocks=4, v_slots=2,
                      head_dim=8, heads=2)


def written_together(rows):
    """The machine, with K written to so many rows at once."""
    return replace(TINY, cim=replace(TINY.cim, k_write_rows_per_cycle=rows))


@cache
def simulated(machine=TINY):
    return PySim(ArrayUnit(machine))


class Bench:
    """An array unit with its buffer, configured like its golden model."""

    def __init__(self, settings=SETTINGS, *, seed=1, machine=TINY):
        self.rng = np.random.default_rng(seed)
        self.machine, self.golden = machine, ArrayGolden(machine, settings)
        self.byte_writes = 0
        self.sim = simulated(machine)
        self.dut = self.sim.dut
        self.golden.buffer[:] = self.rng.integers(-128, 128, self.golden.buffer.shape)

    def run(self, story):
        async def testbench(ctx):
            await self.configure(ctx)
            await story(self, ctx)

        self.sim.run(testbench, self._buffer)

    async def _buffer(self, ctx):
        read = self.dut.read
        async for *_, en, addr in ctx.tick().sample(read.en, read.addr):
            if en:
                word = self.golden.buffer[addr % TINY.core.buffer_words]
                ctx.set(read.data, int.from_bytes(word.tobytes(), "little"))

    async def configure(self, ctx):
        if self.golden.kv:
            await self.write(ctx, Unit.KV, 0, KV_CONFIG.pack(self.golden.kv.settings.fields()))
            await ctx.tick().repeat(timing.KV_WIPE_CYCLES)

    async def write(self, ctx, unit, address, value):
        config = self.dut.config
        ctx.set(config.unit, unit)
        ctx.set(config.address, address)
        ctx.set(config.data, value)
        ctx.set(config.valid, 1)
        await ctx.tick()
        ctx.set(config.valid, 0)

    async def weights(self, ctx, macros=range(TINY.core.macros), rows=range(TINY.cim.rows)):
        for macro in macros:
            for row in rows:
                values = self.rng.integers(-128, 128, TINY.cim.outputs)
                self.golden.weights[macro, row] = values
                await self.write(ctx, Unit.WEIGHT + macro, row,
                                 int.from_bytes(values.astype(np.int8).tobytes(), "little"))

    async def steps(self, ctx, masks):
        for index, mask in enumerate(masks):
            self.golden.steps[index] = mask
            await self.write(ctx, Unit.STEP, index, mask)

    async def issue(self, ctx, op, fields=None, **token):
        """Issue an instruction; its outcome and how long it took until ``done``."""
        issue = Issue(instruction=assemble(op, **fields or {}), **token)
        ctx.set(self.dut.issue.p, issue.fields())
        ctx.set(self.dut.issue.valid, 1)
        await ctx.tick().until(self.dut.issue.ready)
        ctx.set(self.dut.issue.valid, 0)
        outcome = self.golden.run(issue)
        cycles = 1
        while True:
            *_, valid, p, written = await ctx.tick().sample(
                self.dut.done.valid, self.dut.done.p, self.dut.events.byte_writes)
            self.byte_writes += written
            if valid:
                break
            cycles += 1
            assert cycles < 2000, f"{op!r} is never done"
        assert (p.slot, p.poison) == (issue.slot, outcome.poison)
        return outcome, cycles

    async def drain(self, ctx, beats, *, count=None, ready=1.0):
        """Take beats, compare them, release; how long it took until the last one."""
        rng = random.Random(len(beats))
        drain, wanted = self.dut.drain, list(beats)[:count]
        got, waited = [], 0
        while len(got) < len(wanted):
            ctx.set(drain.ready, rng.random() < ready)
            *_, valid, taken, p = await ctx.tick().sample(drain.valid, drain.ready, drain.p)
            if valid and taken:
                got.append((tuple(p.data[n] for n in range(LANES)), p.valid))
            waited += 1
            assert waited < 4000, f"only {len(got)} of {len(wanted)} beats came"
        assert got == wanted
        ctx.set(drain.ready, 0)
        ctx.set(self.dut.released, 1)
        *_, extra = await ctx.tick().sample(drain.valid)
        ctx.set(self.dut.released, 0)
        assert not extra or count is not None
        return waited


def kv_token(position, *, sequence=0, members=1, member=0):
    settings = replace(SETTINGS, members=members, member=member)
    return {"sequence": sequence, "position": position, "base": position,
            "tokens": local_tokens(TINY, settings, position)}


@pytest.mark.parametrize(("cim", "message"), [
    ({"outputs": 8}, "cim.outputs must be a multiple of 4 x core.lanes (16), not 8"),
])
def test_refuses_what_it_cannot_do(cim, message):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnusedElaboratable)
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            ArrayUnit(replace(TINY, cim=replace(TINY.cim, **cim)))
        gc.collect()


def test_mvm_adds_macros_and_concatenates_steps():
    async def story(bench, ctx):
        await bench.weights(ctx)
        await bench.steps(ctx, [0b0011, 0b1100, 0b0100])
        for first, groups in ((0, 4), (1, 3)):
            _, cycles = await bench.issue(
                ctx, Op.LOAD, {"src": 3, "length": 19, "macros": 0b0101}, base=20)
            assert cycles == timing.LOAD_CYCLES
            await bench.issue(
                ctx, Op.LOAD, {"src": 9, "length": 16, "offset": 1, "macros": 0b1010}, base=20)
            await ctx.tick().repeat(9)
            outcome, cycles = await bench.issue(
                ctx, Op.MVM, {"macros": 0b1111, "steps": 3, "first_group": first})
            assert cycles == timing.mvm_cycles(TINY, min(groups, 3))
            assert len(outcome.beats(LANES)) == 12
            assert await bench.drain(ctx, outcome.beats(LANES)) == timing.drain_cycles(TINY, 12)

    Bench(None).run(story)


@pytest.mark.parametrize(("tiles", "tile", "length", "wait"), [
    (1, 0, 32, 0), (1, 0, 19, 3), (2, 2, 32, 0), (2, 2, 1, 0), (3, 1, 9, 0), (4, 2, 32, 0),
    (4, 2, 31, 2), (4, 2, 1, 11), (4, 2, 32, 40), (1, 0, 0, 0)])
def test_macros_begin_with_what_is_loaded(tiles, tile, length, wait):
    """Three times, so that both banks have had something else before; weights past the last group
    are not there to be multiplied.
    """
    async def story(bench, ctx):
        await bench.weights(ctx)
        await bench.steps(ctx, [(1 << tiles) - 1, 1 << tiles - 1])
        loaded = timing.Loaded(length, tiles, tile)
        for first in (0, 1, 3):
            _, cycles = await bench.issue(ctx, Op.LOAD, {
                "src": 2, "length": length, "macros": 1, "tiles": tiles, "tile": tile}, base=20)
            assert cycles == timing.LOAD_CYCLES
            await ctx.tick().repeat(wait) if wait else None
            outcome, cycles = await bench.issue(
                ctx, Op.MVM, {"macros": (1 << tiles) - 1, "steps": 2, "first_group": first})
            assert cycles == timing.mvm_cycles_behind(
                TINY, loaded, timing.LOAD_CYCLES + 1 + wait, first)
            await bench.drain(ctx, outcome.beats(LANES))

    Bench(None).run(story)


def test_cycles_of_a_product_behind_its_load():
    """At the paper's size, five row tiles of 16 words: a load is faster than its product."""
    wafer = load_machine("wafer")
    full = timing.mvm_cycles(wafer, 32)
    assert full == 256 + 4 + 2
    whole = timing.Loaded(1024, 5, 16)
    # All there: an MVM as any other. At once: it waits for the first words of five tiles.
    assert timing.mvm_cycles_behind(wafer, whole, timing.loading_cycles(wafer, whole)) == full
    assert timing.mvm_cycles_behind(wafer, whole, 5) == full + 2
    # Sixteen tiles are loaded as fast as they are multiplied, twenty more slowly.
    assert timing.mvm_cycles_behind(wafer, timing.Loaded(1024, 16, 16), 5) <= full + 16
    assert timing.mvm_cycles_behind(wafer, timing.Loaded(512, 20, 8), 5) > 20 * 8


def test_invalid_operands_and_empty_masks_give_zeros():
    async def story(bench, ctx):
        await bench.weights(ctx, rows=range(4))
        await bench.steps(ctx, [0b1111, 0])
        _, cycles = await bench.issue(ctx, Op.LOAD, {"length": 0, "macros": 0b1111})
        assert cycles == timing.LOAD_CYCLES
        await ctx.tick().repeat(9)
        outcome, cycles = await bench.issue(ctx, Op.MVM, {"macros": 0b1111, "steps": 2})
        assert cycles == timing.mvm_cycles(TINY, 0)
        await bench.drain(ctx, outcome.beats(LANES))
        await bench.issue(ctx, Op.LOAD, {"length": 16, "macros": 0b0001})
        outcome, _ = await bench.issue(ctx, Op.MVM, {"macros": 0b0001, "steps": 0})
        await bench.drain(ctx, outcome.beats(LANES))
        await bench.issue(ctx, Op.LOAD, {"length": 16, "macros": 0b0010})  # row 1 has no operand
        outcome, _ = await bench.issue(ctx, Op.MVM, {"macros": 0b1111, "step": 1, "steps": 1})
        await bench.drain(ctx, outcome.beats(LANES), ready=0.3)

    Bench(None).run(story)


@pytest.mark.long
def test_kv_of_two_sequences_scores_and_contexts():
    async def story(bench, ctx):
        for position in range(20):
            for sequence in (0, 1):
                token = kv_token(position, sequence=sequence)
                outcome, cycles = await bench.issue(ctx, Op.APPEND, {"k": 1, "v": 30, "head": 1},
                                                    **token)
                assert not outcome.poison
                assert cycles == timing.append_cycles(TINY, 8, new_block=position % 16 == 0)
                if position not in (0, 7, 15, 19):
                    continue
                outcome, cycles = await bench.issue(ctx, Op.SCORE, {"src": 60, "head": 1}, **token)
                assert cycles == timing.score_cycles(TINY, 8, 1, position + 1)
                assert (await bench.drain(ctx, outcome.beats(LANES))
                        == timing.drain_cycles(TINY, len(outcome.beats(LANES))))
                outcome, cycles = await bench.issue(ctx, Op.CONTEXT, {"src": 9, "head": 1}, **token)
                places = [bench.golden.kv.lookup(sequence, 1, block).v.macro
                          for block in range(position // 16 + 1)]
                assert cycles == timing.context_cycles(TINY, places, position + 1)
                assert len(outcome.beats(LANES)) == 2
                await bench.drain(ctx, outcome.beats(LANES))
        _, cycles = await bench.issue(ctx, Op.FREE, sequence=1)
        assert cycles == timing.free_cycles(2)
        _, cycles = await bench.issue(ctx, Op.FREE, sequence=1)
        assert cycles == timing.free_cycles(0)

    Bench().run(story)


def test_no_tokens_and_other_members():
    async def story(bench, ctx):
        token = kv_token(15, members=2, member=1)
        assert token["tokens"] == 0
        _, cycles = await bench.issue(ctx, Op.APPEND, {"v": 30}, **token)
        assert cycles == timing.append_cycles(TINY, 8, local=False)
        outcome, cycles = await bench.issue(ctx, Op.SCORE, **token)
        assert (outcome.beats(LANES), cycles) == ([], timing.score_cycles(TINY, 8, 1, 0))
        await bench.drain(ctx, ())
        outcome, cycles = await bench.issue(ctx, Op.CONTEXT, **token)
        assert (len(outcome.beats(LANES)), cycles) == (2, timing.context_cycles(TINY, [], 0))
        await bench.drain(ctx, outcome.beats(LANES))
        for position in (16, 31, 32, 48):
            token = kv_token(position, members=2, member=1)
            await bench.issue(ctx, Op.APPEND, {"v": 30}, **token)
            for op in (Op.SCORE, Op.CONTEXT):
                outcome, _ = await bench.issue(ctx, op, {"src": 3}, **token)
                await bench.drain(ctx, outcome.beats(LANES))
        assert bench.golden.kv.used == 2  # blocks 1 and 3 of the sequence

    Bench(replace(SETTINGS, members=2, member=1)).run(story)


def test_full_core_poisons_and_loses_nothing():
    settings = replace(SETTINGS, k_macros=0b0001, k_blocks=2)

    async def story(bench, ctx):
        poisons = [(await bench.issue(ctx, Op.APPEND, {"v": 30}, **kv_token(0, sequence=n)))[0]
                   .poison for n in range(4)]
        assert poisons == [False, False, True, True]
        assert ctx.get(bench.dut.kv_blocks) == 2
        outcome, _ = await bench.issue(ctx, Op.SCORE, **kv_token(0, sequence=1))
        await bench.drain(ctx, outcome.beats(LANES))
        await bench.issue(ctx, Op.FREE, sequence=0)
        assert ctx.get(bench.dut.kv_blocks) == 1
        outcome, _ = await bench.issue(ctx, Op.APPEND, {"v": 30}, **kv_token(0, sequence=3))
        assert not outcome.poison

    Bench(settings).run(story)


def test_more_blocks_than_macros_holes_and_release_in_the_middle():
    settings = replace(SETTINGS, k_macros=0b0001)

    async def story(bench, ctx):
        await bench.weights(ctx)
        for position in (0, 5, 15, 16, 30, 48, 50):  # block 2 was never appended
            await bench.issue(ctx, Op.APPEND, {"v": 30}, **kv_token(position))
        token = kv_token(50)
        for count, ready in ((None, 1.0), (None, 0.4), (0, 1.0), (3, 1.0), (4, 0.5), (7, 1.0),
                             (None, 1.0)):
            outcome, _ = await bench.issue(ctx, Op.SCORE, {"src": 70}, **token)
            assert len(outcome.beats(LANES)) == 16
            await bench.drain(ctx, outcome.beats(LANES), count=count, ready=ready)
            outcome, _ = await bench.issue(ctx, Op.CONTEXT, {"src": 90}, **token)
            await bench.drain(ctx, outcome.beats(LANES), count=count and min(count, 1), ready=ready)

    Bench(settings).run(story)


@pytest.mark.parametrize(("stall", "rows"), [(0.0, 1), (0.5, 1), (0.3, 4), (0.0, 8)])
def test_random_programs(stall, rows):
    """Weight and KV tokens of all slots interleave; every beat, poison and event is right."""
    machine = written_together(rows)
    agent = ArrayAgent(machine, tokens=8, stall=stall, rng=random.Random(4))
    simulated(machine).tell(agent.run)
    assert agent.beats_checked > 20


@pytest.mark.parametrize(("rows", "head_dim"), [(1, 8), (4, 8), (8, 8), (8, 4), (8, 12)])
def test_rows_of_k_written_together(rows, head_dim):
    """Every row takes its byte, in fewer cycles; weights come whole, row by row."""
    machine = written_together(rows)
    settings = replace(SETTINGS, head_dim=head_dim, k_groups=-(-head_dim // 8), k_blocks=2,
                       v_slots=TINY.cim.outputs // head_dim)

    async def story(bench, ctx):
        await bench.weights(ctx)
        await bench.steps(ctx, [0b0010])
        for position in (0, 3, 7, 14, 15):
            _, cycles = await bench.issue(ctx, Op.APPEND, {"k": 5, "v": 30}, **kv_token(position))
            assert cycles == timing.append_cycles(machine, head_dim, new_block=position == 0)
        assert bench.byte_writes == 5 * head_dim
        outcome, _ = await bench.issue(ctx, Op.SCORE, {"src": 60}, **kv_token(15))
        await bench.drain(ctx, outcome.beats(LANES))
        outcome, _ = await bench.issue(ctx, Op.CONTEXT, {"src": 9}, **kv_token(15))
        await bench.drain(ctx, outcome.beats(LANES))
        # Macro 1 has no KV: its weights are as they were written.
        await bench.issue(ctx, Op.LOAD, {"src": 9, "length": 32, "macros": 0b0010}, base=20)
        outcome, _ = await bench.issue(ctx, Op.MVM, {"macros": 0b0010, "steps": 1})
        await bench.drain(ctx, outcome.beats(LANES))

    Bench(settings, machine=machine).run(story)


def test_loads_and_drains_hide_behind_the_next_mvm():
    async def story(bench, ctx):
        await bench.steps(ctx, [0b1111])
        await bench.weights(ctx, macros=[1], rows=range(8))
        dut, tokens = bench.dut, 6
        queue = [(op, slot) for slot in range(tokens)
                 for op in (assemble(Op.LOAD, src=slot, length=32, macros=0b1111),
                            assemble(Op.MVM, macros=0b1111, steps=1))]
        wanted = [beat for op, slot in queue for beat in bench.golden.run(
            Issue(instruction=op, slot=slot)).beats(LANES)]
        dones, finished, got, active = {}, [], [], 0
        ctx.set(dut.drain.ready, 1)
        for cycle in range(400):
            ctx.set(dut.issue.valid, bool(queue))
            if queue:
                ctx.set(dut.issue.p.instruction, queue[0][0])
                ctx.set(dut.issue.p.slot, queue[0][1])
            *_, ready, done, slot, valid, p, groups = await ctx.tick().sample(
                dut.issue.ready, dut.done.valid, dut.done.p.slot, dut.drain.valid, dut.drain.p,
                dut.events.groups_active)
            ctx.set(dut.released, 0)
            active += groups
            if queue and ready:
                queue.pop(0)
            if done:
                dones[slot] = dones.get(slot, 0) + 1
                if dones[slot] == 2:
                    finished.append(cycle)
            if valid:
                got.append((tuple(p.data[n] for n in range(LANES)), p.valid))
                ctx.set(dut.released, len(got) % 4 == 0)
        assert got == wanted
        assert np.diff(finished).tolist() == [TINY.cim.command_cycles(4)] * (tokens - 1)
        assert active == tokens * 4 * TINY.cim.command_cycles(4)

    Bench(None).run(story)
