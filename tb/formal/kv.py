"""KV tile manager: no place has two owners, none is lost, what is freed is free."""

from amaranth import Array, Cat, Module, Mux, Signal
from amaranth.hdl import Assert, Assume
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from ouroboros.hw.kv.layout import KvOp, kv_command_layout
from ouroboros.hw.kv.manager import KvManager
from ouroboros.hw.kv.pool import BlockPool
from ouroboros.hw.kv.tables import page_layout
from ouroboros.hw.kv.tags import PageTags, TagQuery
from ouroboros.hw.lib.struct import struct
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import KV_CONFIG, Unit

__all__ = ["ManagerProof", "PoolProof", "TagsProof"]


class TagsProof(wiring.Component):
    """Tags say of every key which page it has, and no two pages have the same.

    The user takes a page for a key only if that has none and a page is free. What must be
    remembered, a tag and a valid bit for each page, is kept a second time.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        kv = machine.kv
        super().__init__({
            "sequence": In(range(kv.sequences)), "head": In(range(kv.heads)),
            "block": In(range(kv.blocks)), "find": In(1), "query": In(2), "take": In(1),
            "drop": In(1), "wipe": In(1)})

    def elaborate(self, platform):
        m = Module()

        pages = range(self.machine.kv.pages)
        m.submodules.tags = tags = PageTags(self.machine)
        key = Cat(self.sequence, self.head, self.block)
        valid = [Signal(name=f"valid{page}") for page in pages]
        keys = [Signal.like(key, name=f"key{page}") for page in pages]
        m.d.comb += [getattr(tags, name).eq(getattr(self, name))
                     for name in ("sequence", "head", "block", "find", "query", "take", "drop",
                                  "wipe")]
        exact, head, sequence = (
            [Signal(name=f"{name}{page}") for page in pages] for name in ("exact", "head", "of"))
        low = len(self.sequence)
        for page in pages:
            m.d.comb += [
                exact[page].eq(valid[page] & (keys[page] == key)),
                sequence[page].eq(valid[page] & (keys[page][:low] == self.sequence)),
                head[page].eq(sequence[page] & (keys[page][low:low + len(self.head)]
                                                == self.head))]
        m.d.comb += Assume((self.query != 3) & ~(self.take & (self.drop | Cat(exact).any())))
        m.d.comb += Assume(~self.take | ~Cat(valid).all())
        m.d.comb += Assume(~self.take | ~self.wipe)

        wanted = Signal(len(pages))
        with m.If(self.query == TagQuery.SEQUENCE):
            m.d.comb += wanted.eq(Cat(sequence))
        with m.Elif((self.query == TagQuery.KIN) & ~Cat(exact).any()):
            m.d.comb += wanted.eq(Cat(head))
        with m.Else():
            m.d.comb += wanted.eq(Cat(exact))
        m.d.comb += [Assert(tags.any == wanted.any()), Assert(tags.room == ~Cat(valid).all())]
        # The answer is one of them; which, only `drop` has to know.
        asked, hit, exactly = Signal(len(pages)), Signal(), Signal()
        with m.If(self.find):
            m.d.sync += [asked.eq(wanted), hit.eq(wanted.any()), exactly.eq(Cat(exact).any())]
        m.d.comb += [Assert(tags.hit == hit), Assert(tags.exact == exactly)]
        m.d.comb += Assert(~hit | asked.bit_select(tags.page, 1))

        lowest = (wanted & -wanted)[:len(pages)]
        for page in pages:
            with m.If(self.take & (tags.free == page)):
                m.d.comb += Assert(~valid[page])
                m.d.sync += [valid[page].eq(1), keys[page].eq(key)]
            with m.If(self.find & self.drop & lowest[page]):
                m.d.sync += valid[page].eq(0)
            with m.If(self.wipe):
                m.d.sync += valid[page].eq(0)
            for other in range(page):
                m.d.comb += Assert(~(valid[page] & valid[other]) | (keys[page] != keys[other]))

        return m


class PoolProof(wiring.Component):
    """A place is given to nobody who does not give it back first; *full* only if there is none.

    One K and one V place, whichever the solver likes, are followed. A block is given back once,
    and nothing while a place is looked for. All bits of both bitmaps are kept a second time.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        place = page_layout(machine)
        super().__init__({
            "settings": In(struct(KV_CONFIG)), "new": In(1), "start": In(1), "room": In(1),
            "kin": In(1), "follows": In(1), "place": In(place), "select": In(1),
            "choice": In(place)})

    def elaborate(self, platform):
        m = Module()

        cim, core = self.machine.cim, self.machine.core
        row_blocks, slots = cim.rows // cim.outputs, cim.outputs // core.lanes
        m.submodules.pool = pool = BlockPool(self.machine)
        settings, configured, wipe = Signal.like(self.settings), Signal(), Signal()
        searching, giving = Signal(), Signal()
        selected, followed = Signal.like(self.place), Signal.like(self.place)
        started = Signal()
        m.d.sync += started.eq(1)
        with m.If(~started):
            m.d.sync += followed.eq(self.choice)

        # Settings come when nothing is at work; the wipe follows.
        m.d.comb += Assume((self.settings.k_blocks <= cim.groups)
                           & (self.settings.v_slots <= slots) & (self.settings.v_slots != 0))
        quiet = ~(searching | self.start | self.select)
        m.d.comb += [Assume(~self.new | quiet), Assume(~wipe | (quiet & ~self.new))]
        m.d.sync += [wipe.eq(self.new), configured.eq(configured | wipe)]
        with m.If(self.new):
            m.d.sync += [settings.eq(self.settings), configured.eq(0)]

        m.d.comb += [
            Assume(~self.start | ~(searching | self.select | giving)),
            Assume(~self.select | ~searching), Assume(~self.follows | self.kin),
            Assume(~self.kin | (self.place.v.slot < settings.v_slots)),
            pool.settings.eq(settings), pool.wipe.eq(wipe), pool.start.eq(self.start),
            pool.room.eq(self.room), pool.kin.eq(self.kin), pool.follows.eq(self.follows),
            pool.place.eq(self.place), pool.select.eq(self.select), pool.give_back.eq(giving),
        ]
        m.d.sync += [giving.eq(self.select),
                     searching.eq((searching | self.start) & ~(pool.found | pool.full))]
        with m.If(self.select):
            m.d.sync += selected.eq(self.place)

        # Bits of all places: of K and V, by macro.
        k_bits = Array(Signal(cim.groups, name=f"k_bits{n}") for n in range(core.macros))
        v_bits = Array(Signal(data.ArrayLayout(row_blocks, slots), name=f"v_bits{n}")
                       for n in range(core.macros))
        k_mine, v_mine = (pool.k == followed.k), (pool.v == followed.v)
        k_owned, v_owned, k_legal, v_legal = (
            Signal(name=name) for name in ("k_owned", "v_owned", "k_legal", "v_legal"))
        m.d.comb += [
            k_owned.eq(k_bits[followed.k.macro].bit_select(followed.k.block, 1)),
            v_owned.eq(v_bits[followed.v.macro][followed.v.slot].bit_select(
                followed.v.block, 1)),
            k_legal.eq(settings.k_macros.bit_select(followed.k.macro, 1)
                       & (followed.k.block < settings.k_blocks)),
            v_legal.eq(settings.v_macros.bit_select(followed.v.macro, 1)
                       & (followed.v.slot < settings.v_slots)),
        ]
        for macro in range(core.macros):
            k_bit, v_bit = Signal(cim.groups), Signal.like(v_bits[0])
            m.d.comb += [
                k_bit.eq(((pool.k.macro == macro) & pool.found) << pool.k.block),
                v_bit[pool.v.slot].eq(((pool.v.macro == macro) & pool.found) << pool.v.block)]
            k_gone, v_gone = Signal(cim.groups), Signal.like(v_bits[0])
            m.d.comb += [
                k_gone.eq(((selected.k.macro == macro) & giving) << selected.k.block),
                v_gone[selected.v.slot].eq(
                    ((selected.v.macro == macro) & giving) << selected.v.block)]
            m.d.sync += [
                k_bits[macro].eq(Mux(wipe, 0, (k_bits[macro] | k_bit) & ~k_gone)),
                v_bits[macro].as_value().eq(Mux(wipe, 0, (
                    v_bits[macro].as_value() | v_bit.as_value()) & ~v_gone.as_value()))]
        # Whoever gives a block back owns it, and has not begun to give it back.
        again = giving & ((self.place.k == selected.k) | (self.place.v == selected.v))
        m.d.comb += Assume(~self.select | (
            k_bits[self.place.k.macro].bit_select(self.place.k.block, 1)
            & v_bits[self.place.v.macro][self.place.v.slot].bit_select(self.place.v.block, 1)
            & ~again))

        with m.If(pool.found):
            m.d.comb += [Assert(~k_mine | (k_legal & ~k_owned)),
                         Assert(~v_mine | (v_legal & ~v_owned))]
        in_slot = ~self.kin | (followed.v.slot == self.place.v.slot)
        with m.If(pool.full & configured):
            m.d.comb += Assert(~self.room | ~k_legal | k_owned | ~v_legal | ~in_slot | v_owned)
        m.d.comb += Assert(~(pool.found & pool.full))
        m.d.comb += Assert(searching | ~(pool.found | pool.full))

        return m


class ManagerProof(wiring.Component):
    """Replies of the whole manager are those of a list of keys.

    One command at a time. Of two keys, whichever the solver likes, place and tokens are followed;
    of all, whether they have a block.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        command = kv_command_layout(machine)
        super().__init__({
            "settings": In(struct(KV_CONFIG)), "valid": In(1), "command": In(command),
            "ready": In(1), "one": In(command), "other": In(command)})

    def elaborate(self, platform):
        m = Module()

        kv, cim, core = self.machine.kv, self.machine.cim, self.machine.core
        m.submodules.manager = manager = KvManager(self.machine)
        cycle = Signal(range(4))
        m.d.sync += cycle.eq(Mux(cycle == 3, 3, cycle + 1))
        open_, held = Signal(), Signal.like(self.command)
        m.d.comb += [
            Assume((self.settings.k_blocks <= cim.groups)
                   & (self.settings.v_slots <= cim.outputs // core.lanes)
                   & (self.settings.v_slots != 0) & (self.settings.heads <= kv.heads)),
            manager.config.valid.eq(cycle == 0), manager.config.unit.eq(Unit.KV),
            manager.config.data.eq(self.settings.as_value()),
            manager.cmd.valid.eq(self.valid & ~open_ & (cycle == 3)),
            manager.cmd.p.eq(self.command), manager.rsp.ready.eq(self.ready),
            Assume(self.command.op != 3),
            Assume((self.command.sequence < kv.sequences) & (self.command.head < kv.heads)
                   & (self.command.block < kv.blocks)),
        ]
        with m.If(manager.cmd.valid & manager.cmd.ready):
            m.d.sync += [open_.eq(1), held.eq(self.command)]
        answered = manager.rsp.valid & manager.rsp.ready
        with m.If(answered):
            m.d.sync += open_.eq(0)
            m.d.comb += Assert(open_)

        def number(key):
            return (key.sequence * kv.heads + key.head) * kv.blocks + key.block

        keys = kv.sequences * kv.heads * kv.blocks
        live = Signal(keys)
        reply, here = manager.rsp.p, number(held)
        alive = live.bit_select(here, 1)
        append, look = held.op == KvOp.APPEND, held.op == KvOp.LOOKUP
        legal = held.head < manager.settings.heads
        with m.If(answered):
            m.d.comb += Assert(~reply.full | (append & ~alive & legal & ~reply.ok))
            m.d.comb += Assert(~look | (reply.ok == (alive & legal)))
            with m.If(append):
                m.d.comb += Assert(~legal | (reply.ok ^ reply.full))
                m.d.comb += Assert(~alive | reply.ok)
                m.d.sync += live.bit_select(here, 1).eq(alive | reply.ok)
            with m.If(held.op == KvOp.FREE):
                m.d.comb += Assert(reply.ok)
                each = kv.heads * kv.blocks
                for sequence in range(kv.sequences):
                    with m.If(held.sequence == sequence):
                        m.d.sync += live[sequence * each:(sequence + 1) * each].eq(0)
        m.d.comb += Assert(open_ | (manager.used == sum(live)))
        m.d.comb += Assert(~(answered & reply.full) | (live != 0) | (
            self._capacity(manager.settings) == 0))

        followed = []
        for name in ("one", "other"):
            key, place = Signal.like(self.one, name=name), Signal(page_layout(self.machine),
                                                                  name=f"{name}_place")
            tokens = Signal(cim.outputs, name=f"{name}_tokens")
            with m.If(cycle == 0):
                m.d.sync += key.eq(getattr(self, name))
                chosen = getattr(self, name)
                m.d.comb += Assume((chosen.sequence < kv.sequences) & (chosen.head < kv.heads)
                                   & (chosen.block < kv.blocks))
            mine = answered & reply.ok & (here == number(key)) & (held.op != KvOp.FREE)
            with m.If(mine & alive):
                m.d.comb += Assert((reply.k == place.k) & (reply.v == place.v))
            with m.If(mine & look):
                m.d.comb += Assert(reply.valid == tokens)
            with m.If(mine & append):
                m.d.sync += [place.k.eq(reply.k), place.v.eq(reply.v),
                             tokens.eq(Mux(alive, tokens, 0) | (1 << held.token))]
            followed.append((number(key), place))
        (one, a), (other, b) = followed
        with m.If((one != other) & live.bit_select(one, 1) & live.bit_select(other, 1)):
            m.d.comb += Assert((a.k != b.k) & (a.v != b.v))

        return m

    def _capacity(self, settings):
        """0 if the settings leave no place for any block."""
        macros = self.machine.core.macros
        return Mux((settings.k_macros[:macros] != 0) & (settings.v_macros[:macros] != 0),
                   settings.k_blocks, 0)


