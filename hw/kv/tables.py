"""Tables of the KV tile manager: of every page its places and the bits of its tokens."""

from amaranth import Module, unsigned
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.kv.bitmap import index_bits
from ouroboros.hw.kv.layout import place_layouts
from ouroboros.hw.params.machine import Machine

__all__ = ["KvTables", "page_layout"]


def page_layout(machine: Machine) -> data.StructLayout:
    """Where a block's two halves are."""
    return data.StructLayout(place_layouts(machine))


class KvTables(wiring.Component):
    """Places and token-valid bits of each page.

    What is read in cycle t is there in t + 1 and stays until the next read. A read does not see a
    write of the same cycle.

    Parameters
    ----------
    machine : Machine
        Sizes.

    Members
    -------
    read, at, place, tokens : In(1), In, Out(page_layout(machine)), Out(outputs)
        Reads page ``at``.
    write_place, write_tokens, to, new_place, new_tokens : In
        Replaces the places, or the bits, of page ``to``.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        page, outputs = index_bits(machine.kv.pages), machine.cim.outputs
        super().__init__({
            "read":         In(1),
            "at":           In(page),
            "place":        Out(page_layout(machine)),
            "tokens":       Out(outputs),
            "write_place":  In(1),
            "write_tokens": In(1),
            "to":           In(page),
            "new_place":    In(page_layout(machine)),
            "new_tokens":   In(outputs),
        })

    def elaborate(self, platform):
        m = Module()

        pages = self.machine.kv.pages
        for name, shape, output, write, new in (
                ("places", page_layout(self.machine), self.place, self.write_place,
                 self.new_place),
                ("bits", unsigned(self.machine.cim.outputs), self.tokens, self.write_tokens,
                 self.new_tokens)):
            m.submodules[name] = table = memory.Memory(shape=shape, depth=pages, init=[])
            get, put = table.read_port(), table.write_port()
            m.d.comb += [get.en.eq(self.read), get.addr.eq(self.at), output.eq(get.data),
                         put.en.eq(write), put.addr.eq(self.to), put.data.eq(new)]

        return m
