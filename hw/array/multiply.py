"""Executor of matrix products."""

from amaranth import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.array.command import order_layout
from ouroboros.hw.array.job import job_layout
from ouroboros.hw.array.result import ResultKind, result_layout
from ouroboros.hw.lib.struct import struct
from ouroboros.hw.params import isa
from ouroboros.hw.params.machine import Machine

__all__ = ["MultiplyExecutor"]


class MultiplyExecutor(wiring.Component):
    """Runs MVM: one command for all macros of its mask, one result for the drain stage.

    The command is given in the cycle in which ``job`` is taken, so ``order`` must be ready then;
    the result is offered from the next cycle on. ``busy`` until both have gone.

    Parameters
    ----------
    machine : Machine
        Sizes.

    Members
    -------
    job : In(stream(job_layout(machine)))
        MVM instructions.
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
            "order":  Out(stream.Signature(order_layout(machine))),
            "result": Out(stream.Signature(result_layout(machine))),
            "busy":   Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        job, command, result = self.job.p, self.order.p.command, self.result.p
        mvm = data.View(struct(isa.MVM), job.issue.instruction)

        m.d.comb += [
            self.job.ready.eq(~self.busy),
            self.order.valid.eq(self.job.valid & self.job.ready),
            self.order.p.macros.eq(mvm.macros),
            command.bank.eq(job.bank), command.first.eq(1), command.last.eq(1),
            command.columns.eq(-1), command.first_group.eq(mvm.first_group),
            command.operand_group.eq(0),
            command.groups.eq(self.machine.cim.groups - mvm.first_group),
        ]
        with m.If(self.result.ready):
            m.d.sync += self.result.valid.eq(0)
        with m.If((~self.result.valid | self.result.ready) & self.order.ready):
            m.d.sync += self.busy.eq(0)
        with m.If(self.job.valid & self.job.ready):
            m.d.sync += [
                self.busy.eq(1), self.result.valid.eq(1),
                result.kind.eq(ResultKind.STEPS), result.macros.eq(mvm.macros),
                result.slot.eq(job.issue.slot), result.bank.eq(job.bank),
                result.step.eq(mvm.step), result.steps.eq(mvm.steps),
            ]

        return m
