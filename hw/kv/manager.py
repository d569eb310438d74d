"""KV tile manager: which macro holds which block of which sequence."""

from amaranth import Cat, Module, Mux, Shape, Signal, unsigned
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ouroboros.hw.kv.bitmap import BlockBitmap
from ouroboros.hw.kv.layout import (
    BLOCK_BITS,
    KvOp,
    kv_command_layout,
    kv_reply_layout,
    place_layouts,
)
from ouroboros.hw.lib.bus import ConfigBus
from ouroboros.hw.lib.struct import struct
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import KV_CONFIG, Unit
from ouroboros.hw.params.timing.array import kv_wipe_cycles

__all__ = ["KvManager"]


class KvManager(wiring.Component):
    """Page table, block bitmaps, token-valid bits and column slots of one core.

    A block is the K and the V of ``outputs`` tokens of one (sequence, head); both halves are
    allocated and freed together, so one page holds both places.

    * LOOKUP: ``ok`` if the block exists. One per cycle; the reply comes ``KV_LOOKUP_CYCLES`` later.
    * APPEND: ``ok`` if the block exists or could be allocated; the token is then valid, however
      often it is appended. ``full`` if there was no room for both halves: nothing has changed.
      The reply comes ``KV_APPEND_CYCLES`` later, ``KV_ALLOCATE_CYCLES`` more with a new block, and
      ``slot_search_cycles`` more with the first one of a (sequence, head).
    * FREE: ``ok``. Costs 3 cycles per block, see ``free_cycles``.

    (Cycle counts are in ``hw.params.timing.array``.)

    A sequence, head or block that the tables cannot hold gives neither ``ok`` nor ``full``.

    Placement: K goes to the next macro with room after the one of the sequence's block before,
    round robin over ``k_macros``; a block with none before it goes to the next one after the macro
    where the last such block went, so that sequences begin at different macros. V likewise over
    ``v_macros``, all V blocks of a (sequence, head) in one column slot: chosen with the first block
    as number ``(sequence + head) mod v_slots``, or the next one with room. Within a macro the
    lowest free block.

    A write of ``KV_CONFIG`` forgets everything; commands then wait ``kv_wipe_cycles`` while the
    tables are wiped. Before the first one there are no heads. ``k_macros`` and ``v_macros`` must be
    disjoint.

    Parameters
    ----------
    machine : Machine
        Sizes; ``cim.rows`` must be at least ``cim.outputs``.

    Members
    -------
    config : In(ConfigBus)
        ``Unit.KV``, address 0.
    settings : Out(KV_CONFIG)
        What was written there.
    cmd, rsp : In(stream), Out(stream)
        Commands, and one reply for each in order.
    used : Out
        Number of blocks allocated.
    active : Out(1)
        A command or a wipe is under way; without ``cmd`` and ``config``, nothing changes else.
    """

    def __init__(self, machine: Machine):
        kv, cim = machine.kv, machine.cim
        if cim.rows < cim.outputs:
            raise ValueError(f"cim.rows must be at least cim.outputs ({cim.outputs}), "
                             f"not {cim.rows!r}")
        self.machine = machine
        self.pages = kv.sequences * kv.heads * kv.blocks
        self.residue_bits = ceil_log2(kv.sequences + kv.heads)
        super().__init__({
            "config":   In(ConfigBus(machine)),
            "settings": Out(struct(KV_CONFIG)),
            "cmd":      In(stream.Signature(kv_command_layout(machine))),
            "rsp":      Out(stream.Signature(kv_reply_layout(machine))),
            "used":     Out(range(self.pages + 1)),
            "active":   Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        kv, cim, core = self.machine.kv, self.machine.cim, self.machine.core
        places = place_layouts(self.machine)
        cmd, rsp, settings = self.cmd.p, self.rsp.p, self.settings

        pages = memory.Memory(shape=data.StructLayout({"valid": 1, **places}),
                              depth=self.pages, init=[])
        slot_shape = places["v"]["slot"].shape
        slots = memory.Memory(shape=data.StructLayout({"valid": 1, "slot": slot_shape}),
                              depth=kv.sequences * kv.heads, init=[])
        tokens = memory.Memory(shape=unsigned(cim.outputs), depth=core.macros * cim.groups, init=[])
        m.submodules.pages, m.submodules.slots, m.submodules.tokens = pages, slots, tokens
        page_r, page_w = pages.read_port(), pages.write_port()
        slot_r, slot_w = slots.read_port(), slots.write_port()
        token_r, token_w = tokens.read_port(), tokens.write_port()
        m.submodules.k = k = BlockBitmap(macros=core.macros, blocks=cim.groups, slots=1)
        m.submodules.v = v = BlockBitmap(macros=core.macros, blocks=cim.rows // cim.outputs,
                                         slots=cim.outputs // core.lanes)

        def slot_address(head):
            return Cat(head[:ceil_log2(kv.heads)], job.sequence[:ceil_log2(kv.sequences)])

        def page_address(head, block):
            return Cat(block[:ceil_log2(kv.blocks)], slot_address(head))

        def token_address(place):
            return Cat(place.block[:ceil_log2(cim.groups)], place.macro[:ceil_log2(core.macros)])

        # The command at work: the one on the port until it is accepted.
        accept, held = Signal(), Signal(kv_command_layout(self.machine))
        job = Signal.like(held)
        m.d.comb += job.eq(Mux(accept, cmd, held))
        legal, held_legal = Signal(), Signal()
        m.d.comb += legal.eq((cmd.sequence < kv.sequences)
                             & ((cmd.op == KvOp.FREE) | (cmd.head < settings.heads)
                                & (cmd.head < kv.heads) & (cmd.block < kv.blocks)))

        # Lookups flow through two stages: page, then token bits beside the reply.
        advance, looking = Signal(), Signal()
        reply = Signal(data.StructLayout({"ok": 1, "full": 1, **places}))
        m.d.comb += [
            advance.eq(~self.rsp.valid | self.rsp.ready),
            rsp.ok.eq(reply.ok), rsp.full.eq(reply.full), rsp.k.eq(reply.k), rsp.v.eq(reply.v),
            rsp.valid.eq(token_r.data), token_r.addr.eq(token_address(page_r.data.k)),
            page_r.en.eq(0), slot_r.en.eq(0), token_r.en.eq(0),
        ]
        with m.If(advance):
            m.d.sync += [looking.eq(accept & (cmd.op == KvOp.LOOKUP)), self.rsp.valid.eq(looking)]
            with m.If(looking):
                m.d.comb += token_r.en.eq(1)
                m.d.sync += [reply.ok.eq(held_legal & page_r.data.valid), reply.full.eq(0),
                             reply.k.eq(page_r.data.k), reply.v.eq(page_r.data.v)]

        def answer(*, ok, full=0):
            m.d.sync += [self.rsp.valid.eq(1), reply.ok.eq(ok), reply.full.eq(full)]
            m.next = "Accept"

        # Searches for room; V's slot is the one on trial until the sequence has one.
        follows, slot, new_slot = Signal(), Signal(slot_shape), Signal()
        k_start = Signal.like(k.after, init=core.macros - 1)
        v_start = Signal.like(k_start)
        residue, step = Signal(self.residue_bits), Signal(range(self.residue_bits))
        tries = Signal(settings.v_slots.shape())
        trial = Signal(Shape(self.residue_bits + len(settings.v_slots) + 1, signed=True))
        m.d.comb += [
            k.allowed.eq(settings.k_macros), v.allowed.eq(settings.v_macros), v.slot.eq(slot),
            k.limit.eq(settings.k_blocks), v.limit.eq(cim.rows // cim.outputs),
            k.at_macro.eq(page_r.data.k.macro), v.at_macro.eq(page_r.data.v.macro),
            k.at.eq(page_r.data.k.block), v.at.eq(page_r.data.v.block),
            v.at_slot.eq(page_r.data.v.slot),
            token_w.addr.eq(token_address(reply.k)),
        ]

        # A write of the settings waits here until no command is at work.
        wipe_steps = kv_wipe_cycles(self.machine) - 1
        wipe, count = Signal(), Signal(range(wipe_steps))
        with m.If(self.config.valid & (self.config.unit == Unit.KV)):
            m.d.sync += [settings.eq(self.config.data), wipe.eq(1)]

        head, block = Signal(range(kv.heads)), Signal(range(kv.blocks))
        last_head, last_block = head == kv.heads - 1, block == kv.blocks - 1
        m.d.comb += [page_w.addr.eq(page_address(job.head, job.block)),
                     slot_w.addr.eq(slot_address(job.head))]

        def next_page():
            m.d.sync += block.eq(block + 1)
            m.next = "ReadPage"
            with m.If(last_block):
                m.d.comb += [slot_w.en.eq(1), slot_w.addr.eq(slot_address(head))]
                next_head()

        def next_head():
            m.d.sync += [head.eq(head + 1), block.eq(0)]
            m.next = "ReadSlot"
            with m.If(last_head):
                answer(ok=1)

        with m.FSM(init="Accept") as fsm:
            m.d.comb += self.active.eq(~fsm.ongoing("Accept") | wipe | looking | self.rsp.valid)
            with m.State("Accept"):
                m.d.comb += [
                    self.cmd.ready.eq(~wipe & Mux(cmd.op == KvOp.LOOKUP, advance,
                                                  ~looking & ~self.rsp.valid)),
                    accept.eq(self.cmd.valid & self.cmd.ready),
                    page_r.en.eq(accept), page_r.addr.eq(page_address(cmd.head, cmd.block)),
                    slot_r.en.eq(accept), slot_r.addr.eq(slot_address(cmd.head)),
                ]
                with m.If(accept):
                    m.d.sync += [held.eq(cmd), held_legal.eq(legal), head.eq(0), block.eq(0)]
                    with m.If(cmd.op == KvOp.APPEND):
                        m.next = "CheckPage"
                    with m.If(cmd.op == KvOp.FREE):
                        m.next = "StartFree"
                with m.If(wipe & ~looking & ~self.rsp.valid):
                    m.d.sync += wipe.eq(0)
                    m.next = "Wipe"

            with m.State("CheckPage"):
                m.d.sync += [reply.k.eq(page_r.data.k), reply.v.eq(page_r.data.v)]
                with m.If(~held_legal):
                    answer(ok=0)
                with m.Elif(page_r.data.valid):
                    m.d.comb += token_r.en.eq(1)
                    m.next = "MarkToken"
                with m.Else():
                    m.d.comb += [page_r.en.eq(1), page_r.addr.eq(
                        page_address(job.head, (job.block - 1)[:BLOCK_BITS]))]
                    m.next = "FindStart"
            with m.State("MarkToken"):
                m.d.comb += [token_w.en.eq(1), token_w.data.eq(token_r.data | (1 << job.token))]
                answer(ok=1)

            with m.State("FindStart"):
                before = (job.block != 0) & page_r.data.valid
                m.d.sync += [
                    follows.eq(before),
                    k.after.eq(Mux(before, page_r.data.k.macro, k_start)),
                    v.after.eq(Mux(before, page_r.data.v.macro, v_start)),
                    slot.eq(slot_r.data.slot), new_slot.eq(~slot_r.data.valid),
                    residue.eq(job.sequence + job.head), step.eq(self.residue_bits - 1),
                    tries.eq(1),
                ]
                m.next = "FindBlock"
                with m.If(~slot_r.data.valid):
                    m.next = "FindResidue"
            with m.State("FindResidue"):  # of the division by v_slots, a quotient bit per cycle
                m.d.comb += trial.eq(residue - (settings.v_slots << step))
                remainder = Mux(trial >= 0, trial, residue)
                m.d.sync += [residue.eq(remainder), slot.eq(remainder), step.eq(step - 1)]
                with m.If(step == 0):
                    m.next = "FindSlot"
            with m.State("FindSlot"):
                m.d.sync += tries.eq(tries + 1)
                with m.If(v.room):
                    m.next = "FindBlock"
                with m.Elif(tries >= settings.v_slots):
                    answer(ok=0, full=1)
                with m.Else():
                    m.d.sync += slot.eq(Mux(slot + 1 == settings.v_slots, 0, slot + 1))
            with m.State("FindBlock"):
                m.d.comb += [k.find.eq(1), v.find.eq(1)]
                m.next = "Allocate"
                with m.If(~k.room | ~v.room):
                    answer(ok=0, full=1)
            with m.State("Allocate"):
                place = Signal(pages.shape)
                m.d.comb += [
                    place.valid.eq(1),
                    place.k.macro.eq(k.macro), place.k.block.eq(k.block),
                    place.v.macro.eq(v.macro), place.v.block.eq(v.block), place.v.slot.eq(slot),
                    k.set.eq(1), v.set.eq(1), page_w.en.eq(1), page_w.data.eq(place),
                    slot_w.en.eq(new_slot), slot_w.data.valid.eq(1), slot_w.data.slot.eq(slot),
                    token_w.en.eq(1), token_w.addr.eq(token_address(place.k)),
                    token_w.data.eq(1 << job.token),
                ]
                m.d.sync += [reply.k.eq(place.k), reply.v.eq(place.v), self.used.eq(self.used + 1)]
                with m.If(~follows):
                    m.d.sync += [k_start.eq(k.macro), v_start.eq(v.macro)]
                answer(ok=1)

            with m.State("StartFree"):
                m.next = "ReadSlot"
                with m.If(~held_legal):
                    answer(ok=0)
            with m.State("ReadSlot"):
                m.d.comb += [slot_r.en.eq(1), slot_r.addr.eq(slot_address(head))]
                m.next = "CheckSlot"
            with m.State("CheckSlot"):
                m.next = "ReadPage"
                with m.If(~slot_r.data.valid):
                    next_head()
            with m.State("ReadPage"):
                m.d.comb += [page_r.en.eq(1), page_r.addr.eq(page_address(head, block))]
                m.next = "SelectBlock"
            with m.State("SelectBlock"):
                m.d.comb += [k.select.eq(1), v.select.eq(1)]
                m.next = "ClearBlock"
                with m.If(~page_r.data.valid):
                    next_page()
            with m.State("ClearBlock"):
                m.d.comb += [k.clear.eq(1), v.clear.eq(1), page_w.en.eq(1), page_w.data.eq(0),
                             page_w.addr.eq(page_address(head, block))]
                m.d.sync += self.used.eq(self.used - 1)
                next_page()

            with m.State("Wipe"):
                m.d.sync += [count.eq(count + 1), self.used.eq(0),
                             k_start.eq(k_start.init), v_start.eq(v_start.init)]
                m.d.comb += [
                    page_w.en.eq(1), page_w.addr.eq(count), page_w.data.eq(0),
                    slot_w.en.eq(1), slot_w.addr.eq(count), slot_w.data.eq(0),
                    k.wipe.eq(1), k.wipe_macro.eq(count), v.wipe.eq(1), v.wipe_macro.eq(count),
                ]
                with m.If(count == wipe_steps - 1):
                    m.d.sync += count.eq(0)
                    m.next = "Accept"

        return m
