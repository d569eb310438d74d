"""Drain stage of the array unit: brings results to the SFU frame by frame."""

from amaranth import Module, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ouroboros.hw.array.readout import Readout
from ouroboros.hw.array.result import ResultHolder, frame_layout, result_layout
from ouroboros.hw.lib.bus import ConfigBus
from ouroboros.hw.params.cim import tree_latency_cycles
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import Unit

__all__ = ["DrainControl"]


class DrainControl(wiring.Component):
    """Two results: one waits until it is complete and its predecessor released, one is read out.

    ``done`` is high for a cycle when a result becomes current; its beats follow. A macro is freed
    as soon as its last beat has entered the tree. ``released`` ends the current stream: from the
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
    released : In(1)
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
            "released":  In(1),
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

        core = self.machine.core
        m.submodules.holder = holder = ResultHolder(self.machine)
        m.submodules.readout = readout = Readout(self.machine)
        m.submodules.steps = steps = memory.Memory(shape=core.macros, depth=core.step_words,
                                                   init=[])
        step_w, step_r = steps.write_port(), steps.read_port(domain="comb")
        m.d.comb += [step_w.en.eq(self.config.valid & (self.config.unit == Unit.STEP)),
                     step_w.addr.eq(self.config.address), step_w.data.eq(self.config.data),
                     step_r.addr.eq(readout.step), readout.leaves.eq(step_r.data)]
        connect(m, flipped(self.result), holder.i)
        connect(m, holder.o, readout.result)
        connect(m, flipped(self.frame), readout.frame)

        frame, result = self.frame.p, holder.o.p
        full, frame_full = Signal(core.macros), Signal()
        taken, inside = Signal(), Signal(range(tree_latency_cycles(core.macros) + 2))
        m.d.comb += [
            # A macro takes note of `take` one cycle late.
            full.eq(self.full & ~self.take), holder.full.eq(full),
            frame_full.eq(self.frame.valid & (frame.none | full.bit_select(frame.macro, 1))),
            holder.frame_full.eq(frame_full), readout.frame_full.eq(frame_full),
            taken.eq(self.en & self.ready), readout.taken.eq(taken),
            readout.empty.eq(inside + taken == self.leaving),
            readout.aborted.eq(self.aborted), readout.released.eq(self.released),
            self.beat.eq(readout.beat), self.leaves.eq(readout.mask),
            self.lanes.eq(readout.lanes), self.en.eq(readout.en), self.take.eq(readout.take),
            self.flush.eq(readout.flush), self.current.eq(readout.current),
            self.dropping.eq(readout.dropping), self.waiting.eq(holder.waiting),
            self.done.eq(holder.o.valid & holder.o.ready), self.done_slot.eq(result.slot),
            self.done_kind.eq(result.kind), self.done_bank.eq(result.bank),
        ]
        m.d.sync += inside.eq(inside + taken - self.leaving)

        return m
