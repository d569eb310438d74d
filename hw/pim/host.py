"""Columns of single tokens: written, read, or taken into the shared buffers."""

from amaranth import Array, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ouroboros.hw.params.dram import Op
from ouroboros.hw.params.pim import PimParams
from ouroboros.hw.pim.bank import WORD
from ouroboros.hw.pim.command import command_layout
from ouroboros.hw.pim.job import JobOp, job_layout

__all__ = ["HostColumns"]


class HostColumns(wiring.Component):
    """Opens the rows of a token's columns one after the other; rows stay open for the next token.

    Parameters
    ----------
    pim : PimParams
        The rank.

    Members
    -------
    jobs : In(stream of job_layout(pim))
        APPEND_K, APPEND_V, READ_K, READ_V, LOAD.
    bursts : In(stream of ArrayLayout(64, chips))
        What is written.
    due : In(1)
        A refresh is due: nothing is asked for.
    answered : In(1)
        A burst that was read has left the rank.
    is_open, can_activate, can_precharge, can_read, can_write, can_load : In(banks)
        What ``TimingGate`` says.
    ask, command, data : Out(1), Out(command_layout(pim)), Out(ArrayLayout(64, chips))
        Request; it is always allowed.
    gave : In(1)
        It is granted in this clock.
    idle : Out(1)
        No job is at work.
    """

    def __init__(self, pim: PimParams):
        self.pim = pim
        words = data.ArrayLayout(WORD, pim.chips)
        masks = ("is_open", "can_activate", "can_precharge", "can_read", "can_write", "can_load")
        super().__init__({
            "jobs": In(stream.Signature(job_layout(pim))), "bursts": In(stream.Signature(words)),
            "due": In(1), "answered": In(1), **{name: In(pim.banks) for name in masks},
            "ask": Out(1), "command": Out(command_layout(pim)), "data": Out(words),
            "gave": In(1), "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        pim = self.pim

        job, active = Signal(job_layout(pim)), Signal()
        burst = Signal(range(pim.query_bursts))
        opened = Array(Signal(ceil_log2(pim.rows), name=f"row_{n}") for n in range(pim.banks))
        m.d.comb += [self.idle.eq(~active & ~self.jobs.valid), self.jobs.ready.eq(~active)]
        with m.If(self.jobs.valid & self.jobs.ready):
            m.d.sync += [job.eq(self.jobs.payload), active.eq(1), burst.eq(0)]

        value = (job.op == JobOp.APPEND_V) | (job.op == JobOp.READ_V)
        writes = (job.op == JobOp.APPEND_K) | (job.op == JobOp.APPEND_V)
        loads = job.op == JobOp.LOAD
        token = job.head.tokens
        banks, spread, steps = (ceil_log2(one) for one in (pim.banks, pim.spread, pim.step_tokens))
        bank, index = Signal(range(pim.banks)), Signal(32)
        with m.If(value):
            m.d.comb += [
                bank.eq(((token[:steps] if steps else Const(0)) << spread)
                        | (burst & (pim.spread - 1))),
                index.eq((token >> steps) * pim.value_columns + (burst >> spread))]
        with m.Else():
            m.d.comb += [bank.eq(token[:banks]),
                         index.eq((token >> banks) * pim.token_columns + burst)]
        columns = ceil_log2(pim.columns)
        row, mask = Signal(ceil_log2(pim.rows)), Signal(pim.banks)
        m.d.comb += [row.eq(job.row + (index >> columns)), mask.eq(1 << bank)]

        command = self.command
        m.d.comb += [command.banks.eq(mask), command.row.eq(row),
                     command.column.eq(index[:columns]), command.half.eq(job.head.half),
                     self.data.eq(self.bursts.payload)]

        def can(mask_of: Signal):
            return (mask_of & mask) != 0

        reads = Signal(range(2 * pim.query_bursts + 1))     # that have not left the rank
        m.d.sync += reads.eq(reads + (self.gave & (command.op == Op.RD)) - self.answered)
        room = reads != 2 * pim.query_bursts

        column = Signal()
        with m.If(active & ~self.due):
            with m.If(~can(self.is_open)):
                m.d.comb += [command.op.eq(Op.ACT), self.ask.eq(can(self.can_activate))]
            with m.Elif(opened[bank] != row):
                m.d.comb += [command.op.eq(Op.PRE), self.ask.eq(can(self.can_precharge))]
            with m.Else():
                m.d.comb += [column.eq(1), command.op.eq(
                    Mux(writes, Op.WR, Mux(loads, Op.LD_SB, Op.RD)))]
                m.d.comb += self.ask.eq(Mux(
                    writes, can(self.can_write) & self.bursts.valid,
                    Mux(loads, can(self.can_load), can(self.can_read) & room)))
        with m.If(self.gave & self.ask):
            with m.If(command.op == Op.ACT):
                m.d.sync += opened[bank].eq(row)
            with m.If(column):
                m.d.comb += self.bursts.ready.eq(writes)
                m.d.sync += burst.eq(burst + 1)
                with m.If(burst == Mux(loads, pim.query_bursts, pim.token_columns) - 1):
                    m.d.sync += active.eq(0)

        return m
