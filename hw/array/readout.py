"""Readout of the array unit: the current result, beat by beat."""

from amaranth import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.array.result import ResultKind, frame_layout, result_layout
from ouroboros.hw.lib.struct import struct
from ouroboros.hw.params.isa import MVM
from ouroboros.hw.params.machine import Machine

__all__ = ["Readout"]


class Readout(wiring.Component):
    """Sends the frames of one result after the other to the adder tree, until it is released.

    The first beat comes in the cycle after a result was taken. ``take`` frees macros in the cycle
    after their last beat has entered the tree, or after ``released``. A released result ends when
    the tree is empty and, for FRAMES, what was still to come has been dropped: it is not current
    any more from the next cycle on.

    Parameters
    ----------
    machine : Machine
        Sizes.

    Members
    -------
    result : In(stream(result_layout(machine)))
        Complete results.
    frame, frame_full : In(stream(frame_layout(machine))), In(1)
        Frames of FRAMES, in order; the first one is there.
    aborted : In(1)
        The sender of frames sends no more of a dropped result.
    step, leaves : Out, In
        Entry of the step table to be read, and what stands there.
    beat, mask, lanes, en, taken : Out, Out, Out, Out, In(1)
        A beat for the adder tree, and that it has entered.
    take : Out
        Macros whose drain registers are free.
    empty : In(1)
        No beat is in the tree from the next cycle on.
    released : In(1)
        End of the current result.
    current, dropping, flush : Out(1)
        There is a result; its frames are being dropped; beats that leave the tree are to be
        dropped.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        macros, beats = machine.core.macros, machine.cim.outputs // machine.core.lanes
        super().__init__({
            "result":     In(stream.Signature(result_layout(machine))),
            "frame":      In(stream.Signature(frame_layout(machine))),
            "frame_full": In(1),
            "aborted":    In(1),
            "step":       Out(struct(MVM)["step"].shape),
            "leaves":     In(macros),
            "beat":       Out(range(beats)),
            "mask":       Out(macros),
            "lanes":      Out(1),
            "en":         Out(1),
            "taken":      In(1),
            "take":       Out(macros),
            "empty":      In(1),
            "released":   In(1),
            "current":    Out(1),
            "dropping":   Out(1),
            "flush":      Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        beats = self.machine.cim.outputs // self.machine.core.lanes
        result, frame = self.result.p, self.frame.p
        macros, one_sum, steps_left = (
            Signal.like(result.macros), Signal(), Signal.like(result.steps))
        beats_left, owner = Signal(range(beats + 1)), Signal.like(result.macros)
        # `frame_over`: its last beat enters the tree; `over`: the result is not current any more.
        frame_over, over = Signal(), Signal()
        m.d.comb += [frame_over.eq(self.taken & (beats_left == 1)),
                     owner.eq(~frame.none << frame.macro)]
        m.d.sync += [self.take.eq(0), self.current.eq(self.current & ~over)]
        with m.If(self.taken):
            m.d.sync += [self.beat.eq(Mux(frame_over, 0, self.beat + 1)),
                         beats_left.eq(Mux(frame_over, beats, beats_left - 1))]

        with m.FSM():
            with m.State("Accept"):
                m.d.comb += self.result.ready.eq(1)
                with m.If(self.result.valid):
                    m.d.sync += [
                        self.current.eq(1), macros.eq(result.macros),
                        one_sum.eq(result.kind == ResultKind.SUM), self.step.eq(result.step),
                        steps_left.eq(result.steps), self.beat.eq(0), beats_left.eq(beats)]
                    m.next = "ReadSums"
                    with m.Switch(result.kind):
                        with m.Case(ResultKind.STEPS):
                            with m.If(result.steps == 0):
                                m.d.sync += self.take.eq(result.macros)
                                m.next = "Wait"
                        with m.Case(ResultKind.FRAMES):
                            m.next = "ReadFrames"
                            with m.If(result.empty):
                                m.next = "Wait"
                        with m.Case(ResultKind.SUM):
                            m.d.sync += [self.beat.eq(result.beat), beats_left.eq(result.beats),
                                         steps_left.eq(1)]

            with m.State("ReadSums"):
                m.d.comb += [self.en.eq(1), self.lanes.eq(1),
                             self.mask.eq(Mux(one_sum, macros, self.leaves))]
                with m.If(frame_over):
                    m.d.sync += [self.step.eq(self.step + 1), steps_left.eq(steps_left - 1)]
                with m.If(self.released | (frame_over & (steps_left == 1))):
                    m.d.sync += self.take.eq(macros)
                    m.next = "Wait"
                with m.If(self.released):
                    m.d.comb += over.eq(self.empty)
                    m.next = "Flush"
                with m.If(over):
                    m.next = "Accept"
            with m.State("ReadFrames"):
                m.d.comb += [self.en.eq(self.frame_full), self.mask.eq(owner),
                             self.frame.ready.eq(frame_over)]
                with m.If(frame_over):
                    m.d.sync += self.take.eq(owner)
                    with m.If(frame.last):
                        m.next = "Wait"
                with m.If(self.released):
                    m.next = "DropFrames"
                    with m.If(frame_over & frame.last):
                        m.d.comb += over.eq(self.empty)
                        m.next = "Flush"
                with m.If(over):
                    m.next = "Accept"
            with m.State("Wait"):
                m.d.comb += over.eq(self.released & self.empty)
                with m.If(self.released):
                    m.next = "Flush"
                with m.If(over):
                    m.next = "Accept"

            with m.State("DropFrames"):
                m.d.comb += [self.flush.eq(1), self.dropping.eq(1),
                             self.frame.ready.eq(self.frame_full)]
                with m.If(self.frame_full):
                    m.d.sync += self.take.eq(owner)
                    with m.If(frame.last):
                        m.next = "Flush"
                with m.Elif(self.aborted & ~self.frame.valid):
                    m.next = "Flush"
            with m.State("Flush"):
                m.d.comb += [self.flush.eq(1), over.eq(self.empty)]
                with m.If(over):
                    m.next = "Accept"

        return m
