"""Executor of appends and frees: what changes the KV of a sequence."""

from amaranth import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from ouroboros.hw.array.job import head_chunks, job_layout
from ouroboros.hw.array.write import append_job_layout
from ouroboros.hw.kv.layout import BLOCK_BITS, KvOp, kv_command_layout, kv_reply_layout
from ouroboros.hw.kv.members import BlockOwner
from ouroboros.hw.lib.bus import done_layout
from ouroboros.hw.lib.struct import struct
from ouroboros.hw.params import isa
from ouroboros.hw.params.isa import Op
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import KV_CONFIG

__all__ = ["AppendExecutor"]


class AppendExecutor(wiring.Component):
    """Runs APPEND and FREE.

    An APPEND whose block belongs to another member does nothing; else the KV manager finds or
    allocates the block, and the row writer writes K and V of the token there. Whatever is not an
    APPEND is a FREE.

    Parameters
    ----------
    machine : Machine
        Sizes.

    Members
    -------
    job : In(job_layout(machine))
        The instruction, from ``start`` to ``ended``.
    settings : In(KV_CONFIG)
        Of the KV manager.
    start, ended : In(1), Out(1)
        First cycle, in which nothing happens yet, and last one.
    query, answer : Out(stream(kv_command_layout)), In(stream(kv_reply_layout))
        KV manager.
    append, appended : Out(stream(append_job_layout(machine))), In(1)
        Row writer, and the end of one of its jobs.
    done : Out(stream)
        Completions; ``poison`` if the KV manager refused.
    full : Out(1)
        It refused for want of a block.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        super().__init__({
            "job":      In(job_layout(machine)),
            "settings": In(struct(KV_CONFIG)),
            "start":    In(1),
            "ended":    Out(1),
            "query":    Out(stream.Signature(kv_command_layout(machine))),
            "answer":   In(stream.Signature(kv_reply_layout(machine))),
            "append":   Out(stream.Signature(append_job_layout(machine))),
            "appended": In(1),
            "done":     Out(stream.Signature(done_layout(machine))),
            "full":     Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        cim, issue, settings = self.machine.cim, self.job.issue, self.settings
        fields = data.View(struct(isa.APPEND), issue.instruction)
        query, answer, append = self.query.p, self.answer.p, self.append.p
        chunks = head_chunks(self.machine, settings)
        block = Signal(BLOCK_BITS)
        m.submodules.owner = owner = BlockOwner(self.machine)

        m.d.comb += [
            owner.settings.eq(settings), owner.sequence.eq(issue.sequence),
            owner.index.eq(issue.position >> exact_log2(cim.outputs)),
            query.op.eq(KvOp.APPEND), query.sequence.eq(issue.sequence),
            query.head.eq(fields.head), query.block.eq(block), query.token.eq(issue.position),
            append.k_addr.eq(issue.base + fields.k), append.v_addr.eq(issue.base + fields.v),
            append.k_macro.eq(answer.k.macro), append.v_macro.eq(answer.v.macro),
            append.k_row.eq(answer.k.block * settings.k_groups << exact_log2(cim.active_rows)),
            append.v_row.eq(Cat(query.token, answer.v.block)), append.token.eq(query.token),
            append.v_chunk.eq(answer.v.slot * chunks), append.chunks.eq(chunks),
            self.done.p.slot.eq(issue.slot),
        ]
        m.d.sync += self.full.eq(0)

        with m.FSM():
            with m.State("Await"):
                m.d.sync += self.done.p.poison.eq(0)
                with m.If(self.start):
                    m.next = "Free"
                    with m.If(fields.op == Op.APPEND):
                        m.next = "FindMember"

            with m.State("FindMember"):
                m.d.sync += block.eq(owner.own)
                m.next = "Finish"
                with m.If(owner.turn == owner.mine):
                    m.next = "Allocate"
            with m.State("Allocate"):
                m.d.comb += self.query.valid.eq(1)
                with m.If(self.query.ready):
                    m.next = "Append"
            with m.State("Append"):
                m.d.comb += self.answer.ready.eq(1)
                with m.If(self.answer.valid):
                    m.d.sync += [self.done.p.poison.eq(~answer.ok), self.full.eq(answer.full)]
                    m.next = "Finish"
                    with m.If(answer.ok):
                        m.d.comb += self.append.valid.eq(1)
                        m.next = "Write"
            with m.State("Write"):
                with m.If(self.appended):
                    m.next = "Finish"

            with m.State("Free"):
                m.d.comb += [self.query.valid.eq(1), query.op.eq(KvOp.FREE)]
                with m.If(self.query.ready):
                    m.next = "Forget"
            with m.State("Forget"):
                m.d.comb += self.answer.ready.eq(1)
                with m.If(self.answer.valid):
                    m.next = "Finish"

            with m.State("Finish"):
                m.d.comb += self.done.valid.eq(1)
                with m.If(self.done.ready):
                    m.d.comb += self.ended.eq(1)
                    m.next = "Await"

        return m
