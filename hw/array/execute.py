"""Compute stage of the array unit: gives each instruction to its executor, one at a time."""

from amaranth import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ouroboros.hw.array.append import AppendExecutor
from ouroboros.hw.array.command import CommandHolder
from ouroboros.hw.array.context import ContextExecutor
from ouroboros.hw.array.job import job_layout
from ouroboros.hw.array.load import load_job_layout
from ouroboros.hw.array.multiply import MultiplyExecutor
from ouroboros.hw.array.result import frame_layout, result_layout
from ouroboros.hw.array.score import ScoreExecutor
from ouroboros.hw.array.walk import BlockWalk
from ouroboros.hw.array.write import append_job_layout
from ouroboros.hw.cim.sequencer import command_layout, operand_words
from ouroboros.hw.kv.layout import kv_command_layout, kv_reply_layout
from ouroboros.hw.lib.bus import done_layout, issue_layout
from ouroboros.hw.lib.struct import struct
from ouroboros.hw.params import isa
from ouroboros.hw.params.isa import Op
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import KV_CONFIG

__all__ = ["Executor"]


class Executor(wiring.Component):
    """Runs MVM, APPEND, SCORE, CONTEXT and FREE, one at a time.

    MVM leaves as soon as all its macros have taken the command and its result waits at the drain
    stage. The others begin when all macros are idle and leave when they are again. SCORE and
    CONTEXT ask the KV manager ahead and keep at most one command waiting for a busy macro.

    Members
    -------
    op : In(stream(issue_layout(machine)))
        Instructions.
    bank : In(1)
        Operand bank: for an MVM the one just loaded, for the others an idle one.
    rows, operands : In
        For an MVM: complete rows of operand words, and whether all are there.
    settings : In(KV_CONFIG)
        Of the KV manager.
    query, answer : Out(stream), In(stream)
        KV manager.
    load, loaded : Out(stream), In(1)
        Operand loader, and the end of one of its jobs.
    append, appended : Out(stream), In(1)
        Row writer.
    command, pending, ready : Out, Out, In
        A command for all macros in ``pending``, each of which takes it when ready.
    result, frame : Out(stream), Out(stream)
        Drain stage.
    dropping, waiting, aborted : In, In, Out
        Frames of the current result are being dropped; another result waits; no more frames of
        the dropped one will come.
    done : Out(stream)
        Completions of APPEND and FREE.
    idle, attention : Out(1)
        Has no instruction; has one other than MVM, which may still need the loader.
    full : Out(1)
        An APPEND was refused for want of a block.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        macros = machine.core.macros
        super().__init__({
            "op":         In(stream.Signature(issue_layout(machine))),
            "bank":       In(1),
            "rows":       In(range(operand_words(machine) + 1)),
            "operands":   In(1),
            "settings":   In(struct(KV_CONFIG)),
            "query":      Out(stream.Signature(kv_command_layout(machine))),
            "answer":     In(stream.Signature(kv_reply_layout(machine))),
            "load":       Out(stream.Signature(load_job_layout(machine))),
            "loaded":     In(1),
            "append":     Out(stream.Signature(append_job_layout(machine))),
            "appended":   In(1),
            "command":    Out(command_layout(machine)),
            "pending":    Out(macros),
            "ready":      In(macros),
            "result":     Out(stream.Signature(result_layout(machine))),
            "frame":      Out(stream.Signature(frame_layout(machine))),
            "dropping":   In(1),
            "waiting":    In(1),
            "aborted":    Out(1),
            "done":       Out(stream.Signature(done_layout(machine))),
            "idle":       Out(1),
            "attention":  Out(1),
            "full":       Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        m.submodules.multiply = multiply = MultiplyExecutor(self.machine)
        m.submodules.score = score = ScoreExecutor(self.machine)
        m.submodules.contexts = context = ContextExecutor(self.machine)
        m.submodules.append = append = AppendExecutor(self.machine)
        m.submodules.walk = walk = BlockWalk(self.machine)
        m.submodules.holder = holder = CommandHolder(self.machine)
        self._connect(m, multiply, score, context, append, walk, holder)

        op, held = self.op.p, Signal(job_layout(self.machine))
        head, quiet = data.View(struct(isa.SCORE), held.issue.instruction).head, holder.quiet
        code = data.View(struct(isa.BARE), op.instruction).op
        m.d.comb += [
            multiply.job.p.issue.eq(op), multiply.job.p.bank.eq(self.bank),
            multiply.rows.eq(self.rows), multiply.loaded.eq(self.operands),
            walk.tokens.eq(op.tokens), walk.sequence.eq(held.issue.sequence), walk.head.eq(head),
            *(part.job.eq(held) for part in (score, context, append)),
        ]

        with m.FSM():
            with m.State("Accept"):
                m.d.comb += [self.idle.eq(~multiply.busy), self.op.ready.eq(self.idle)]
                with m.If(self.op.valid & self.op.ready):
                    with m.If(code == Op.MVM):
                        m.d.comb += multiply.job.valid.eq(1)
                    with m.Else():
                        m.d.comb += walk.start.eq(1)
                        m.d.sync += [held.issue.eq(op), held.bank.eq(self.bank),
                                     self.attention.eq(1)]
                        m.next = "Settle"

            with m.State("Settle"):
                with m.Switch(data.View(struct(isa.BARE), held.issue.instruction).op):
                    with m.Case(Op.SCORE):
                        m.d.comb += score.start.eq(quiet)
                    with m.Case(Op.CONTEXT):
                        m.d.comb += context.start.eq(quiet)
                    with m.Default():
                        m.d.comb += append.start.eq(quiet)
                with m.If(quiet):
                    m.next = "Attend"

            with m.State("Attend"):
                with m.If(score.loader_free | context.ended | append.ended):
                    m.d.sync += self.attention.eq(0)
                with m.If(score.ended | context.ended | append.ended):
                    m.next = "Accept"

        return m

    def _connect(self, m, multiply, score, context, append, walk, holder):
        """Streams of the parts; only one executor at a time has anything on its own."""
        _gather(m, self.query, walk.query, append.query)
        _gather(m, self.load, score.load, context.load)
        _gather(m, self.result, multiply.result, score.result, context.result)
        _gather(m, holder.order, multiply.order, score.order, context.order)
        connect(m, score.walk, walk.walks[0])
        connect(m, context.walk, walk.walks[1])
        connect(m, score.frame, flipped(self.frame))
        connect(m, append.append, flipped(self.append))
        connect(m, append.done, flipped(self.done))
        for part in (walk, append):
            m.d.comb += [part.answer.valid.eq(self.answer.valid),
                         part.answer.p.eq(self.answer.p)]
        for part in (score, context, append):
            m.d.comb += part.settings.eq(self.settings)
        for part in (score, context):
            m.d.comb += [part.loaded.eq(self.loaded), part.quiet.eq(holder.quiet)]
        m.d.comb += [
            self.answer.ready.eq(walk.answer.ready | append.answer.ready),
            append.appended.eq(self.appended), self.full.eq(append.full),
            score.waiting.eq(self.waiting), score.dropping.eq(self.dropping),
            self.aborted.eq(score.aborted),
            self.command.eq(holder.command), self.pending.eq(holder.pending),
            holder.ready.eq(self.ready),
        ]


def _gather(m, target, *sources):
    """Connects streams of which at most one is valid to the one they share."""
    for source in sources:
        m.d.comb += source.ready.eq(target.ready)
        with m.If(source.valid):
            m.d.comb += [target.valid.eq(1), target.p.eq(source.p)]
