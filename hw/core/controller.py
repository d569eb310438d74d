"""Core controller: runs the stage programs of every token slot."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import ceil_log2

from ouroboros.hw.core.credits import CreditCounters, CreditSender, credit_signature
from ouroboros.hw.core.events import TIME_BITS, trace_layout
from ouroboros.hw.core.slots import (
    Slots,
    SlotState,
    arrived_signature,
    found_signature,
    lookup_signature,
)
from ouroboros.hw.core.stage_table import StageTable
from ouroboros.hw.kv.members import BlockOwner
from ouroboros.hw.lib.bus import ConfigBus, done_signature, issue_signature
from ouroboros.hw.lib.struct import struct
from ouroboros.hw.params import isa
from ouroboros.hw.params.isa import Op
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import CREDIT_ENTRY, DEST_ENTRY, KV_CONFIG, Unit
from ouroboros.hw.params.widths import POSITION_BITS

__all__ = ["Controller"]

ARRAY, SFU, SEND = range(3)


class Controller(wiring.Component):
    """Dispatches one instruction of the oldest slot that can go on, at most every second cycle.

    Cycle 0 picks the slot and reads its instruction, cycle 1 acts: skips it, frees the slot (END),
    parks the slot until an operand, a unit or credits are there, or hands the instruction to its
    unit, where it waits in a register until the unit takes it. After completion a slot is picked
    again from the next cycle on. A LOAD gives the array to its slot until that slot's MVM.

    Tokens of a stage do not overtake each other at an instruction that both execute: a unit or a
    credit that comes back between cycle 0 and cycle 1 is left to the slots that wait for it.

    Parameters
    ----------
    machine : Machine
        Sizes.

    Members
    -------
    lookup, found, arrived, credit : from and to the ingress
        See ``hw.core.slots``; ``credit`` names a counter to be raised by 1.
    config : In(ConfigBus)
        Units PROGRAM, STAGE, CREDIT_LIST, CREDIT, DEST (credit masks only), KV (members, ring).
    issue_array, issue_sfu, issue_send : Out(issue_signature)
        Instructions.
    done_array, done_sfu, done_send : In(done_signature)
        Completions.
    credit_out : Out(stream of CREDIT_ENTRY)
        Credits to be sent to other cores.
    trace : Out(stream(trace_layout(), always_ready))
        Tokens that ended.
    now : In(TIME_BITS)
        Cycle counter for the trace.
    stage_busy, stage_waiting, stage_blocked : Out(stages)
        Events for the stage counters.
    active : Out(1)
        A slot is occupied or credits are to be sent.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        core = machine.core
        super().__init__({
            "lookup":  In(lookup_signature()),
            "found":   Out(found_signature(machine)),
            "arrived": In(arrived_signature(machine)),
            "credit":  In(credit_signature()),
            "config":  In(ConfigBus(machine)),
            "issue_array": Out(issue_signature(machine)),
            "issue_sfu":   Out(issue_signature(machine)),
            "issue_send":  Out(issue_signature(machine)),
            "done_array":  In(done_signature(machine)),
            "done_sfu":    In(done_signature(machine)),
            "done_send":   In(done_signature(machine)),
            "credit_out":  Out(stream.Signature(struct(CREDIT_ENTRY))),
            "trace": Out(stream.Signature(trace_layout(), always_ready=True)),
            "now":   In(TIME_BITS),
            "stage_busy":    Out(core.stages),
            "stage_waiting": Out(core.stages),
            "stage_blocked": Out(core.stages),
            "active": Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        core = self.machine.core
        m.submodules.stages = stages = StageTable(self.machine)
        m.submodules.slots = slots = Slots(self.machine)
        m.submodules.counters = counters = CreditCounters(self.machine)
        m.submodules.sender = sender = CreditSender(self.machine)
        self._connect(m, stages, slots, counters, sender)
        fetch, mask_read = self._programs(m)

        # ``acting`` is cycle 1 of slot ``index``; in cycle 0 the oldest runnable slot is shown.
        # ``seen`` is what cycle 0 saw: what came since may belong to an older slot.
        acting = Signal()
        index = Signal(slots.slot_bits)
        seen = Signal(data.StructLayout({
            "unit_free": 3, "array_open": core.slots, "credit_ready": core.credits}))
        m.d.comb += slots.index.eq(Mux(acting, index, slots.oldest))
        m.d.comb += fetch.en.eq(~acting & slots.any_runnable)
        m.d.comb += fetch.addr.eq(slots.slot.pc)
        with m.If(fetch.en):
            m.d.sync += index.eq(slots.oldest)
            m.d.sync += acting.eq(1)
            m.d.sync += [
                seen.unit_free.eq(slots.unit_free), seen.array_open.eq(slots.array_open),
                seen.credit_ready.eq(counters.ready)]

        lock = Signal()
        lock_slot = Signal(slots.slot_bits)
        m.d.comb += slots.array_open.eq(Cat(~lock | (lock_slot == n) for n in range(core.slots)))
        issues = (self.issue_array, self.issue_sfu, self.issue_send)
        m.d.comb += slots.unit_free.eq(Cat(~issue.valid | issue.ready for issue in issues))
        for issue in issues:
            with m.If(issue.ready):
                m.d.sync += issue.valid.eq(0)

        layout = struct(KV_CONFIG)
        m.submodules.owner = owner = BlockOwner(self.machine)
        settings = {name: Signal.like(owner.settings[name], name=name,
                                      reset_less=self.machine.kv.keeps)
                    for name in ("members", "member", "ring")}
        m.d.comb += [owner.settings[name].eq(value) for name, value in settings.items()]
        with m.If(self.config.valid & (self.config.unit == Unit.KV)):
            entry = data.View(layout, self.config.data[:layout.size])
            m.d.sync += [settings[name].eq(entry[name]) for name in settings]

        word = Signal(isa.INSTRUCTION_BITS)
        m.d.comb += word.eq(fetch.data)
        m.d.comb += mask_read.addr.eq(data.View(struct(isa.SEND), word).dest)
        with m.If(acting):
            action = _Action(m, self, slots=slots, issues=issues, word=word, index=index,
                             acting=acting, seen=seen, owner=owner)
            m.d.sync += acting.eq(0)
            m.d.comb += slots.update.valid.eq(1)
            with m.If(action.skipped):
                action.next()
            with m.Else(), m.Switch(data.View(struct(isa.BARE), word).op):
                with m.Case(Op.END):
                    action.end(stages, sender)
                with m.Case(Op.WAIT):
                    action.wait()
                with m.Case(Op.SFU):
                    action.issue(SFU)
                with m.Case(Op.SEND):
                    action.send(mask_read.data, counters)
                with m.Case(Op.LOAD):
                    with m.If(action.issue(ARRAY)):
                        m.d.sync += lock.eq(1)
                        m.d.sync += lock_slot.eq(index)
                with m.Case(Op.MVM):
                    with m.If(action.issue(ARRAY)):
                        m.d.sync += lock.eq(0)
                with m.Case(Op.APPEND, Op.SCORE, Op.CONTEXT, Op.FREE):
                    action.issue(ARRAY)
                with m.Default():
                    action.next()

        return m

    def _connect(self, m, stages, slots, counters, sender):
        """Connects the parts with each other and the outside."""
        for part in (stages, counters, sender):
            connect(m, flipped(self.config), part.config)
        connect(m, flipped(self.lookup), slots.lookup)
        connect(m, slots.found, flipped(self.found))
        connect(m, flipped(self.arrived), slots.arrived)
        connect(m, flipped(self.credit), counters.credit)
        connect(m, sender.o, flipped(self.credit_out))
        m.d.comb += [there.eq(here)
                     for there, here in zip(slots.stages, stages.stages, strict=True)]
        m.d.comb += [
            slots.credit_ready.eq(counters.ready), self.stage_busy.eq(slots.stage_busy),
            self.stage_waiting.eq(slots.stage_waiting), self.stage_blocked.eq(slots.stage_blocked),
            self.active.eq(slots.occupied | ~sender.i.ready)]
        for n, done in enumerate((self.done_array, self.done_sfu, self.done_send)):
            m.d.comb += [slots.finished[n].valid.eq(done.valid),
                         slots.finished[n].slot.eq(done.p.slot),
                         slots.finished[n].poison.eq(done.p.poison)]

    def _programs(self, m):
        """Instructions, and credit masks of destinations; a read port of each."""
        core = self.machine.core
        m.submodules.program = program = memory.Memory(
            shape=isa.INSTRUCTION_BITS, depth=core.program_words, init=[])
        m.submodules.masks = masks = memory.Memory(shape=core.credits, depth=core.dests, init=[])
        self._write_table(m, program, Unit.PROGRAM, self.config.data)
        dest = struct(DEST_ENTRY)
        self._write_table(m, masks, Unit.DEST,
                          data.View(dest, self.config.data[:dest.size]).credits)
        fetch, mask_read = program.read_port(), masks.read_port(domain="comb")
        return fetch, mask_read

    def _write_table(self, m, table, unit, value):
        """Writes a memory from the configuration bus."""
        port = table.write_port()
        m.d.comb += [port.addr.eq(self.config.address), port.data.eq(value),
                     port.en.eq(self.config.valid & (self.config.unit == unit))]


class _Action:
    """What cycle 1 can do with the instruction ``word`` of the slot shown; see ``Controller``."""

    def __init__(self, m, controller, *, slots, issues, word, index, acting, seen, owner):
        self.m, self.controller = m, controller
        self.slots, self.issues, self.word, self.index, self.acting, self.seen = (
            slots, issues, word, index, acting, seen)
        bare = data.View(struct(isa.BARE), word)
        self.skipped = ((slots.slot.flags & bare.skip).any()
                        | ((slots.slot.flags & bare.need) != bare.need))
        self.tokens = self._local_tokens(owner)

    def _local_tokens(self, owner):
        """KV tokens up to the slot's position whose block belongs to this core."""
        m, machine = self.m, self.controller.machine
        position = self.slots.slot.position
        shift = ceil_log2(machine.block_tokens)
        inside = position[:shift]
        tail = Signal(shift + 1)
        m.d.comb += [owner.index.eq(position[shift:]),
                     owner.sequence.eq(self.slots.slot.sequence)]
        m.d.comb += tail.eq(Mux(owner.turn > owner.mine, machine.block_tokens,
                                Mux(owner.turn == owner.mine, inside + 1, 0)))
        tokens = Signal(POSITION_BITS)
        m.d.comb += tokens.eq((owner.own << shift) + tail)
        return tokens

    def next(self):
        """Goes on with the next instruction."""
        self.m.d.comb += self.slots.update.state.eq(SlotState.FETCH)
        self.m.d.comb += self.slots.update.advance.eq(1)

    def end(self, stages, sender):
        """Frees the slot; waits while the credits of the last END are still going out."""
        m, slot = self.m, self.slots.slot
        with m.Switch(slot.stage):
            for n, stage in enumerate(stages.stages):
                with m.Case(n):
                    m.d.comb += sender.i.p.first.eq(stage.credit_first)
                    m.d.comb += sender.i.p.count.eq(stage.credit_count)
        m.d.comb += sender.i.valid.eq(1)
        trace = self.controller.trace
        m.d.comb += [
            trace.p.stage.eq(slot.stage), trace.p.sequence.eq(slot.sequence),
            trace.p.position.eq(slot.position), trace.p.flags.eq(slot.flags),
            trace.p.start.eq(slot.start)]
        with m.If(sender.i.ready):
            m.d.comb += self.slots.update.state.eq(SlotState.FREE)
            m.d.comb += trace.valid.eq(1)
        with m.Else():
            m.d.comb += self.slots.update.valid.eq(0)
            m.d.sync += self.acting.eq(1)

    def wait(self):
        """Goes on, or parks the slot until the packets are there."""
        m, update = self.m, self.slots.update
        wait = data.View(struct(isa.WAIT), self.word)
        with m.If(self.slots.slot.counts[wait.operand] >= wait.packets):
            self.next()
            m.d.comb += update.met.eq(1)
            m.d.comb += update.now.eq(self.controller.now)
        with m.Else():
            m.d.comb += update.state.eq(SlotState.OPERAND)
            m.d.comb += update.operand.eq(wait.operand)
            m.d.comb += update.packets.eq(wait.packets)

    def issue(self, unit):
        """Hands the instruction to its unit or parks the slot; the value tells which."""
        m, slot, issue = self.m, self.slots.slot, self.issues[unit]
        free = self.seen.unit_free[unit]
        if unit == ARRAY:
            free = free & self.seen.array_open.bit_select(self.index, 1)
        with m.If(free):
            m.d.sync += [
                issue.valid.eq(1), issue.p.instruction.eq(self.word), issue.p.slot.eq(self.index),
                issue.p.base.eq(slot.base), issue.p.sequence.eq(slot.sequence),
                issue.p.position.eq(slot.position), issue.p.tokens.eq(self.tokens),
                issue.p.flags.eq(slot.flags)]
            m.d.comb += self.slots.update.state.eq(SlotState.RUN)
        with m.Else():
            m.d.comb += self.slots.update.state.eq(SlotState.UNIT)
            m.d.comb += self.slots.update.unit.eq(unit)
        return free

    def send(self, mask, counters):
        """As ``issue``, but first parks the slot until the credits it takes are there."""
        m = self.m
        acquire = data.View(struct(isa.SEND), self.word).acquire
        with m.If(acquire & (mask & ~self.seen.credit_ready).any()):
            m.d.comb += self.slots.update.state.eq(SlotState.CREDIT)
            m.d.comb += self.slots.update.credits.eq(mask)
        with m.Else():
            with m.If(self.issue(SEND) & acquire):
                m.d.comb += counters.spend.eq(mask)
