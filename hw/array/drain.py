"""Drain stage of the array unit: brings results to the SFU frame by frame."""

from enum import IntEnum

from amaranth import Module, Mux, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ouroboros.hw.lib.bus import ConfigBus
from ouroboros.hw.params.cim import tree_latency_cycles
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import Unit

__all__ = ["DrainControl", "ResultKind", "frame_layout", "result_layout"]


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
    beats = machine.cim.outputs // machine.core.lanes
    return data.StructLayout({
        "kind":   2,
        "slot":   ceil_log2(machine.core.slots),
        "bank":   1,
        "macros": machine.core.macros,
        "step":   6,
        "steps":  7,
        "beat":   range(beats),
        "beats":  range(beats + 1),
        "empty":  1,
    })


def frame_layout(machine: Machine) -> data.StructLayout:
    """One frame of FRAMES: the macro that has it, or none (all lanes invalid)."""
    return data.StructLayout({
        "macro": max(1, ceil_log2(machine.core.macros)), "none": 1, "last": 1})


class DrainControl(wiring.Component):
    """Two results: one waits until it is complete and its predecessor released, one is read out.

    ``done`` is high for a cycle when a result becomes current; its beats follow. A macro is freed
    as soon as its last beat has entered the tree. ``release`` ends the current stream: from the
    next cycle on none of its beats is offered, and what is left in tree and macros is dropped. If
    nothing is left, the next result can become current in the cycle after.

    Members
    -------
    config : In(ConfigBus)
        ``Unit.STEP``.
    result : In(stream(result_layout(machine)))
        Results, in the order in which they are to be drained.
    frame : In(stream(frame_layout(machine)))
        Frames of the results of kind FRAMES, in order.
    aborted : In(1)
        The sender of frames sends no more of a dropped result.
    full, take : In, Out
        Drain registers of the macros.
    beat, leaves, lanes, en, ready : Out, Out, Out, Out, In
        A beat for the adder tree: number, mask of macros; ``lanes`` if all lanes count as valid,
        else those the macros call valid.
    leaving : In(1)
        A beat leaves the tree.
    flush : Out(1)
        Beats that leave the tree are to be dropped.
    release : In(1)
        End of the current stream.
    waiting, current, dropping : Out(1)
        A result waits; one is current; frames of a released one are being dropped.
    done, done_slot, done_kind, done_bank : Out
        A result has become current.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        result, beats = result_layout(machine), machine.cim.outputs // machine.core.lanes
        super().__init__({
            "config":    In(ConfigBus(machine)),
            "result":    In(stream.Signature(result)),
            "frame":     In(stream.Signature(frame_layout(machine))),
            "aborted":   In(1),
            "full":      In(machine.core.macros),
            "take":      Out(machine.core.macros),
            "beat":      Out(range(beats)),
            "leaves":    Out(machine.core.macros),
            "lanes":     Out(1),
            "en":        Out(1),
            "ready":     In(1),
            "leaving":   In(1),
            "flush":     Out(1),
            "release":   In(1),
            "waiting":   Out(1),
            "current":   Out(1),
            "dropping":  Out(1),
            "done":      Out(1),
            "done_slot": Out(result["slot"].shape),
            "done_kind": Out(2),
            "done_bank": Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        core, beats = self.machine.core, self.machine.cim.outputs // self.machine.core.lanes
        m.submodules.steps = steps = memory.Memory(shape=core.macros, depth=core.step_words,
                                                   init=[])
        step_w, step_r = steps.write_port(), steps.read_port(domain="comb")
        m.d.comb += [step_w.en.eq(self.config.valid & (self.config.unit == Unit.STEP)),
                     step_w.addr.eq(self.config.address), step_w.data.eq(self.config.data)]

        waiting, current = (Signal(result_layout(self.machine), name=name)
                            for name in ("waiting_result", "current_result"))
        frame = self.frame.p
        beats_left = Signal(range(beats + 1))
        full, complete, frame_full = Signal(core.macros), Signal(), Signal()
        taken, last_beat = Signal(), Signal()
        inside = Signal(range(tree_latency_cycles(core.macros) + 2))
        empty = Signal()

        m.d.comb += [
            # A macro takes note of `take` one cycle late.
            full.eq(self.full & ~self.take),
            frame_full.eq(self.frame.valid & (frame.none | full.bit_select(frame.macro, 1))),
            complete.eq(Mux(waiting.kind == ResultKind.FRAMES, waiting.empty | frame_full,
                            (full & waiting.macros) == waiting.macros)),
            taken.eq(self.en & self.ready), last_beat.eq(beats_left == 1),
            empty.eq(inside + taken == self.leaving),
            step_r.addr.eq(current.step),
            self.done_slot.eq(waiting.slot), self.done_kind.eq(waiting.kind),
            self.done_bank.eq(waiting.bank),
            self.result.ready.eq(~self.waiting | self.done),
        ]
        m.d.sync += [self.take.eq(0), inside.eq(inside + taken - self.leaving)]
        with m.If(self.done):
            m.d.sync += self.waiting.eq(0)
        with m.If(self.result.valid & self.result.ready):
            m.d.sync += [self.waiting.eq(1), waiting.eq(self.result.p)]

        def next_beat():
            with m.If(taken):
                m.d.sync += [self.beat.eq(self.beat + 1), beats_left.eq(beats_left - 1)]

        def next_frame():
            m.d.sync += [self.beat.eq(0), beats_left.eq(beats)]

        def released(*, frames_left=False):
            with m.If(self.release):
                m.next = "Flush"
                with m.If(frames_left):
                    m.next = "DropFrames"
                with m.Elif(empty):
                    m.d.sync += self.current.eq(0)
                    m.next = "Idle"

        with m.FSM():
            with m.State("Idle"):
                with m.If(self.waiting & complete):
                    m.d.comb += self.done.eq(1)
                    m.d.sync += [current.eq(waiting), self.current.eq(1)]
                    next_frame()
                    with m.Switch(waiting.kind):
                        with m.Case(ResultKind.STEPS):
                            m.next = "Steps"
                            with m.If(waiting.steps == 0):
                                m.d.sync += self.take.eq(waiting.macros)
                                m.next = "Wait"
                        with m.Case(ResultKind.FRAMES):
                            m.next = "Frames"
                            with m.If(waiting.empty):
                                m.next = "Wait"
                        with m.Case(ResultKind.SUM):
                            m.d.sync += [self.beat.eq(waiting.beat), beats_left.eq(waiting.beats)]
                            m.next = "Sum"

            with m.State("Steps"):
                m.d.comb += [self.en.eq(1), self.leaves.eq(step_r.data), self.lanes.eq(1)]
                next_beat()
                with m.If(taken & last_beat):
                    next_frame()
                    m.d.sync += [current.step.eq(current.step + 1),
                                 current.steps.eq(current.steps - 1)]
                    with m.If(current.steps == 1):
                        m.d.sync += self.take.eq(current.macros)
                        m.next = "Wait"
                with m.If(self.release):
                    m.d.sync += self.take.eq(current.macros)
                released()
            with m.State("Sum"):
                m.d.comb += [self.en.eq(1), self.leaves.eq(current.macros), self.lanes.eq(1)]
                next_beat()
                with m.If(taken & last_beat):
                    m.next = "Wait"
                with m.If(self.release | (taken & last_beat)):
                    m.d.sync += self.take.eq(current.macros)
                released()
            with m.State("Frames"):
                m.d.comb += [self.en.eq(frame_full), self.leaves.eq(~frame.none << frame.macro)]
                next_beat()
                with m.If(taken & last_beat):
                    next_frame()
                    m.d.comb += self.frame.ready.eq(1)
                    m.d.sync += self.take.eq(self.leaves)
                    with m.If(frame.last):
                        m.next = "Wait"
                released(frames_left=~(taken & last_beat & frame.last))
            with m.State("Wait"):
                released()

            with m.State("DropFrames"):
                m.d.comb += [self.flush.eq(1), self.dropping.eq(1)]
                with m.If(frame_full):
                    m.d.comb += self.frame.ready.eq(1)
                    m.d.sync += self.take.eq(~frame.none << frame.macro)
                with m.If(Mux(frame_full, frame.last, self.aborted & ~self.frame.valid)):
                    m.next = "Flush"
            with m.State("Flush"):
                m.d.comb += self.flush.eq(1)
                with m.If(empty):
                    m.d.sync += self.current.eq(0)
                    m.next = "Idle"

        return m
