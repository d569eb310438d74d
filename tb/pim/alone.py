"""A rank's controller without chips, watched: how much of the banks' time it uses."""

from amaranth import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.params.dram import Op
from ouroboros.hw.params.pim import PimParams
from ouroboros.hw.pim.checker import TimingChecker
from ouroboros.hw.pim.controller import Controller
from ouroboros.hw.pim.job import job_layout

__all__ = ["ControllerAlone"]


class ControllerAlone(wiring.Component):
    """Whatever the controller waits for is there at once; counts what it gives.

    Parameters
    ----------
    pim : PimParams
        The rank.

    Members
    -------
    jobs, staggered, idle
        As of ``Controller``.
    macs : Out(48)
        MACs of all banks so far.
    first, last : Out(32)
        Cycles of the first and of the last MAC.
    refreshes, breaks : Out(32)
        Refreshes; clocks with a broken rule.
    """

    def __init__(self, pim: PimParams):
        self.pim = pim
        super().__init__({
            "jobs": In(stream.Signature(job_layout(pim))), "staggered": In(1), "idle": Out(1),
            "macs": Out(48), "first": Out(32), "last": Out(32), "refreshes": Out(32),
            "breaks": Out(32)})

    def elaborate(self, platform):
        m = Module()
        pim = self.pim

        m.submodules.controller = controller = Controller(pim)
        m.submodules.checker = checker = TimingChecker(pim.banks, pim.groups, pim.timing)
        wiring.connect(m, wiring.flipped(self.jobs), controller.jobs)
        op, banks = controller.command.op, controller.command.banks
        clock = Signal(32)
        m.d.sync += clock.eq(clock + 1)
        m.d.comb += [
            controller.staggered.eq(self.staggered), self.idle.eq(controller.idle),
            controller.bursts.valid.eq(1), controller.weights.valid.eq(1),
            controller.scored.eq(3), controller.sums_idle.eq(1),
            checker.op.eq(op), checker.banks.eq(banks), self.breaks.eq(checker.count)]
        with m.If(op == Op.MAC):
            m.d.sync += [self.macs.eq(self.macs + sum(banks[n] for n in range(pim.banks))),
                         self.last.eq(clock)]
            with m.If(self.macs == 0):
                m.d.sync += self.first.eq(clock)
        with m.If(op == Op.REF):
            m.d.sync += self.refreshes.eq(self.refreshes + 1)

        return m
