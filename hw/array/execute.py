"""Compute stage of the array unit: commands macros, one instruction at a time."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2, exact_log2

from ouroboros.hw.array.drain import ResultKind, frame_layout, result_layout
from ouroboros.hw.array.load import load_job_layout
from ouroboros.hw.array.write import append_job_layout
from ouroboros.hw.cim.sequencer import command_layout
from ouroboros.hw.kv.layout import BLOCK_BITS, KvOp, kv_command_layout, kv_reply_layout
from ouroboros.hw.lib.bus import issue_layout
from ouroboros.hw.lib.struct import struct
from ouroboros.hw.params import isa
from ouroboros.hw.params.isa import Op
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import KV_CONFIG

__all__ = ["Executor"]

QUEUE_BLOCKS = 8
"""Blocks of a CONTEXT whose operands are loaded ahead of their commands."""


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
        Has no instruction; has one other than MVM.
    full : Out(1)
        An APPEND was refused for want of a block.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        macros, slot_bits = machine.core.macros, ceil_log2(machine.core.slots)
        super().__init__({
            "op":         In(stream.Signature(issue_layout(machine))),
            "bank":       In(1),
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
            "done":       Out(stream.Signature(
                data.StructLayout({"slot": slot_bits, "poison": 1}))),
            "idle":       Out(1),
            "attention":  Out(1),
            "full":       Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        cim, core = self.machine.cim, self.machine.core
        outputs, lanes, word_bytes = cim.outputs, core.lanes, 4 * core.lanes
        row_groups, block_words = outputs // cim.active_rows, outputs // word_bytes
        settings, answer, query = self.settings, self.answer.p, self.query.p
        command, result, load, frame = self.command, self.result.p, self.load.p, self.frame.p

        held = Signal(issue_layout(self.machine))
        bank = Signal()

        def fields(fmt):
            return data.View(struct(fmt), held.instruction)

        # A command waits here for its macros.
        left, sent, quiet = Signal(core.macros), Signal(), Signal()
        m.d.comb += [left.eq(self.pending & ~self.ready), sent.eq(left == 0),
                     quiet.eq((self.pending == 0) & self.ready.all())]
        with m.If(self.pending.any()):
            m.d.sync += self.pending.eq(left)

        # Blocks of SCORE and CONTEXT: `asked` have gone to the KV manager, `answered` come back.
        blocks, asked, answered = (Signal(BLOCK_BITS, name=name)
                                   for name in ("blocks", "asked", "answered"))
        tokens_left, count = Signal(20), Signal(range(outputs + 1))
        next_answer, asking, kv_op = Signal(), Signal(), Signal(KvOp)
        head = Signal(query.head.shape())
        m.d.comb += [
            # FREE has no head field, and needs none.
            head.eq(fields(isa.SCORE).head), kv_op.eq(KvOp.LOOKUP),
            query.op.eq(kv_op), query.sequence.eq(held.sequence), query.head.eq(head),
            query.block.eq(asked), query.token.eq(held.position[:exact_log2(outputs)]),
            count.eq(Mux(tokens_left > outputs, outputs, tokens_left)),
        ]
        with m.If(asking):
            m.d.comb += self.query.valid.eq(asked != blocks)
            with m.If(self.query.valid & self.query.ready):
                m.d.sync += asked.eq(asked + 1)
        with m.If(next_answer):
            m.d.comb += self.answer.ready.eq(1)
            m.d.sync += [answered.eq(answered + 1), tokens_left.eq(tokens_left - count)]

        v_chunk, head_chunks = (Signal(range(outputs // lanes + 1), name=name)
                                for name in ("v_chunk", "head_chunks"))
        m.d.comb += head_chunks.eq(settings.head_dim >> exact_log2(lanes))

        # `primed`: q is in the bank (SCORE); the bank has been cleared (CONTEXT).
        used, primed = Signal(core.macros), Signal()

        # The result is handed to the drain stage beside whatever else is going on.
        handed, handing = Signal(), Signal()
        kind, holders = Signal(ResultKind), Signal(core.macros)
        with m.If(handing & ~handed):
            m.d.comb += self.result.valid.eq(1)
            with m.If(self.result.ready):
                m.d.sync += handed.eq(1)
        m.d.comb += [
            result.kind.eq(kind), result.macros.eq(holders),
            result.slot.eq(held.slot), result.bank.eq(bank),
            result.step.eq(fields(isa.MVM).step), result.steps.eq(fields(isa.MVM).steps),
            result.beat.eq(v_chunk), result.beats.eq(head_chunks), result.empty.eq(blocks == 0),
        ]

        queue_layout = data.StructLayout({"macro": answer.v.macro.shape(),
                                          "block": answer.v.block.shape()})
        m.submodules.queue = queue = fifo.SyncFIFO(width=queue_layout.size, depth=QUEUE_BLOCKS)
        queued = data.View(queue_layout, queue.r_data)
        m.d.comb += queue.w_data.eq(Cat(answer.v.macro, answer.v.block))
        blocks_loaded = Signal(range(QUEUE_BLOCKS + 1))
        with m.If(handing):
            m.d.sync += primed.eq(primed | self.loaded)

        append, append_fields = self.append.p, fields(isa.APPEND)
        k_row, append_chunk = Signal(range(cim.rows)), Signal.like(v_chunk)
        m.d.comb += [
            append.k_addr.eq(held.base + append_fields.k),
            append.v_addr.eq(held.base + append_fields.v),
            append.k_macro.eq(answer.k.macro), append.k_row.eq(k_row),
            append.v_macro.eq(answer.v.macro), append.v_row.eq(Cat(append.token, answer.v.block)),
            append.token.eq(query.token), append.v_chunk.eq(append_chunk),
            append.chunks.eq(head_chunks),
        ]

        m.d.comb += [self.idle.eq(0), self.done.p.slot.eq(held.slot)]
        poison, event_full = Signal(), Signal()
        m.d.comb += self.done.p.poison.eq(poison)
        m.d.sync += self.full.eq(event_full)

        with m.FSM():
            with m.State("Idle"):
                op = self.op.p
                code = Signal(4)
                m.d.comb += [self.idle.eq(1), self.op.ready.eq(1), code.eq(op.instruction[:4])]
                with m.If(self.op.valid):
                    view = data.View(struct(isa.MVM), op.instruction)
                    m.d.sync += [
                        held.eq(op), bank.eq(self.bank), handed.eq(0), poison.eq(0),
                        asked.eq(0), answered.eq(0), used.eq(0), primed.eq(0),
                        tokens_left.eq(op.tokens),
                        blocks.eq((op.tokens + (outputs - 1)) >> exact_log2(outputs)),
                        command.bank.eq(self.bank),
                    ]
                    with m.If(code == Op.MVM):
                        m.d.sync += [
                            self.pending.eq(view.macros), command.first.eq(1),
                            command.last.eq(1), command.columns.eq(-1),
                            command.first_group.eq(view.first_group),
                            command.operand_group.eq(0),
                            command.groups.eq(cim.groups - view.first_group),
                        ]
                        m.next = "Multiply"
                    with m.Else():
                        m.d.sync += self.attention.eq(1)
                        m.next = "Settle"

            with m.State("Multiply"):
                m.d.comb += [handing.eq(1), kind.eq(ResultKind.STEPS),
                             holders.eq(fields(isa.MVM).macros)]
                with m.If((handed | self.result.ready) & sent):
                    m.next = "Idle"

            with m.State("Settle"):
                with m.If(quiet):
                    with m.Switch(held.instruction[:4]):
                        with m.Case(Op.APPEND):
                            m.next = "FindMember"
                        with m.Case(Op.SCORE):
                            m.next = "LoadScore"
                            with m.If(blocks == 0):
                                m.next = "Score"
                        with m.Case(Op.CONTEXT):
                            m.next = "Context"
                        with m.Default():
                            m.next = "Free"

            with m.State("LoadScore"):
                m.d.comb += [
                    asking.eq(1), handing.eq(1), kind.eq(ResultKind.FRAMES), load.bank.eq(bank),
                    self.load.valid.eq(1), load.addr.eq(held.base + fields(isa.SCORE).src),
                    load.index.eq(0), load.length.eq(settings.head_dim),
                    load.macros.eq(settings.k_macros), load.clear.eq(1),
                ]
                with m.If(self.load.ready):
                    m.next = "Score"
            with m.State("Score"):
                m.d.comb += [asking.eq(1), handing.eq(1), kind.eq(ResultKind.FRAMES)]
                with m.If(self.answer.valid & (primed | self.loaded) & handed & sent
                          & self.frame.ready):
                    m.d.comb += [
                        next_answer.eq(1), self.frame.valid.eq(1), frame.macro.eq(answer.k.macro),
                        frame.none.eq(~answer.ok), frame.last.eq(answered + 1 == blocks),
                    ]
                    m.d.sync += [
                        self.pending.eq(answer.ok << answer.k.macro),
                        command.first_group.eq(answer.k.block * settings.k_groups),
                        command.operand_group.eq(0), command.groups.eq(settings.k_groups),
                        command.first.eq(1), command.last.eq(1),
                        command.columns.eq(answer.valid & ((1 << count) - 1)[:outputs]),
                    ]
                with m.If((answered == blocks) & handed & quiet):
                    m.d.sync += self.attention.eq(0)
                    m.next = "Idle"
                with m.If(handed & ~self.waiting & self.dropping):
                    m.next = "Abort"
            with m.State("Abort"):
                m.d.comb += [next_answer.eq((asked != answered) & self.answer.valid),
                             self.aborted.eq((asked == answered) & sent)]
                with m.If(self.aborted & ~self.dropping & quiet):
                    m.d.sync += self.attention.eq(0)
                    m.next = "Idle"

            with m.State("Context"):
                m.d.comb += [
                    asking.eq(1),
                    load.addr.eq(held.base + fields(isa.CONTEXT).src + answered * block_words),
                    load.index.eq(answer.v.block * block_words), load.length.eq(count),
                    load.macros.eq(1 << answer.v.macro), load.bank.eq(bank),
                    load.masked.eq(1), load.keep.eq(answer.valid), load.clear.eq(~primed),
                ]
                with m.If(self.answer.valid & queue.w_rdy):
                    m.d.comb += [self.load.valid.eq(answer.ok),
                                 next_answer.eq(~answer.ok | self.load.ready),
                                 queue.w_en.eq(answer.ok & self.load.ready)]
                    with m.If(queue.w_en):
                        m.d.sync += [primed.eq(1),
                                     v_chunk.eq(answer.v.slot * head_chunks)]
                m.d.sync += blocks_loaded.eq(blocks_loaded + self.loaded - queue.r_en)
                with m.If(((blocks_loaded != 0) | self.loaded) & sent):
                    m.d.comb += queue.r_en.eq(1)
                    m.d.sync += [
                        self.pending.eq(1 << queued.macro), used.bit_select(queued.macro, 1).eq(1),
                        command.first_group.eq(queued.block * row_groups),
                        command.operand_group.eq(queued.block * row_groups),
                        command.groups.eq(row_groups),
                        command.first.eq(~used.bit_select(queued.macro, 1)),
                        command.last.eq(0), command.columns.eq(-1),
                    ]
                with m.If((answered == blocks) & ~queue.r_rdy & sent):
                    # No block is under way: a command without groups drains the sums.
                    m.d.sync += [self.pending.eq(used), command.groups.eq(0),
                                 command.first.eq(0), command.last.eq(1)]
                    m.next = "Collect"
            with m.State("Collect"):
                m.d.comb += [handing.eq(1), kind.eq(ResultKind.SUM), holders.eq(used)]
                with m.If(handed & quiet):
                    m.d.sync += self.attention.eq(0)
                    m.next = "Idle"

            with m.State("FindMember"):
                index = held.position >> exact_log2(outputs)
                member_mask = ((1 << settings.members_log2) - 1)[:7]
                m.d.sync += asked.eq(index >> settings.members_log2)
                m.next = "Finish"
                with m.If((index[:7] & member_mask) == (settings.member & member_mask)):
                    m.next = "Allocate"
            with m.State("Allocate"):
                m.d.comb += [self.query.valid.eq(1), kv_op.eq(KvOp.APPEND),
                             head.eq(append_fields.head)]
                with m.If(self.query.ready):
                    m.next = "Append"
            with m.State("Append"):
                m.d.comb += [
                    self.answer.ready.eq(1), append_chunk.eq(answer.v.slot * head_chunks),
                    k_row.eq(answer.k.block * settings.k_groups << exact_log2(cim.active_rows)),
                ]
                with m.If(self.answer.valid):
                    m.d.sync += poison.eq(~answer.ok)
                    m.d.comb += event_full.eq(answer.full)
                    m.next = "Finish"
                    with m.If(answer.ok):
                        m.d.comb += self.append.valid.eq(1)
                        m.next = "Write"
            with m.State("Write"):
                with m.If(self.appended):
                    m.next = "Finish"

            with m.State("Free"):
                m.d.comb += [self.query.valid.eq(1), kv_op.eq(KvOp.FREE)]
                with m.If(self.query.ready):
                    m.next = "Forget"
            with m.State("Forget"):
                m.d.comb += self.answer.ready.eq(1)
                with m.If(self.answer.valid):
                    m.next = "Finish"

            with m.State("Finish"):
                m.d.comb += self.done.valid.eq(1)
                with m.If(self.done.ready):
                    m.d.sync += self.attention.eq(0)
                    m.next = "Idle"

        return m
