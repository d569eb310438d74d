"""Executor of scores: q times the keys of a sequence."""

from amaranth import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.array.command import order_layout
from ouroboros.hw.array.job import job_layout
from ouroboros.hw.array.load import load_job_layout
from ouroboros.hw.array.result import ResultKind, frame_layout, result_layout
from ouroboros.hw.array.walk import Walk
from ouroboros.hw.lib.struct import struct
from ouroboros.hw.params import isa
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import KV_CONFIG

__all__ = ["ScoreExecutor"]


class ScoreExecutor(wiring.Component):
    """Runs SCORE: loads q into all K macros, commands block after block, names their frames.

    It is started when all macros are idle, with the walk at its first block. A block is commanded
    as soon as q is loaded, the drain stage has the result, the last command has gone and there is
    room for the frame, which is named in the same cycle; a block that does not exist gets a frame
    of no macro and no command. ``ended`` comes when all blocks are commanded and all macros ready,
    or, if frames are being dropped meanwhile, when every answer on its way has come and the drain
    stage has dropped what it has.

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
    loader_free : Out(1)
        From the next cycle on the loader is not needed; with ``ended`` or before.
    walk : Out(Walk(machine))
        The blocks.
    load, loaded : Out(stream(load_job_layout(machine))), In(1)
        Operand loader, and the end of one of its jobs.
    order, quiet : Out(stream(order_layout(machine))), In(1)
        Commands; none waits and all macros are ready.
    result, frame : Out(stream(result_layout(machine))), Out(stream(frame_layout(machine)))
        To the drain stage, of kind FRAMES.
    waiting, dropping, aborted : In, In, Out
        Of the drain stage: a result waits; frames of the current one are being dropped. No more of
        them will come.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        super().__init__({
            "job":         In(job_layout(machine)),
            "settings":    In(struct(KV_CONFIG)),
            "start":       In(1),
            "ended":       Out(1),
            "loader_free": Out(1),
            "walk":        Out(Walk(machine)),
            "load":        Out(stream.Signature(load_job_layout(machine))),
            "loaded":      In(1),
            "order":       Out(stream.Signature(order_layout(machine))),
            "quiet":       In(1),
            "result":      Out(stream.Signature(result_layout(machine))),
            "frame":       Out(stream.Signature(frame_layout(machine))),
            "waiting":     In(1),
            "dropping":    In(1),
            "aborted":     Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        issue, settings, walk, k = self.job.issue, self.settings, self.walk, self.walk.place.k
        load, frame, result, command = (
            self.load.p, self.frame.p, self.result.p, self.order.p.command)
        src = data.View(struct(isa.SCORE), issue.instruction).src
        # `primed`: q is in the bank; `handed`: the drain stage has the result.
        primed, handed, handing, over = Signal(), Signal(), Signal(), Signal()

        m.d.comb += [
            load.addr.eq(issue.base + src), load.index.eq(0), load.length.eq(settings.head_dim),
            load.macros.eq(settings.k_macros), load.bank.eq(self.job.bank), load.clear.eq(1),
            result.kind.eq(ResultKind.FRAMES), result.slot.eq(issue.slot),
            result.bank.eq(self.job.bank), result.empty.eq(walk.blocks == 0),
            self.result.valid.eq(handing & ~handed),
            frame.macro.eq(k.macro), frame.none.eq(~walk.place.ok),
            frame.last.eq(walk.taken + 1 == walk.blocks),
            self.order.p.macros.eq(walk.place.ok << k.macro),
            command.bank.eq(self.job.bank), command.first.eq(1), command.last.eq(1),
            command.first_group.eq(k.block * settings.k_groups), command.operand_group.eq(0),
            command.groups.eq(settings.k_groups),
            command.columns.eq(walk.place.valid & ((1 << walk.count) - 1)),
        ]
        with m.If(self.result.valid & self.result.ready):
            m.d.sync += handed.eq(1)
        with m.If(self.loaded):
            m.d.sync += primed.eq(1)

        with m.FSM():
            with m.State("Await"):
                m.d.sync += [primed.eq(0), handed.eq(0)]
                with m.If(self.start):
                    m.next = "Load"
                    with m.If(walk.blocks == 0):
                        m.next = "Score"
            with m.State("Load"):
                m.d.comb += [walk.ask.eq(1), handing.eq(1), self.load.valid.eq(1)]
                with m.If(self.load.ready):
                    m.next = "Score"
            with m.State("Score"):
                m.d.comb += [walk.ask.eq(1), handing.eq(1),
                             over.eq((walk.taken == walk.blocks) & handed & self.quiet)]
                with m.If(walk.valid & (primed | self.loaded) & handed & self.order.ready
                          & self.frame.ready):
                    m.d.comb += [walk.take.eq(1), self.frame.valid.eq(1), self.order.valid.eq(1)]
                with m.If(handed & ~self.waiting & self.dropping):
                    m.next = "Abort"
                with m.Elif(over):
                    m.d.comb += self.ended.eq(1)
                    m.next = "Await"
            with m.State("Abort"):
                m.d.comb += [
                    walk.take.eq(walk.under_way & walk.valid),
                    self.aborted.eq(~walk.under_way & self.order.ready),
                    over.eq(self.aborted & ~self.dropping & self.quiet), self.ended.eq(over),
                ]
                with m.If(self.ended):
                    m.next = "Await"
        m.d.comb += self.loader_free.eq(over)

        return m
