from functools import cache

import pytest

from ouroboros.hw.array.append import AppendExecutor
from ouroboros.hw.kv.layout import KvOp
from ouroboros.hw.params.isa import Op, assemble
from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.lib.pysim import PySim

TINY = load_machine("tiny")
BLOCK = TINY.block_tokens


@cache
def simulated():
    return PySim(AppendExecutor(TINY))


class Bench:
    """One instruction; the KV manager takes 2 cycles, the row writer 3, ``done`` waits 2."""

    def __init__(self, ctx, *, members=1, member=0, ring=0):
        self.ctx, self.dut = ctx, simulated().dut
        settings = self.dut.settings
        for name, value in (("members", members), ("member", member), ("ring", ring),
                            ("head_dim", 8), ("k_groups", 2)):
            ctx.set(settings[name], value)
        self.queries, self.appends, self.done, self.full = [], [], [], 0

    async def run(self, instruction, *, position=0, sequence=9, answer=None):
        """Cycles from ``start`` to ``ended``."""
        ctx, dut, events = self.ctx, self.dut, {}
        ctx.set(dut.job, {"issue": {"instruction": instruction, "slot": 6, "base": 300,
                                    "sequence": sequence, "position": position}, "bank": 0})
        ctx.set(dut.answer.p, answer or {"ok": 1})
        for cycle in range(60):
            ctx.set(dut.start, cycle == 0)
            for name, signal in (("query", dut.query.ready), ("answer", dut.answer.valid),
                                 ("append", dut.append.ready), ("appended", dut.appended),
                                 ("done", dut.done.ready)):
                ctx.set(signal, events.get(name) == cycle)
            if ctx.get(dut.query.valid):
                events.setdefault("query", cycle + 1)
                if events["query"] == cycle:
                    self.queries.append(ctx.get(dut.query.p))
                    events["answer"] = cycle + 2
                    ctx.set(dut.query.ready, 1)
            if ctx.get(dut.append.valid):
                self.appends.append(ctx.get(dut.append.p))
                events["appended"] = cycle + 3
            if ctx.get(dut.done.valid):
                events.setdefault("done", cycle + 2)
                if events["done"] == cycle:
                    self.done.append(ctx.get(dut.done.p))
            assert ctx.get(dut.answer.ready) or not ctx.get(dut.answer.valid)
            ended = ctx.get(dut.ended)
            self.full += ctx.get(dut.full)
            await ctx.tick()
            if ended:
                assert events["done"] == cycle
                return cycle
        raise AssertionError("the instruction is never over")


APPEND = assemble(Op.APPEND, k=4, v=11, head=1)
PLACE = {"ok": 1, "full": 0, "k": {"macro": 1, "block": 1},
         "v": {"macro": 3, "block": 0, "slot": 1}}


def test_append_writes_where_the_manager_says():
    async def story(ctx):
        bench = Bench(ctx)
        position = 5 * BLOCK + 3
        cycles = await bench.run(APPEND, position=position, answer=PLACE)
        (query,), (append,), (done,) = bench.queries, bench.appends, bench.done
        assert (query.op, query.sequence, query.head, query.block, query.token) == (
            KvOp.APPEND, 9, 1, 5, 3)
        assert (append.k_addr, append.v_addr, append.token) == (304, 311, 3)
        assert (append.k_macro, append.k_row) == (1, 2 * TINY.cim.active_rows)
        assert (append.v_macro, append.v_row) == (3, 3)
        assert (append.v_chunk, append.chunks) == (2, 2)    # slot 1 of 8 elements, 4 a chunk
        assert (done.slot, done.poison, bench.full) == (6, 0, 0)
        assert cycles == 1 + 1 + 2 + 2 + 3 + 2

    simulated().run(story)


@pytest.mark.parametrize(("member", "local"), [(0, 0), (1, 1), (2, 0)])
def test_a_block_belongs_to_one_member(member, local):
    """Of three."""
    async def story(ctx):
        bench = Bench(ctx, members=3, member=member)
        await bench.run(APPEND, position=(3 * 3 + 1) * BLOCK, answer=PLACE)
        assert len(bench.queries) == len(bench.appends) == local
        assert bench.done[0].poison == 0
        if local:
            assert bench.queries[0].block == 3

    simulated().run(story)


@pytest.mark.parametrize("sequence", range(4))
def test_on_a_ring_sequences_begin_at_different_members(sequence):
    """Block 4 of three members: one after that of the sequence's first block."""
    async def story(ctx):
        for member in range(3):
            bench = Bench(ctx, members=3, member=member, ring=1)
            await bench.run(APPEND, position=4 * BLOCK, sequence=sequence, answer=PLACE)
            local = member == (4 + sequence) % 3
            assert len(bench.queries) == len(bench.appends) == local
            if local:
                assert bench.queries[0].block == 1

    simulated().run(story)


@pytest.mark.parametrize("full", [0, 1])
def test_refused_append_poisons_only_its_own_token(full):
    async def story(ctx):
        bench = Bench(ctx)
        await bench.run(APPEND, answer={**PLACE, "ok": 0, "full": full})
        assert not bench.appends and bench.done[0].poison == 1
        assert bench.full == full
        await bench.run(assemble(Op.FREE))
        assert bench.done[1].poison == 0
        assert bench.full == full

    simulated().run(story)


def test_free_forgets_the_sequence():
    async def story(ctx):
        bench = Bench(ctx, members=3, member=1)
        await bench.run(assemble(Op.FREE), position=7)
        (query,) = bench.queries
        assert (query.op, query.sequence) == (KvOp.FREE, 9)
        assert not bench.appends and (bench.done[0].slot, bench.done[0].poison) == (6, 0)

    simulated().run(story)
