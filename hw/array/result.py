"""Results of the array unit on their way to the drain stage, and where the next one waits."""

from enum import IntEnum

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ouroboros.hw.lib.struct import struct
from ouroboros.hw.params.isa import MVM
from ouroboros.hw.params.machine import Machine

__all__ = ["ResultHolder", "ResultKind", "frame_layout", "result_layout"]


class ResultKind(IntEnum):
    """How the results of an instruction are read out."""

    STEPS = 0
    """MVM: frames as the step table says; complete when all of ``macros`` are full."""
    FRAMES = 1
    """SCORE: one macro after the other, as the frame queue says."""
    SUM = 2
    """CONTEXT: one frame, the sum over ``macros``."""


def result_layout(machine: Machine) -> data.StructLayout:
    """Results that will come: ``beat`` and ``beats`` are for SUM, ``empty`` for FRAMES."""
    beats, mvm = machine.cim.outputs // machine.core.lanes, struct(MVM)
    return data.StructLayout({
        "kind":   2,
        "slot":   ceil_log2(machine.core.slots),
        "bank":   1,
        "macros": machine.core.macros,
        "step":   mvm["step"].shape,
        "steps":  mvm["steps"].shape,
        "beat":   range(beats),
        "beats":  range(beats + 1),
        "empty":  1,
    })


def frame_layout(machine: Machine) -> data.StructLayout:
    """One frame of FRAMES: the macro that has it, or none (all lanes invalid)."""
    return data.StructLayout({
        "macro": max(1, ceil_log2(machine.core.macros)), "none": 1, "last": 1})


class ResultHolder(wiring.Component):
    """Keeps a result until its first frame can be read out.

    A result taken in cycle t is on ``o`` from t + 1 on, as soon as it is complete; the next can be
    taken in the cycle in which it leaves.

    Parameters
    ----------
    machine : Machine
        Sizes.

    Members
    -------
    i, o : In(stream(result_layout(machine))), Out(stream(result_layout(machine)))
        Results; ``o`` is valid when STEPS or SUM have all sums of ``macros``, FRAMES their first
        frame or none to come.
    full : In
        Macros whose drain registers are full.
    frame_full : In(1)
        The first frame of the queue is there.
    waiting : Out(1)
        There is a result, complete or not.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        super().__init__({
            "i":          In(stream.Signature(result_layout(machine))),
            "o":          Out(stream.Signature(result_layout(machine))),
            "full":       In(machine.core.macros),
            "frame_full": In(1),
            "waiting":    Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        result, complete = self.o.p, Signal()
        m.d.comb += [
            complete.eq(Mux(result.kind == ResultKind.FRAMES, result.empty | self.frame_full,
                            (self.full & result.macros) == result.macros)),
            self.o.valid.eq(self.waiting & complete),
            self.i.ready.eq(~self.waiting | (self.o.valid & self.o.ready)),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += self.waiting.eq(0)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [self.waiting.eq(1), result.eq(self.i.p)]

        return m
