"""Tables of the KV tile manager: pages, column slots, token-valid bits."""

from amaranth import Cat, Module, Mux, unsigned
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ouroboros.hw.kv.bitmap import index_bits
from ouroboros.hw.kv.layout import kv_command_layout, place_layouts
from ouroboros.hw.params.machine import Machine

__all__ = ["KvTables", "page_layout", "slot_layout"]


def page_layout(machine: Machine) -> data.StructLayout:
    """Where a block's two halves are, if it exists."""
    return data.StructLayout({"valid": 1, **place_layouts(machine)})


def slot_layout(machine: Machine) -> data.StructLayout:
    """Column slot of all V blocks of a (sequence, head), if it has one."""
    return data.StructLayout({"valid": 1, "slot": place_layouts(machine)["v"]["slot"].shape})


class KvTables(wiring.Component):
    """A page for each (sequence, head, block), a slot for each (sequence, head), bits of K blocks.

    What is read in cycle t is there in t + 1 and stays until the next read. A read does not see a
    write of the same cycle. Bits of a key that the tables have no room for do not count.

    Parameters
    ----------
    machine : Machine
        Sizes.

    Members
    -------
    sequence, head, block : In
        Key of all pages and slots that are read or written in this cycle.
    read_page, page : In(1), Out(page_layout(machine))
        Page of the key.
    write_page, new_page : In(1), In(page_layout(machine))
        Replaces it.
    read_slot, slot, write_slot, new_slot
        Likewise, with ``slot_layout``.
    read_tokens, tokens : In(1), Out(outputs)
        Token-valid bits of the K block that ``page`` names.
    write_tokens, at, new_tokens : In(1), In, In(outputs)
        Replaces those of the K block at place ``at``.
    wipe, index : In(1), In
        Clears page and slot number ``index``, if there are so many; nothing else may be written.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        kv, outputs, command = machine.kv, machine.cim.outputs, kv_command_layout(machine)
        self.pages = kv.sequences * kv.heads * kv.blocks
        super().__init__({
            "sequence":     In(command["sequence"].shape),
            "head":         In(command["head"].shape),
            "block":        In(command["block"].shape),
            "read_page":    In(1),
            "page":         Out(page_layout(machine)),
            "write_page":   In(1),
            "new_page":     In(page_layout(machine)),
            "read_slot":    In(1),
            "slot":         Out(slot_layout(machine)),
            "write_slot":   In(1),
            "new_slot":     In(slot_layout(machine)),
            "read_tokens":  In(1),
            "tokens":       Out(outputs),
            "write_tokens": In(1),
            "at":           In(place_layouts(machine)["k"]),
            "new_tokens":   In(outputs),
            "wipe":         In(1),
            "index":        In(index_bits(self.pages)),
        })

    def elaborate(self, platform):
        m = Module()

        kv, cim, core = self.machine.kv, self.machine.cim, self.machine.core
        heads = kv.sequences * kv.heads
        pages = memory.Memory(shape=page_layout(self.machine), depth=self.pages, init=[])
        slots = memory.Memory(shape=slot_layout(self.machine), depth=heads, init=[])
        tokens = memory.Memory(shape=unsigned(cim.outputs), depth=core.macros * cim.groups, init=[])
        m.submodules.pages, m.submodules.slots, m.submodules.tokens = pages, slots, tokens
        page_r, page_w = pages.read_port(), pages.write_port()
        slot_r, slot_w = slots.read_port(), slots.write_port()
        token_r, token_w = tokens.read_port(), tokens.write_port()

        slot_address = Cat(self.head[:ceil_log2(kv.heads)],
                           self.sequence[:ceil_log2(kv.sequences)])
        page_address = Cat(self.block[:ceil_log2(kv.blocks)], slot_address)

        def token_address(place):
            return Cat(place.block[:ceil_log2(cim.groups)], place.macro[:ceil_log2(core.macros)])

        m.d.comb += [
            page_r.en.eq(self.read_page), page_r.addr.eq(page_address), self.page.eq(page_r.data),
            slot_r.en.eq(self.read_slot), slot_r.addr.eq(slot_address), self.slot.eq(slot_r.data),
            token_r.en.eq(self.read_tokens), token_r.addr.eq(token_address(page_r.data.k)),
            self.tokens.eq(token_r.data),
            token_w.en.eq(self.write_tokens), token_w.addr.eq(token_address(self.at)),
            token_w.data.eq(self.new_tokens),
            page_w.en.eq(self.write_page | self.wipe),
            page_w.addr.eq(Mux(self.wipe, self.index, page_address)),
            slot_w.en.eq(self.write_slot | self.wipe),
            slot_w.addr.eq(Mux(self.wipe, self.index, slot_address)),
        ]
        with m.If(~self.wipe):
            m.d.comb += [page_w.data.eq(self.new_page), slot_w.data.eq(self.new_slot)]

        return m
