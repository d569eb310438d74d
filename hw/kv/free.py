"""FREE of the KV tile manager: walks over the pages of a sequence."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.kv.bitmap import index_bits
from ouroboros.hw.params.machine import Machine

__all__ = ["SequenceFreer"]


class SequenceFreer(wiring.Component):
    """Gives every block of a sequence back, head after head.

    From ``start`` on: two cycles per head to see whether it has a column slot, and if it has, two
    more for each of its pages and one more for each block.

    Parameters
    ----------
    machine : Machine
        Sizes.

    Members
    -------
    start, ended : In(1), Out(1)
        First cycle, in which nothing happens yet, and last one.
    active : Out(1)
        Between them, the last one included: ``head`` and ``block`` are a key of the tables.
    head, block : Out
        Where the walk is.
    read_slot, read_page : Out(1)
        Reads the tables.
    has_slot, has_page : In(1)
        What was read is valid.
    select, clear_page, clear_slot : Out(1)
        Points at the block on the page; gives it back and clears the page; clears the slot.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        super().__init__({
            "start":      In(1),
            "ended":      Out(1),
            "active":     Out(1),
            "head":       Out(index_bits(machine.kv.heads)),
            "block":      Out(index_bits(machine.kv.blocks)),
            "read_slot":  Out(1),
            "read_page":  Out(1),
            "has_slot":   In(1),
            "has_page":   In(1),
            "select":     Out(1),
            "clear_page": Out(1),
            "clear_slot": Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        page_over, head_over = Signal(), Signal()
        m.d.comb += [
            self.clear_slot.eq(page_over & (self.block == self.machine.kv.blocks - 1)),
            head_over.eq(self.clear_slot),
            self.ended.eq(head_over & (self.head == self.machine.kv.heads - 1)),
        ]

        with m.FSM() as fsm:
            m.d.comb += self.active.eq(~fsm.ongoing("Await"))
            with m.State("Await"):
                m.d.sync += [self.head.eq(0), self.block.eq(0)]
                with m.If(self.start):
                    m.next = "ReadSlot"
            with m.State("ReadSlot"):
                m.d.comb += self.read_slot.eq(1)
                m.next = "CheckSlot"
            with m.State("CheckSlot"):
                m.d.comb += head_over.eq(~self.has_slot)
                m.next = "ReadPage"
                with m.If(head_over):
                    m.next = "ReadSlot"
                with m.If(self.ended):
                    m.next = "Await"
            with m.State("ReadPage"):
                m.d.comb += self.read_page.eq(1)
                m.next = "SelectBlock"
            with m.State("SelectBlock"):
                m.d.comb += [self.select.eq(1), page_over.eq(~self.has_page)]
                m.next = "ClearBlock"
                with m.If(page_over):
                    m.next = "ReadPage"
                with m.If(head_over):
                    m.next = "ReadSlot"
                with m.If(self.ended):
                    m.next = "Await"
            with m.State("ClearBlock"):
                m.d.comb += [self.clear_page.eq(1), page_over.eq(1)]
                m.next = "ReadPage"
                with m.If(head_over):
                    m.next = "ReadSlot"
                with m.If(self.ended):
                    m.next = "Await"

        with m.If(page_over):
            m.d.sync += self.block.eq(self.block + 1)
        with m.If(head_over):
            m.d.sync += [self.head.eq(self.head + 1), self.block.eq(0)]

        return m
