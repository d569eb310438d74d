"""Executor of contexts: e times the values of a sequence."""

from amaranth import Cat, Module, Signal
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.array.command import order_layout
from ouroboros.hw.array.job import head_chunks, job_layout
from ouroboros.hw.array.load import load_job_layout
from ouroboros.hw.array.result import ResultKind, result_layout
from ouroboros.hw.array.walk import Walk
from ouroboros.hw.lib.struct import struct
from ouroboros.hw.params import isa
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import KV_CONFIG

__all__ = ["ContextExecutor"]

QUEUE_BLOCKS = 8
"""Blocks whose operands are loaded ahead of their commands."""


class ContextExecutor(wiring.Component):
    """Runs CONTEXT: loads e block after block, commands each block, then collects the sums.

    It is started when all macros are idle, with the walk at its first block. The first load clears
    the banks. A block is commanded when it is loaded and the last command has gone; macros keep
    their sums from block to block until, after the last, a command without groups drains those
    that were used. Blocks that do not exist are passed over. ``ended`` comes when the drain stage
    has the result and all macros are ready.

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
    walk : Out(Walk(machine))
        The blocks.
    load, loaded : Out(stream(load_job_layout(machine))), In(1)
        Operand loader, and the end of one of its jobs.
    order, quiet : Out(stream(order_layout(machine))), In(1)
        Commands; none waits and all macros are ready.
    result : Out(stream(result_layout(machine)))
        To the drain stage, of kind SUM.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        super().__init__({
            "job":      In(job_layout(machine)),
            "settings": In(struct(KV_CONFIG)),
            "start":    In(1),
            "ended":    Out(1),
            "walk":     Out(Walk(machine)),
            "load":     Out(stream.Signature(load_job_layout(machine))),
            "loaded":   In(1),
            "order":    Out(stream.Signature(order_layout(machine))),
            "quiet":    In(1),
            "result":   Out(stream.Signature(result_layout(machine))),
        })

    def elaborate(self, platform):
        m = Module()

        cim, word_bytes = self.machine.cim, self.machine.core.word_bits // 8
        row_groups, block_words = cim.outputs // cim.active_rows, cim.outputs // word_bytes
        issue, walk, v = self.job.issue, self.walk, self.walk.place.v
        load, result, order, command = (
            self.load.p, self.result.p, self.order.p, self.order.p.command)
        src = data.View(struct(isa.CONTEXT), issue.instruction).src
        chunks = head_chunks(self.machine, self.settings)

        # Blocks being loaded, and how many at its front are.
        queue_layout = data.StructLayout({"macro": v.macro.shape(), "block": v.block.shape()})
        m.submodules.queue = queue = fifo.SyncFIFO(width=queue_layout.size, depth=QUEUE_BLOCKS)
        queued = data.View(queue_layout, queue.r_data)
        blocks_loaded = Signal(range(QUEUE_BLOCKS + 1))
        # `clean`: invalid operands have been cleared; `handed`: the drain stage has the result.
        used, clean, handed = Signal.like(order.macros), Signal(), Signal()

        m.d.comb += [
            queue.w_data.eq(Cat(v.macro, v.block)),
            load.addr.eq(issue.base + src + walk.taken * block_words),
            load.index.eq(v.block * block_words), load.length.eq(walk.count),
            load.macros.eq(1 << v.macro), load.bank.eq(self.job.bank), load.masked.eq(1),
            load.keep.eq(walk.place.valid), load.clear.eq(~clean),
            command.bank.eq(self.job.bank),
            result.kind.eq(ResultKind.SUM), result.macros.eq(used), result.slot.eq(issue.slot),
            result.bank.eq(self.job.bank), result.beats.eq(chunks),
        ]

        with m.FSM():
            with m.State("Await"):
                m.d.sync += [used.eq(0), clean.eq(0), handed.eq(0)]
                with m.If(self.start):
                    m.next = "Multiply"
            with m.State("Multiply"):
                m.d.comb += walk.ask.eq(1)
                with m.If(walk.valid & queue.w_rdy):
                    m.d.comb += [self.load.valid.eq(walk.place.ok),
                                 walk.take.eq(~walk.place.ok | self.load.ready),
                                 queue.w_en.eq(walk.place.ok & self.load.ready)]
                    with m.If(queue.w_en):
                        m.d.sync += [clean.eq(1), result.beat.eq(v.slot * chunks)]
                m.d.sync += blocks_loaded.eq(blocks_loaded + self.loaded - queue.r_en)
                with m.If(self.order.ready):
                    with m.If((blocks_loaded != 0) | self.loaded):
                        m.d.comb += [
                            queue.r_en.eq(1), self.order.valid.eq(1),
                            order.macros.eq(1 << queued.macro), command.columns.eq(-1),
                            command.first_group.eq(queued.block * row_groups),
                            command.operand_group.eq(queued.block * row_groups),
                            command.groups.eq(row_groups),
                            command.first.eq((used & order.macros) == 0),
                        ]
                        m.d.sync += used.eq(used | order.macros)
                    with m.Elif((walk.taken == walk.blocks) & ~queue.r_rdy):
                        # No block is under way: a command without groups drains the sums.
                        m.d.comb += [self.order.valid.eq(1), order.macros.eq(used),
                                     command.columns.eq(-1), command.last.eq(1)]
                        m.next = "Collect"
            with m.State("Collect"):
                m.d.comb += self.result.valid.eq(~handed)
                with m.If(self.result.valid & self.result.ready):
                    m.d.sync += handed.eq(1)
                with m.If(handed & self.quiet):
                    m.d.comb += self.ended.eq(1)
                    m.next = "Await"

        return m
