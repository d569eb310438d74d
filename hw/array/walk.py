"""Walk over the blocks of a sequence, as SCORE and CONTEXT need it."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from ouroboros.hw.kv.layout import BLOCK_BITS, KvOp, kv_command_layout, kv_reply_layout
from ouroboros.hw.lib.bus import issue_layout
from ouroboros.hw.params.machine import Machine

__all__ = ["BlockWalk", "Walk"]


class Walk(wiring.Signature):
    """A walk seen from the one who takes its blocks; ``Out`` at the taker.

    ``ask`` lets the KV manager be asked ahead. ``valid``: the next block is known, ``place`` is
    where, ``count`` its tokens; ``take`` goes on to the one after. Of ``blocks`` blocks in all,
    ``taken`` have been taken; ``under_way``: more have been asked for.
    """

    def __init__(self, machine: Machine):
        super().__init__({
            "ask":       Out(1),
            "take":      Out(1),
            "valid":     In(1),
            "place":     In(kv_reply_layout(machine)),
            "count":     In(range(machine.cim.outputs + 1)),
            "blocks":    In(BLOCK_BITS),
            "taken":     In(BLOCK_BITS),
            "under_way": In(1),
        })


class BlockWalk(wiring.Component):
    """Looks up the blocks of a sequence one after the other, ahead of their use.

    ``start`` begins a walk over the blocks of ``tokens`` local tokens. A look-up is made in each
    cycle with ``ask`` in which the KV manager takes one, until all blocks are asked for; answers
    come in the same order.

    Parameters
    ----------
    machine : Machine
        Sizes.

    Members
    -------
    start, tokens : In(1), In
        A new walk; how many local tokens there are.
    sequence, head : In
        Whose blocks; from the cycle after ``start`` to the end of the walk.
    query, answer : Out(stream(kv_command_layout)), In(stream(kv_reply_layout))
        KV manager.
    walks : In(Walk(machine)).array(2)
        Who takes the blocks: one of them at a time.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        query, issue = kv_command_layout(machine), issue_layout(machine)
        super().__init__({
            "start":    In(1),
            "tokens":   In(issue["tokens"].shape),
            "sequence": In(query["sequence"].shape),
            "head":     In(query["head"].shape),
            "query":    Out(stream.Signature(query)),
            "answer":   In(stream.Signature(kv_reply_layout(machine))),
            "walks":    In(Walk(machine)).array(2),
        })

    def elaborate(self, platform):
        m = Module()

        outputs, query = self.machine.cim.outputs, self.query.p
        blocks, asked, taken = (Signal(BLOCK_BITS, name=name)
                                for name in ("blocks", "asked", "taken"))
        tokens_left, count = Signal.like(self.tokens), Signal(range(outputs + 1))
        ask, take = (Cat(getattr(walk, name) for walk in self.walks).any()
                     for name in ("ask", "take"))

        m.d.comb += [
            query.op.eq(KvOp.LOOKUP), query.sequence.eq(self.sequence),
            query.head.eq(self.head), query.block.eq(asked),
            self.query.valid.eq(ask & (asked != blocks)), self.answer.ready.eq(take),
            count.eq(Mux(tokens_left > outputs, outputs, tokens_left)),
        ]
        for walk in self.walks:
            m.d.comb += [
                walk.valid.eq(self.answer.valid), walk.place.eq(self.answer.p),
                walk.count.eq(count), walk.blocks.eq(blocks), walk.taken.eq(taken),
                walk.under_way.eq(asked != taken),
            ]
        with m.If(self.query.valid & self.query.ready):
            m.d.sync += asked.eq(asked + 1)
        with m.If(take):
            m.d.sync += [taken.eq(taken + 1), tokens_left.eq(tokens_left - count)]
        with m.If(self.start):
            m.d.sync += [
                asked.eq(0), taken.eq(0), tokens_left.eq(self.tokens),
                blocks.eq((self.tokens + (outputs - 1)) >> exact_log2(outputs)),
            ]

        return m
