"""Token slots of a core: allocation by name, operand counts, ages."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ouroboros.hw.core.events import TIME_BITS
from ouroboros.hw.core.stage_table import stage_layout
from ouroboros.hw.lib.struct import struct
from ouroboros.hw.params.core import OPERANDS
from ouroboros.hw.params.isa import WAIT
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import STAGE_ENTRY, Flag
from ouroboros.hw.params.widths import (
    FLAG_BITS,
    OPERAND_BITS,
    POSITION_BITS,
    SEQUENCE_BITS,
    STAGE_BITS,
    WORD_ADDRESS_BITS,
)

__all__ = ["SlotState", "Slots", "arrived_signature", "found_signature", "lookup_signature"]


class SlotState(enum.Enum, shape=3):
    """What a slot waits for."""

    FREE = 0
    """A token."""
    FETCH = 1
    """The dispatcher."""
    OPERAND = 2
    """Packets of an operand."""
    UNIT = 3
    """A unit that can take its instruction."""
    CREDIT = 4
    """Credits of a destination."""
    RUN = 5
    """A unit to finish its instruction."""


def lookup_signature() -> stream.Signature:
    """Token of an arriving packet, from the ingress (``Out``)."""
    return stream.Signature(data.StructLayout({
        "stage": STAGE_BITS, "sequence": SEQUENCE_BITS, "position": POSITION_BITS}))


def found_signature(machine: Machine) -> stream.Signature:
    """Answer to a lookup: the token's slot, from the slots (``Out``)."""
    return stream.Signature(data.StructLayout({
        "ok": 1, "slot": ceil_log2(machine.core.slots), "base": WORD_ADDRESS_BITS,
    }), always_ready=True)


def arrived_signature(machine: Machine) -> stream.Signature:
    """A packet whose payload is in the buffer, from the ingress (``Out``)."""
    return stream.Signature(data.StructLayout({
        "slot": ceil_log2(machine.core.slots), "operand": OPERAND_BITS, "flags": FLAG_BITS,
    }), always_ready=True)


class Slots(wiring.Component):
    """State of every token slot.

    A lookup finds the slot that holds (stage, sequence, position) or gives the token a free slot of
    its stage, in state FETCH at the stage's first instruction; the answer comes in the next cycle.
    ``runnable`` marks slots that the dispatcher may go on with, ``oldest`` the index of the one
    allocated first. The dispatcher reads a slot through ``index`` and changes it through
    ``update``.

    Parameters
    ----------
    machine : Machine
        Slot and credit counts.

    Members
    -------
    lookup, found, arrived
        Traffic of the ingress.
    stages : In, array of ``stage_layout``
        The stage table.
    unit_free : In(3)
        Units (array, SFU, send) that can take an instruction now.
    array_open : In(slots)
        Slots that may use the array: all, or the one between its LOAD and its MVM.
    credit_ready : In(credits)
        Counters that are not zero.
    finished : In, array of 3 of {valid, slot, poison}
        Completions of the units; the slot goes on with its next instruction.
    occupied : Out(1)
        Some slot holds a token.
    any_runnable, oldest
        See above.
    index : In
        Slot shown on ``slot``.
    slot : Out(slot_layout)
        Registers of slot ``index``.
    update : In
        With ``valid``: slot ``index`` goes to ``state``; ``advance`` steps its program counter;
        ``operand``, ``packets``, ``unit`` and ``credits`` say what it waits for; with ``met`` (a
        WAIT is met) the token takes over the flags of its packets, and the first time the slot is
        stamped with ``now``.
    stage_busy, stage_waiting, stage_blocked : Out(stages)
        See ``hw.params.counters``.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        core = machine.core
        self.slot_bits = ceil_log2(core.slots)
        self.stage_bits = ceil_log2(core.stages) or 1
        self.slot_layout = data.StructLayout({
            "state":    SlotState,
            "stage":    self.stage_bits,
            "sequence": SEQUENCE_BITS,
            "position": POSITION_BITS,
            "flags":    FLAG_BITS,
            "coming":   FLAG_BITS,  # flags of packets, for the next WAIT to take over
            "base":     WORD_ADDRESS_BITS,
            "pc":       ceil_log2(core.program_words),
            "started":  1,
            "start":    TIME_BITS,
            "counts":   data.ArrayLayout(struct(WAIT)["packets"].shape, OPERANDS),
            "operand":  OPERAND_BITS,
            "packets":  struct(WAIT)["packets"].shape,
            "unit":     2,
            "credits":  core.credits,
        })
        stages = core.stages
        super().__init__({
            "lookup":  In(lookup_signature()),
            "found":   Out(found_signature(machine)),
            "arrived": In(arrived_signature(machine)),
            "stages": In(stage_layout(machine)).array(stages),
            "unit_free":     In(3),
            "array_open":    In(core.slots),
            "credit_ready":  In(core.credits),
            "finished": In(data.StructLayout({
                "valid": 1, "slot": self.slot_bits, "poison": 1})).array(3),
            "occupied": Out(1),
            "any_runnable": Out(1),
            "oldest":  Out(self.slot_bits),
            "index":   In(self.slot_bits),
            "slot":    Out(self.slot_layout),
            "update":  In(data.StructLayout({
                "valid": 1, "state": SlotState, "advance": 1, "met": 1, "now": TIME_BITS,
                "operand": OPERAND_BITS, "packets": struct(WAIT)["packets"].shape, "unit": 2,
                "credits": core.credits})),
            "stage_busy":    Out(stages),
            "stage_waiting": Out(stages),
            "stage_blocked": Out(stages),
        })

    def elaborate(self, platform):
        m = Module()

        core = self.machine.core
        slots = [Signal(self.slot_layout, name=f"slot{s}") for s in range(core.slots)]
        # older[i] bit j: slot i was allocated before slot j.
        older = [Signal(core.slots, name=f"older{s}") for s in range(core.slots)]
        occupied = Cat(slot.state != SlotState.FREE for slot in slots)
        m.d.comb += self.occupied.eq(occupied.any())

        self._allocate(m, slots, older, occupied)
        self._pick(m, slots, older)
        self._progress(m, slots)
        self._report(m, slots)

        return m

    def _allocate(self, m, slots, older, occupied):
        """Answers lookups; a new token takes the lowest free slot of its stage."""
        core = self.machine.core
        want = self.lookup.payload
        stage = want.stage[:self.stage_bits]

        hits = Signal(core.slots)
        candidates = Signal(core.slots)
        chosen = Signal(core.slots)
        chosen_index = Signal(self.slot_bits)
        offset = Signal(struct(STAGE_ENTRY)["slot_first"].shape)
        base = Signal(WORD_ADDRESS_BITS)
        entry = Signal(stage_layout(self.machine))

        m.d.comb += self.lookup.ready.eq(1)
        m.d.sync += self.found.valid.eq(self.lookup.valid)
        with m.If(self.lookup.valid):
            with m.Switch(want.stage):
                for n in range(core.stages):
                    with m.Case(n):
                        m.d.comb += entry.eq(self.stages[n])
            m.d.comb += hits.eq(Cat(
                (slot.state != SlotState.FREE) & (slot.stage == stage)
                & (slot.sequence == want.sequence) & (slot.position == want.position)
                for slot in slots) & entry.slots)
            m.d.comb += candidates.eq(entry.slots & ~occupied)
            m.d.comb += chosen.eq(Mux(hits.any(), hits, candidates & -candidates))
            for n in range(core.slots):
                with m.If(chosen[n]):
                    m.d.comb += chosen_index.eq(n)
            m.d.comb += offset.eq(chosen_index - entry.first)
            m.d.comb += base.eq(entry.base + offset * entry.stride)
            m.d.sync += self.found.p.ok.eq(chosen.any())
            m.d.sync += self.found.p.slot.eq(chosen_index)
            m.d.sync += self.found.p.base.eq(base)
            for n, slot in enumerate(slots):
                with m.If(~hits.any() & chosen[n]):
                    m.d.sync += [
                        slot.state.eq(SlotState.FETCH), slot.stage.eq(stage),
                        slot.sequence.eq(want.sequence), slot.position.eq(want.position),
                        slot.flags.eq(0), slot.coming.eq(0), slot.base.eq(base), slot.started.eq(0),
                        slot.counts.as_value().eq(0), older[n].eq(0)]
                    m.d.sync += [older[k][n].eq(1) for k in range(core.slots) if k != n]
                    m.d.sync += slot.pc.eq(entry.program)

    def _pick(self, m, slots, older):
        """Finds the oldest slot that can go on."""
        runnable = Signal(len(slots))
        m.d.comb += runnable.eq(Cat(
            (slot.state == SlotState.FETCH)
            | ((slot.state == SlotState.OPERAND)
               & (slot.counts[slot.operand] >= slot.packets))
            | ((slot.state == SlotState.UNIT) & self.unit_free.bit_select(slot.unit, 1)
               & ((slot.unit != 0) | self.array_open[n]))
            | ((slot.state == SlotState.CREDIT)
               & ((slot.credits & ~self.credit_ready) == 0))
            for n, slot in enumerate(slots)))
        m.d.comb += self.any_runnable.eq(runnable.any())
        with m.If(runnable.any()):
            for n in range(len(slots)):
                beaten = Cat(runnable[k] & older[k][n] for k in range(len(slots)) if k != n).any()
                with m.If(runnable[n] & ~beaten):
                    m.d.comb += self.oldest.eq(n)

    def _progress(self, m, slots):
        """Applies arrivals, completions and the dispatcher's updates."""
        with m.Switch(self.index):
            for n, slot in enumerate(slots):
                with m.Case(n):
                    m.d.comb += self.slot.eq(slot)

        arrived = self.arrived
        for n, slot in enumerate(slots):
            with m.If(arrived.valid & (arrived.p.slot == n)):
                m.d.sync += slot.counts[arrived.p.operand].eq(slot.counts[arrived.p.operand] + 1)
                # Not yet the token's: between two instructions that belong together (SCORE and the
                # SFU's that releases its sums) neither may be skipped for a flag that comes late.
                m.d.sync += slot.coming.eq(slot.coming | arrived.p.flags)
            for done in self.finished:
                with m.If(done.valid & (done.slot == n)):
                    m.d.sync += slot.state.eq(SlotState.FETCH)
                    m.d.sync += slot.pc.eq(slot.pc + 1)
                    with m.If(done.poison):
                        m.d.sync += slot.flags.eq(slot.flags | Flag.POISON)
            with m.If(self.update.valid & (self.index == n)):
                m.d.sync += slot.state.eq(self.update.state)
                m.d.sync += slot.operand.eq(self.update.operand)
                m.d.sync += slot.packets.eq(self.update.packets)
                m.d.sync += slot.unit.eq(self.update.unit)
                m.d.sync += slot.credits.eq(self.update.credits)
                with m.If(self.update.advance):
                    m.d.sync += slot.pc.eq(slot.pc + 1)
                with m.If(self.update.met):
                    m.d.sync += slot.flags.eq(slot.flags | slot.coming)
                with m.If(self.update.met & ~slot.started):
                    m.d.sync += slot.started.eq(1)
                    m.d.sync += slot.start.eq(self.update.now)

    def _report(self, m, slots):
        """Sorts the stages' cycles into busy, blocked and waiting."""
        for stage in range(self.machine.core.stages):
            mine = [slot.stage == stage for slot in slots]
            busy, blocked, waiting = (
                Cat(own & (slot.state == state) for own, slot in zip(mine, slots, strict=True)
                    for state in states).any()
                for states in ((SlotState.RUN, SlotState.FETCH, SlotState.UNIT),
                               (SlotState.CREDIT,), (SlotState.OPERAND,)))
            m.d.comb += self.stage_busy[stage].eq(busy)
            m.d.comb += self.stage_blocked[stage].eq(~busy & blocked)
            m.d.comb += self.stage_waiting[stage].eq(~busy & ~blocked & waiting)
