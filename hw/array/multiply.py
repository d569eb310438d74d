"""Executor of matrix products."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.array.command import order_layout
from ouroboros.hw.array.job import job_layout
from ouroboros.hw.array.result import ResultKind, result_layout
from ouroboros.hw.cim.sequencer import operand_words
from ouroboros.hw.lib.struct import struct
from ouroboros.hw.params import isa
from ouroboros.hw.params.machine import Machine

__all__ = ["MultiplyExecutor"]


class MultiplyExecutor(wiring.Component):
    """Runs MVM: commands for all macros of its mask, one result for the drain stage.

    If all operands are ``loaded``, one command is given, in the cycle in which ``job`` is taken; so
    ``order`` must be ready then. Otherwise a command for those of the ``rows`` that are complete is
    given as soon as there are some, then one for those that have come since, and so on: the macros
    work on the first operands while the others are loaded. The result is offered from the cycle
    after ``job`` on. ``busy`` until all have gone.

    Parameters
    ----------
    machine : Machine
        Sizes.

    Members
    -------
    job : In(stream(job_layout(machine)))
        MVM instructions.
    rows, loaded : In
        Complete rows of operand words, and whether no operand is to come; of the loader's present
        job until ``loaded`` has been seen once.
    order : Out(stream(order_layout(machine)))
        To the macros.
    result : Out(stream(result_layout(machine)))
        To the drain stage, of kind STEPS.
    busy : Out(1)
        An MVM is at work.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        super().__init__({
            "job":    In(stream.Signature(job_layout(machine))),
            "rows":   In(range(operand_words(machine) + 1)),
            "loaded": In(1),
            "order":  Out(stream.Signature(order_layout(machine))),
            "result": Out(stream.Signature(result_layout(machine))),
            "busy":   Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        job, command, result = self.job.p, self.order.p.command, self.result.p
        mvm = data.View(struct(isa.MVM), job.issue.instruction)
        taken, first_group = Signal(), Signal(range(self.machine.cim.groups))

        # Operand groups: those that commands have been given for, those that are there. A word is
        # whole groups, or part of one that a command must not begin with.
        groups, word_bytes = self.machine.cim.groups, self.machine.core.word_bits // 8
        per_word = word_bytes // self.machine.cim.active_rows
        offset = Mux(taken, mvm.first_group, first_group)
        given, begun, there, most = (Signal(range(groups + 1), name=name)
                                     for name in ("given", "begun", "there", "most"))
        seen, whole, finished = Signal(), Signal(), Signal()

        m.d.comb += [
            self.job.ready.eq(~self.busy), taken.eq(self.job.valid & self.job.ready),
            begun.eq(Mux(taken, 0, given)),
            whole.eq(self.loaded | (seen & ~taken)), most.eq(groups - offset),
            there.eq(Mux(self.rows * per_word > most, most, self.rows * per_word)),
            self.order.valid.eq((taken | (self.busy & ~finished)) & (whole | (there > begun))),
            self.order.p.macros.eq(Mux(taken, mvm.macros, result.macros)),
            command.bank.eq(Mux(taken, job.bank, result.bank)),
            command.first.eq(begun == 0), command.last.eq(whole),
            command.columns.eq(-1), command.first_group.eq(offset + begun),
            command.operand_group.eq(begun),
            command.groups.eq(Mux(whole, most, there) - begun),
        ]
        m.d.sync += [given.eq(begun), seen.eq(whole)]
        with m.If(taken):
            m.d.sync += [finished.eq(0), first_group.eq(mvm.first_group)]
        with m.If(self.order.valid & self.order.ready):
            m.d.sync += [given.eq(there), finished.eq(whole)]
        with m.If(self.result.ready):
            m.d.sync += self.result.valid.eq(0)
        with m.If((~self.result.valid | self.result.ready) & finished & self.order.ready):
            m.d.sync += self.busy.eq(0)
        with m.If(taken):
            m.d.sync += [
                self.busy.eq(1), self.result.valid.eq(1),
                result.kind.eq(ResultKind.STEPS), result.macros.eq(mvm.macros),
                result.slot.eq(job.issue.slot), result.bank.eq(job.bank),
                result.step.eq(mvm.step), result.steps.eq(mvm.steps),
            ]

        return m
