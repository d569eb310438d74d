"""Controller of a rank: jobs to commands, one a clock, none before its time."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.lib.queue import Queue
from ouroboros.hw.params.dram import Op
from ouroboros.hw.params.pim import PimParams
from ouroboros.hw.pim.bank import WORD
from ouroboros.hw.pim.command import command_layout
from ouroboros.hw.pim.gate import TimingGate
from ouroboros.hw.pim.host import HostColumns
from ouroboros.hw.pim.job import JobOp, job_layout
from ouroboros.hw.pim.transfer import Transfer
from ouroboros.hw.pim.walk import Walker, phase_layout, unit_bits

__all__ = ["JOBS_AHEAD", "Controller"]

JOBS_AHEAD = 4
"""Phases that are known ahead of the one at work."""


class Controller(wiring.Component):
    """Three sources of commands share the command bus; the banks' own come first.

    Banks (``Walker``) and data bus (``Transfer``) are joined only by the steps that buffers hold.
    Single columns (``HostColumns``) have the banks to themselves. A refresh comes first of all,
    once all rows are closed; while one is due no row is opened.

    Parameters
    ----------
    pim : PimParams
        The rank.

    Members
    -------
    jobs : In(stream of job_layout(pim))
        Jobs, in order.
    staggered : In(1)
        Banks work each at its own time, not in lockstep. Static.
    bursts, weights : In(stream of words, by chip and by slot)
        From the host, and from ``Softmax``.
    command, data : Out(command_layout(pim)), Out(ArrayLayout(64, chips))
        Registered; with ``WR`` and ``WR_SB`` the burst.
    job, octets, begin_scores, begin_weights, begin_sums, scored, sums_idle
        As of ``Transfer``.
    answered : In(1)
        As of ``HostColumns``.
    idle : Out(1)
        No job is at work or waits.
    """

    def __init__(self, pim: PimParams):
        self.pim = pim
        self.gate = TimingGate(pim.banks, pim.groups, pim.timing, pim.refresh_batch)
        self.chosen = Signal(command_layout(pim))
        words = data.ArrayLayout(WORD, pim.chips)
        super().__init__({
            "jobs": In(stream.Signature(job_layout(pim))), "staggered": In(1),
            "bursts": In(stream.Signature(words)),
            "weights": In(stream.Signature(data.ArrayLayout(WORD, pim.slots))),
            "command": Out(command_layout(pim)), "data": Out(words),
            "job": Out(job_layout(pim)), "octets": Out(unit_bits(pim)),
            "begin_scores": Out(1), "begin_weights": Out(1), "begin_sums": Out(1),
            "scored": In(2), "sums_idle": In(1), "answered": In(1), "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        pim = self.pim

        m.submodules.gate = gate = self.gate
        m.submodules.walker = walker = Walker(pim)
        m.submodules.transfer = transfer = Transfer(pim)
        m.submodules.host = host = HostColumns(pim)
        wiring.connect(m, wiring.flipped(self.weights), transfer.weights)
        m.d.comb += [
            transfer.bursts.valid.eq(self.bursts.valid), host.bursts.valid.eq(self.bursts.valid),
            transfer.bursts.payload.eq(self.bursts.payload),
            host.bursts.payload.eq(self.bursts.payload),
            self.bursts.ready.eq(transfer.bursts.ready | host.bursts.ready),
            self.job.eq(transfer.job), self.octets.eq(transfer.octets),
            self.begin_scores.eq(transfer.begin_scores),
            self.begin_weights.eq(transfer.begin_weights),
            self.begin_sums.eq(transfer.begin_sums), transfer.scored.eq(self.scored),
            transfer.sums_idle.eq(self.sums_idle)]
        m.d.comb += [
            walker.staggered.eq(self.staggered), walker.due.eq(gate.due),
            walker.is_open.eq(gate.is_open), walker.can_activate.eq(gate.activate),
            walker.can_precharge.eq(gate.precharge), walker.can_mac.eq(gate.mac),
            walker.allowed.eq(transfer.allowed), walker.moved.eq(transfer.moved),
            transfer.completed.eq(walker.completed), transfer.common.eq(walker.common)]
        m.d.comb += [
            host.answered.eq(self.answered), host.due.eq(gate.due), host.is_open.eq(gate.is_open),
            host.can_activate.eq(gate.activate), host.can_precharge.eq(gate.precharge),
            host.can_read.eq(gate.read), host.can_write.eq(gate.write),
            host.can_load.eq(gate.load)]
        self._jobs(m, walker, transfer, host)
        self._command(m, gate, walker, transfer, host)

        return m

    def _jobs(self, m: Module, walker: Walker, transfer: Transfer, host: HostColumns) -> None:
        """Hand each job to whom it is for."""
        pim = self.pim
        m.submodules.moves = moves = Queue(job_layout(pim), JOBS_AHEAD)
        m.submodules.phases = phases = Queue(phase_layout(pim), JOBS_AHEAD)
        wiring.connect(m, moves.o, transfer.jobs)
        wiring.connect(m, phases.o, walker.phases)
        job, tokens = self.jobs.p, self.jobs.p.head.tokens
        value = job.op == JobOp.CONTEXT
        by_phase = value | (job.op == JobOp.SCORE)

        def units(of: int):
            return (tokens + of - 1) >> (of.bit_length() - 1)

        m.d.comb += [
            moves.i.payload.eq(job), host.jobs.payload.eq(job), phases.i.p.value.eq(value),
            phases.i.p.half.eq(job.head.half), phases.i.p.row.eq(job.row),
            phases.i.p.units.eq(Mux(value, units(pim.value_unit_tokens),
                                    units(pim.score_unit_tokens)))]
        quiet = transfer.idle & ~walker.active & ~walker.closing
        m.d.comb += self.idle.eq(quiet & host.idle & ~self.jobs.valid)
        with m.If(self.jobs.valid):
            with m.If(by_phase | (job.op == JobOp.QUERY)):
                room = moves.i.ready & phases.i.ready & host.idle
                m.d.comb += [moves.i.valid.eq(room), phases.i.valid.eq(room & by_phase),
                             self.jobs.ready.eq(room)]
            with m.Else():
                m.d.comb += [host.jobs.valid.eq(quiet), self.jobs.ready.eq(
                    quiet & host.jobs.ready)]

    def _command(self, m: Module, gate: TimingGate, walker: Walker, transfer: Transfer,
                 host: HostColumns) -> None:
        """Choose a command; the first that may be given."""
        chosen = self.chosen
        m.d.sync += self.command.eq(chosen)
        m.d.comb += [gate.op.eq(chosen.op), gate.banks.eq(chosen.banks)]
        with m.If(gate.due & gate.refresh):
            m.d.comb += chosen.op.eq(Op.REF)
        with m.Elif(walker.begin):
            m.d.comb += [chosen.op.eq(Op.WR_R), chosen.value.eq(walker.phase.value),
                         chosen.half.eq(walker.phase.half), walker.gave_begin.eq(1)]
        with m.Elif(walker.mac != 0):
            m.d.comb += [chosen.op.eq(Op.MAC), chosen.banks.eq(walker.mac), walker.gave_mac.eq(1)]
        with m.Elif(walker.precharge != 0):
            m.d.comb += [chosen.op.eq(Op.PRE), chosen.banks.eq(walker.precharge),
                         walker.gave_precharge.eq(1)]
        with m.Elif(walker.activate != 0):
            m.d.comb += [chosen.op.eq(Op.ACT), chosen.banks.eq(walker.activate),
                         chosen.row.eq(walker.row), walker.gave_activate.eq(1)]
        with m.Elif(host.ask):
            m.d.comb += [chosen.eq(host.command), host.gave.eq(1)]
        with m.Elif(transfer.send & gate.send):
            m.d.comb += [chosen.eq(transfer.send_command), chosen.op.eq(Op.WR_SB),
                         transfer.gave_send.eq(1)]
        with m.Elif(transfer.take & gate.take):
            m.d.comb += [chosen.eq(transfer.take_command), chosen.op.eq(Op.RD_RB),
                         transfer.gave_take.eq(1)]
        m.d.sync += self.data.eq(Mux(host.gave, host.data, transfer.data))
