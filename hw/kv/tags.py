"""Tags of the KV tile manager's pages: which block each page is, compared all at once."""

from enum import IntEnum

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ouroboros.hw.kv.bitmap import index_bits
from ouroboros.hw.kv.layout import kv_command_layout
from ouroboros.hw.params.machine import Machine

__all__ = ["PageTags", "TagQuery"]


class TagQuery(IntEnum):
    """Which page a query is for."""

    BLOCK = 0
    """That of the block (sequence, head, block)."""
    KIN = 1
    """The same, or if there is none any of (sequence, head)."""
    SEQUENCE = 2
    """Any of the sequence."""


class PageTags(wiring.Component):
    """A tag (sequence, head, block) and a valid bit for each page; no two valid tags are equal.

    The tags of all pages are compared with the key in the cycle of ``find``; ``page``, ``hit`` and
    ``exact`` are the answer from the next cycle to the next ``find``. Of several pages the lowest
    is taken. ``take`` gives the lowest free page to the key; ``drop`` frees the page that a
    ``find`` in the same cycle picks. Bits of a key that no tag has room for do not count.

    Parameters
    ----------
    machine : Machine
        Sizes.

    Members
    -------
    sequence, head, block : In
        Key.
    find, query : In(1), In(TagQuery)
        Looks for a page.
    page, hit, exact : Out
        It; whether there is one; whether it is that of the block.
    any : Out(1)
        Whether a ``find`` in this cycle would hit.
    take, free, room : In(1), Out, Out(1)
        Gives page ``free`` to the key; whether there is one.
    drop : In(1)
        With ``find``: the page found is free from the next cycle on.
    wipe : In(1)
        Frees all.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        command, page = kv_command_layout(machine), index_bits(machine.kv.pages)
        super().__init__({
            "sequence": In(command["sequence"].shape),
            "head":     In(command["head"].shape),
            "block":    In(command["block"].shape),
            "find":     In(1),
            "query":    In(TagQuery),
            "page":     Out(page),
            "hit":      Out(1),
            "exact":    Out(1),
            "any":      Out(1),
            "take":     In(1),
            "free":     Out(page),
            "room":     Out(1),
            "drop":     In(1),
            "wipe":     In(1),
        })

    def elaborate(self, platform):
        m = Module()

        kv = self.machine.kv
        pages, valid = kv.pages, Signal(kv.pages, reset_less=kv.keeps)
        free, given = Signal(pages), Signal(pages)
        m.d.comb += [self.room.eq(~valid.all()), free.eq(_lowest_bit(~valid)),
                     self.free.eq(_index(free, pages)), given.eq(free & self.take.replicate(pages))]

        # One word of a bit of every tag: a bit of the key is compared with all of them.
        same = {}
        for name, count in (("sequence", kv.sequences), ("head", kv.heads), ("block", kv.blocks)):
            equal = Const(-1, pages)
            for n in range(ceil_log2(count)):
                column = Signal(pages, name=f"{name}_{n}", reset_less=kv.keeps)
                bit = getattr(self, name)[n].replicate(pages)
                equal &= ~(column ^ bit)
                m.d.sync += column.eq((column & ~given) | (bit & given))
            same[name] = Signal(pages, name=f"same_{name}")
            m.d.comb += same[name].eq(equal)

        of_sequence, of_head, of_block, among, found = (Signal(pages, name=name) for name in (
            "of_sequence", "of_head", "of_block", "among", "found"))
        m.d.comb += [
            of_sequence.eq(valid & same["sequence"]),
            of_head.eq(of_sequence & same["head"]), of_block.eq(of_head & same["block"]),
            among.eq(of_block),
        ]
        with m.If(self.query == TagQuery.SEQUENCE):
            m.d.comb += among.eq(of_sequence)
        with m.Elif((self.query == TagQuery.KIN) & ~of_block.any()):
            m.d.comb += among.eq(of_head)
        m.d.comb += [found.eq(_lowest_bit(among)), self.any.eq(among.any())]
        with m.If(self.find):
            m.d.sync += [self.page.eq(_index(found, pages)), self.hit.eq(self.any),
                         self.exact.eq(of_block.any())]
        with m.If(self.wipe):
            m.d.sync += valid.eq(0)
        with m.Else():
            m.d.sync += valid.eq((valid | given) & ~Mux(self.find & self.drop, found, 0))

        return m


def _lowest_bit(word):
    """``word`` with its lowest bit that is set, alone."""
    return (word & -word)[:len(word)]


def _index(one_hot, count: int):
    """Number of the bit that is set."""
    return Cat(Cat(one_hot[n] for n in range(count) if n >> bit & 1).any()
               for bit in range(index_bits(count)))
