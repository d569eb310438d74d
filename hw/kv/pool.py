"""Pool of the KV tile manager: finds room for a new block, takes old ones back."""

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.kv.bitmap import BlockBitmap, next_bit
from ouroboros.hw.kv.layout import place_layouts
from ouroboros.hw.kv.tables import page_layout
from ouroboros.hw.lib.struct import struct
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import KV_CONFIG

__all__ = ["BlockPool"]


class BlockPool(wiring.Component):
    """Knows which blocks of the macros are in use, and places new ones as ``KvManager`` says.

    A search begins with ``start``. In the next cycle ``place``, ``kin`` and ``follows`` are looked
    at, and ``full`` comes if there is no room for both halves, or no page: nothing has changed.
    Else ``found`` comes a cycle later, and the place is taken.

    Parameters
    ----------
    machine : Machine
        Sizes.

    Members
    -------
    settings : In(KV_CONFIG)
        Stable while a search goes on.
    start, room : In(1), In(1)
        Begins a search; in the cycle after, whether there is a page for the block.
    kin, follows, place : In(1), In(1), In(page_layout(machine))
        There is a block of the same (sequence, head), it is the one before, and where it is. With
        ``select``, the block to be given back.
    found, full : Out(1)
        End of a search.
    k, v : Out
        The place found, from ``found`` on.
    select, give_back : In(1)
        Points at the block at ``place``; the block selected last is free from the next cycle on.
        Not in a search.
    wipe : In(1)
        Frees all blocks; the next sequence begins at the first macro and column slot again.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        places = place_layouts(machine)
        super().__init__({
            "settings":  In(struct(KV_CONFIG)),
            "start":     In(1),
            "room":      In(1),
            "kin":       In(1),
            "follows":   In(1),
            "place":     In(page_layout(machine)),
            "found":     Out(1),
            "full":      Out(1),
            "k":         Out(places["k"]),
            "v":         Out(places["v"]),
            "select":    In(1),
            "give_back": In(1),
            "wipe":      In(1),
        })

    def elaborate(self, platform):
        m = Module()

        cim, core, settings = self.machine.cim, self.machine.core, self.settings
        slots = cim.outputs // core.lanes
        keeps = self.machine.kv.keeps
        m.submodules.k = k = BlockBitmap(macros=core.macros, blocks=cim.groups, slots=1,
                                         keeps=keeps)
        m.submodules.v = v = BlockBitmap(macros=core.macros, blocks=cim.rows // cim.outputs,
                                         slots=slots, keeps=keeps)
        k_start = Signal.like(k.after, init=core.macros - 1, reset_less=keeps)
        v_start = Signal.like(k_start)
        # Column slot for the next (sequence, head) that has none.
        slot_start = Signal.like(v.slot, init=slots - 1, reset_less=keeps)
        slot_next = Signal.like(v.slot)
        follows, kin, slot = Signal(), Signal(), Signal.like(v.slot)
        exists = Signal(slots)

        m.d.comb += [
            exists.eq((1 << settings.v_slots) - 1),
            k.allowed.eq(settings.k_macros), v.allowed.eq(settings.v_macros),
            k.limit.eq(settings.k_blocks), v.limit.eq(cim.rows // cim.outputs),
            k.after.eq(Mux(self.follows, self.place.k.macro, k_start)),
            v.after.eq(Mux(self.follows, self.place.v.macro, v_start)),
            v.stay.eq(self.follows & settings.v_stays),
            v.slot.eq(Mux(self.kin, self.place.v.slot, slot_next)),
            k.at_macro.eq(self.place.k.macro), v.at_macro.eq(self.place.v.macro),
            k.at.eq(self.place.k.block), v.at.eq(self.place.v.block),
            v.at_slot.eq(self.place.v.slot),
            self.k.macro.eq(k.macro), self.k.block.eq(k.block),
            self.v.macro.eq(v.macro), self.v.block.eq(v.block), self.v.slot.eq(slot),
            *(half.select.eq(self.select) for half in (k, v)),
            *(half.set.eq(self.found) for half in (k, v)),
            *(half.clear.eq(self.give_back) for half in (k, v)),
            *(half.wipe.eq(self.wipe) for half in (k, v)),
        ]

        with m.FSM():
            with m.State("Await"):
                with m.If(self.start):
                    m.d.sync += slot_next.eq(next_bit(m, v.room & exists, slot_start, slots))
                    m.next = "FindBlock"
            with m.State("FindBlock"):
                m.d.comb += [k.find.eq(1), v.find.eq(1),
                             self.full.eq(~self.room | ~k.room.any()
                                          | ~v.room.bit_select(v.slot, 1))]
                m.d.sync += [follows.eq(self.follows), kin.eq(self.kin), slot.eq(v.slot)]
                m.next = "Take"
                with m.If(self.full):
                    m.next = "Await"
            with m.State("Take"):
                m.d.comb += self.found.eq(1)
                with m.If(~follows):
                    m.d.sync += [k_start.eq(k.macro), v_start.eq(v.macro)]
                with m.If(~kin):
                    m.d.sync += slot_start.eq(slot)
                m.next = "Await"
        with m.If(self.wipe):
            m.d.sync += [k_start.eq(k_start.init), v_start.eq(v_start.init),
                         slot_start.eq(slot_start.init)]

        return m
