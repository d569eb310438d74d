"""Bitmap of the blocks in use of one kind (K or V), with a round-robin search over macros."""

from amaranth import Module, Mux, Signal, unsigned
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

__all__ = ["BlockBitmap", "index_bits", "next_bit"]


def index_bits(count: int) -> int:
    """Width of an index below ``count``; at least 1."""
    return max(1, ceil_log2(count))


def _lowest(m: Module, word, width: int) -> Signal:
    """Index of the lowest set bit of ``word``; 0 if there is none."""
    index = Signal(index_bits(width))
    for bit in reversed(range(width)):
        with m.If(word[bit]):
            m.d.comb += index.eq(bit)
    return index


def next_bit(m: Module, word, after, width: int, *, stay=0) -> Signal:
    """Index of the first set bit of ``word`` above ``after``, or else of the lowest one.

    With ``stay`` that of ``after`` itself comes first.
    """
    above = Signal(width)
    m.d.comb += above.eq(word & ~((Mux(stay, 1, 2) << after) - 1)[:width])
    return _lowest(m, Mux(above.any(), above, word), width)


class BlockBitmap(wiring.Component):
    """One word per macro: ``blocks`` blocks in each of ``slots`` column slots.

    ``find`` picks the next macro after ``after``, or with ``stay`` from it on, that has room in
    ``slot``, and its lowest free block, known a cycle later as ``macro``, ``block``. ``select``
    points at a block in use instead. ``set`` or ``clear`` in the cycle after, or later, marks it;
    in that very cycle the next block may be found or selected.

    Parameters
    ----------
    macros, blocks, slots : int
        Size.
    keeps : bool
        A reset frees nothing.

    Members
    -------
    allowed : In
        Macros that may be picked.
    limit : In
        Blocks that exist in a column slot of a macro.
    after, stay, slot : In
        Where the search starts, with this macro or the one after it, and in which column slot.
    room : Out(slots)
        In which slots ``find`` would succeed.
    find, select : In
        Look for a free block; point at block ``at`` of macro ``at_macro``.
    at_macro, at, at_slot : In
        Block for ``select``.
    macro, block : Out
        Block that was found, or selected.
    set, clear : In
        Mark that block as used or free.
    wipe : In
        Free every block.
    """

    def __init__(self, *, macros: int, blocks: int, slots: int, keeps: bool = False):
        self.macros, self.blocks, self.slots, self.keeps = macros, blocks, slots, keeps
        macro, block, slot = (index_bits(count) for count in (macros, blocks, slots))
        super().__init__({
            "allowed": In(macros), "limit": In(range(blocks + 1)),
            "after": In(macro), "stay": In(1), "slot": In(slot), "room": Out(slots),
            "find": In(1), "select": In(1), "at_macro": In(macro), "at": In(block),
            "at_slot": In(slot),
            "macro": Out(macro), "block": Out(block), "set": In(1), "clear": In(1),
            "wipe": In(1),
        })

    def elaborate(self, platform):
        m = Module()

        m.submodules.words = words = memory.Memory(
            shape=unsigned(self.blocks * self.slots), depth=self.macros, init=[])
        read, write = words.read_port(), words.write_port()
        # A bit per macro and slot, so that the search over macros reads no word; and one per macro
        # whose word counts as empty, so that a wipe writes none.
        room = Signal(data.ArrayLayout(self.macros, self.slots), reset_less=self.keeps)
        fresh = Signal(self.macros, reset_less=self.keeps)
        slot, found, at = Signal.like(self.slot), Signal(), Signal.like(self.at)

        candidates = Signal(self.macros)
        m.d.comb += [
            candidates.eq(room[self.slot] & self.allowed),
            *(self.room[n].eq((room[n] & self.allowed).any()) for n in range(self.slots)),
        ]
        pick = next_bit(m, candidates, self.after, self.macros, stay=self.stay)
        m.d.comb += [read.en.eq(self.find | self.select),
                     read.addr.eq(Mux(self.find, pick, self.at_macro))]

        # The word being written goes on to whoever reads it in this cycle.
        word, kept = Signal.like(read.data), Signal.like(read.data)
        passed, empty = Signal(name="passed"), Signal(name="empty")
        m.d.comb += word.eq(Mux(passed, kept, Mux(empty, 0, read.data)))
        with m.If(read.en):
            m.d.sync += [
                self.macro.eq(read.addr), found.eq(self.find), at.eq(self.at),
                slot.eq(Mux(self.find, self.slot, self.at_slot)), kept.eq(write.data),
                passed.eq(write.en & (write.addr == read.addr)),
                empty.eq(fresh.bit_select(read.addr, 1)),
            ]

        exists = Signal(self.blocks)
        field, bit, after = Signal(self.blocks), Signal(self.blocks), Signal(self.blocks)
        m.d.comb += [exists.eq((1 << self.limit) - 1),
                     field.eq(word.word_select(slot, self.blocks))]
        lowest = _lowest(m, ~field & exists, self.blocks)
        m.d.comb += [self.block.eq(Mux(found, lowest, at)), bit.eq(1 << self.block)]
        with m.If(self.set | self.clear):
            m.d.comb += [
                after.eq(Mux(self.set, field | bit, field & ~bit)),
                write.en.eq(1), write.addr.eq(self.macro), write.data.eq(word),
                write.data.word_select(slot, self.blocks).eq(after),
            ]
            m.d.sync += [room[slot].bit_select(self.macro, 1).eq((~after & exists).any()),
                         fresh.bit_select(self.macro, 1).eq(0)]
        with m.If(self.wipe):
            m.d.sync += [fresh.eq(-1),
                         *(room[n].eq(exists.any().replicate(self.macros))
                           for n in range(self.slots))]

        return m
