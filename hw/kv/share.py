"""SHARE of the KV tile manager: a block of one sequence becomes a block of another, too."""

from amaranth import Module, Signal, unsigned
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ouroboros.hw.kv.bitmap import index_bits
from ouroboros.hw.kv.tables import page_layout
from ouroboros.hw.params.machine import Machine

__all__ = ["BlockSharer", "OwnerCounts"]


class OwnerCounts(wiring.Component):
    """Of each block, by the place of its K, how many sequences own it beside the first.

    What is read in cycle t is there in t + 1. A block that is not in use has no count.

    Parameters
    ----------
    machine : Machine
        Sizes.

    Members
    -------
    read, at, others : In(1), In, Out
        Reads the count of the block whose places these are; ``others`` stays until the next read.
    write, to, count : In
        Replaces a count.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        bits = max(1, ceil_log2(machine.kv.sequences))
        page = page_layout(machine)
        super().__init__({
            "read":   In(1),
            "at":     In(page),
            "others": Out(bits),
            "write":  In(1),
            "to":     In(page["k"].shape),
            "count":  In(bits),
        })

    def elaborate(self, platform):
        m = Module()

        groups = index_bits(self.machine.cim.groups)
        m.submodules.counts = counts = memory.Memory(
            shape=unsigned(len(self.others)), depth=self.machine.core.macros << groups, init=[])
        get, put = counts.read_port(), counts.write_port()
        m.d.comb += [get.en.eq(self.read), get.addr.eq((self.at.k.macro << groups)
                                                       | self.at.k.block),
                     self.others.eq(get.data),
                     put.en.eq(self.write),
                     put.addr.eq((self.to.macro << groups) | self.to.block),
                     put.data.eq(self.count)]

        return m


class BlockSharer(wiring.Component):
    """Gives a full block of a source to another sequence, under the same head and number.

    The source's page is looked for in the cycle of ``start``, and read in the next one, in which
    ``find_kin`` looks for the taker's; that is read in the cycle after. ``ended`` comes
    ``KV_SHARE_CYCLES - 1`` cycles after ``start``: all or nothing is done, in that very cycle.

    Parameters
    ----------
    machine : Machine
        Sizes.

    Members
    -------
    start, ended : In(1), Out(1)
        First cycle, in which nothing happens yet, and last one.
    legal : In(1)
        The command, from the cycle after ``start``.
    hit, exact : In(1)
        What was found last: a page, and it is that of the block looked for.
    place, tokens, room : In
        What was read last; whether there is a page left.
    find_kin : Out(1)
        Looks for the taker's block, or any of its (sequence, head).
    read, count : Out(1)
        Reads the page that was found; reads how many own the source's block.
    shared, full : Out(1)
        With ``ended``: the block is the taker's, too; there was no page for it.
    new_place, new_tokens : Out
        With ``shared``: its page.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        super().__init__({
            "start":      In(1),
            "ended":      Out(1),
            "legal":      In(1),
            "hit":        In(1),
            "exact":      In(1),
            "place":      In(page_layout(machine)),
            "tokens":     In(machine.cim.outputs),
            "room":       In(1),
            "find_kin":   Out(1),
            "read":       Out(1),
            "count":      Out(1),
            "shared":     Out(1),
            "full":       Out(1),
            "new_place":  Out(page_layout(machine)),
            "new_tokens": Out(machine.cim.outputs),
        })

    def elaborate(self, platform):
        m = Module()

        place, fits = Signal.like(self.new_place), Signal()
        source, whole, kin, own = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            self.new_place.eq(place), self.new_tokens.eq(-1),
            # V blocks of a (sequence, head) lie in one column slot.
            fits.eq(self.legal & source & whole & ~own
                    & (~kin | (self.place.v.slot == place.v.slot))),
        ]
        with m.FSM():
            with m.State("Await"):
                with m.If(self.start):
                    m.next = "ReadSource"
            with m.State("ReadSource"):
                m.d.comb += [self.read.eq(1), self.find_kin.eq(1)]
                m.d.sync += source.eq(self.hit)
                m.next = "ReadKin"
            with m.State("ReadKin"):
                m.d.comb += [self.read.eq(1), self.count.eq(1)]
                # A block that still grows would be written by two.
                m.d.sync += [place.eq(self.place), whole.eq(self.tokens.all()), kin.eq(self.hit),
                             own.eq(self.exact)]
                m.next = "Give"
            with m.State("Give"):
                m.d.comb += [self.ended.eq(1), self.shared.eq(fits & self.room),
                             self.full.eq(fits & ~self.room)]
                m.next = "Await"

        return m
