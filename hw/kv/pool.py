"""Pool of the KV tile manager: finds room for a new block, takes old ones back."""

from amaranth import Module, Mux, Shape, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ouroboros.hw.kv.bitmap import BlockBitmap
from ouroboros.hw.kv.layout import kv_command_layout, place_layouts
from ouroboros.hw.kv.tables import page_layout, slot_layout
from ouroboros.hw.lib.struct import struct
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import KV_CONFIG

__all__ = ["BlockPool"]


class BlockPool(wiring.Component):
    """Knows which blocks of the macros are in use, and places new ones as ``KvManager`` says.

    A search begins with ``start``, in which cycle ``follows``, ``page`` and ``slot`` are looked at.
    ``found`` comes two cycles later, if the (sequence, head) has a column slot, else after
    ``slot_search_cycles`` more, and one more for each slot that turns out to be full; the place is
    then taken. ``full`` comes instead when there is no room for both halves: nothing has changed.

    Parameters
    ----------
    machine : Machine
        Sizes.

    Members
    -------
    settings : In(KV_CONFIG)
        Stable while a search goes on.
    start, sequence, head : In(1), In, In
        Begins a search for a block of (sequence, head).
    follows, page : In(1), In(page_layout(machine))
        There is a block before it, and where; with ``select``, the block to be given back.
    slot : In(slot_layout(machine))
        Column slot of the (sequence, head), if it has one.
    found, full : Out(1)
        End of a search.
    k, v : Out
        The place found, with ``found``.
    select, give_back : In(1)
        Points at the block on ``page``; it is free from the next cycle on. Not in a search.
    wipe, wipe_macro : In(1), In
        Frees all blocks of one macro; the next sequence begins at the first macro again.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        command, places = kv_command_layout(machine), place_layouts(machine)
        self.residue_bits = ceil_log2(machine.kv.sequences + machine.kv.heads)
        super().__init__({
            "settings":   In(struct(KV_CONFIG)),
            "start":      In(1),
            "sequence":   In(command["sequence"].shape),
            "head":       In(command["head"].shape),
            "follows":    In(1),
            "page":       In(page_layout(machine)),
            "slot":       In(slot_layout(machine)),
            "found":      Out(1),
            "full":       Out(1),
            "k":          Out(places["k"]),
            "v":          Out(places["v"]),
            "select":     In(1),
            "give_back":  In(1),
            "wipe":       In(1),
            "wipe_macro": In(places["k"]["macro"].shape),
        })

    def elaborate(self, platform):
        m = Module()

        cim, core, settings = self.machine.cim, self.machine.core, self.settings
        m.submodules.k = k = BlockBitmap(macros=core.macros, blocks=cim.groups, slots=1)
        m.submodules.v = v = BlockBitmap(macros=core.macros, blocks=cim.rows // cim.outputs,
                                         slots=cim.outputs // core.lanes)
        # V's slot is the one on trial until the sequence has one.
        follows, slot = Signal(), Signal.like(self.slot.slot)
        k_start = Signal.like(k.after, init=core.macros - 1)
        v_start = Signal.like(k_start)
        residue, step = Signal(self.residue_bits), Signal(range(self.residue_bits))
        tries = Signal(settings.v_slots.shape())
        trial = Signal(Shape(self.residue_bits + len(settings.v_slots) + 1, signed=True))

        m.d.comb += [
            k.allowed.eq(settings.k_macros), v.allowed.eq(settings.v_macros), v.slot.eq(slot),
            k.limit.eq(settings.k_blocks), v.limit.eq(cim.rows // cim.outputs),
            k.at_macro.eq(self.page.k.macro), v.at_macro.eq(self.page.v.macro),
            k.at.eq(self.page.k.block), v.at.eq(self.page.v.block), v.at_slot.eq(self.page.v.slot),
            self.k.macro.eq(k.macro), self.k.block.eq(k.block),
            self.v.macro.eq(v.macro), self.v.block.eq(v.block), self.v.slot.eq(slot),
            *(half.select.eq(self.select) for half in (k, v)),
            *(half.set.eq(self.found) for half in (k, v)),
            *(half.clear.eq(self.give_back) for half in (k, v)),
            *(half.wipe.eq(self.wipe) for half in (k, v)),
            *(half.wipe_macro.eq(self.wipe_macro) for half in (k, v)),
        ]
        with m.If(self.wipe):
            m.d.sync += [k_start.eq(k_start.init), v_start.eq(v_start.init)]

        with m.FSM():
            with m.State("Await"):
                m.d.sync += [
                    follows.eq(self.follows), slot.eq(self.slot.slot),
                    k.after.eq(Mux(self.follows, self.page.k.macro, k_start)),
                    v.after.eq(Mux(self.follows, self.page.v.macro, v_start)),
                    residue.eq(self.sequence + self.head), step.eq(self.residue_bits - 1),
                    tries.eq(1),
                ]
                with m.If(self.start):
                    m.next = "FindBlock"
                    with m.If(~self.slot.valid):
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
                    m.d.comb += self.full.eq(1)
                    m.next = "Await"
                with m.Else():
                    m.d.sync += slot.eq(Mux(slot + 1 == settings.v_slots, 0, slot + 1))
            with m.State("FindBlock"):
                m.d.comb += [k.find.eq(1), v.find.eq(1), self.full.eq(~k.room | ~v.room)]
                m.next = "Take"
                with m.If(self.full):
                    m.next = "Await"
            with m.State("Take"):
                m.d.comb += self.found.eq(1)
                with m.If(~follows):
                    m.d.sync += [k_start.eq(k.macro), v_start.eq(v.macro)]
                m.next = "Await"

        return m
