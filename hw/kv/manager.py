"""KV tile manager: which macro holds which block of which sequence."""

from amaranth import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.kv.append import TokenAppender
from ouroboros.hw.kv.free import SequenceFreer
from ouroboros.hw.kv.layout import KvOp, kv_command_layout, kv_reply_layout
from ouroboros.hw.kv.pool import BlockPool
from ouroboros.hw.kv.share import BlockSharer, OwnerCounts
from ouroboros.hw.kv.tables import KvTables
from ouroboros.hw.kv.tags import PageTags, TagQuery
from ouroboros.hw.lib.bus import ConfigBus
from ouroboros.hw.lib.struct import struct
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import KV_CONFIG, Unit

__all__ = ["KvManager"]


class KvManager(wiring.Component):
    """Page table, block bitmaps and token-valid bits of one core.

    A block is the K and the V of ``outputs`` tokens of one (sequence, head); both halves are
    allocated and freed together, so one page holds both places.

    * LOOKUP: ``ok`` if the block exists. One per cycle; the reply comes ``KV_LOOKUP_CYCLES`` later.
    * APPEND: ``ok`` if the block exists or could be allocated; the token is then valid, however
      often it is appended. ``full`` if there was no room for both halves, or no page: nothing has
      changed. The reply comes ``KV_APPEND_CYCLES`` later, ``KV_ALLOCATE_CYCLES`` more with a new
      block.
    * FREE: ``ok``. The reply comes ``kv_free_cycles`` later: a cycle for each block.
    * SHARE, with ``kv.shares``: ``ok`` if block (``head``, ``block``) of ``source`` exists with all
      its tokens, ``sequence`` does not have it, and V blocks that it has of this head lie in the
      same column slot. The block is then of both, and is in use until the last one of its owners
      is freed. ``full`` if there was no page; else, and then, nothing has changed. The reply comes
      ``KV_SHARE_CYCLES`` later, without places. Without ``kv.shares`` there is no such command.

    (Cycle counts are in ``hw.params.timing.array``.)

    A sequence, head or block that the tables cannot hold gives neither ``ok`` nor ``full``.

    Placement: K goes to the next macro with room after the one of the sequence's block before,
    round robin over ``k_macros``; a block with none before it goes to the next one after the macro
    where the last such block went, so that sequences begin at different macros. V likewise over
    ``v_macros``, or with ``v_stays`` in the macro of the block before, if it has room. All V blocks
    of a (sequence, head) lie in one column slot, chosen with the first block: the next one with
    room after the slot that was chosen last. Within a macro the lowest free block.

    A write of ``KV_CONFIG`` forgets everything; commands wait ``KV_WIPE_CYCLES`` then. Before the
    first one there are no heads. With ``kv.keeps`` a reset ends the command at work and forgets
    nothing: an APPEND has then changed all or nothing, a FREE may have left some. ``k_macros`` and
    ``v_macros`` must be disjoint.

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
        Number of blocks allocated; with ``kv.shares`` up to two cycles late after a FREE.
    active : Out(1)
        A command or a wipe is under way; without ``cmd`` and ``config``, nothing changes else.
    """

    def __init__(self, machine: Machine):
        cim = machine.cim
        if cim.rows < cim.outputs:
            raise ValueError(f"cim.rows must be at least cim.outputs ({cim.outputs}), "
                             f"not {cim.rows!r}")
        self.machine = machine
        super().__init__({
            "config":   In(ConfigBus(machine)),
            "settings": Out(struct(KV_CONFIG)),
            "cmd":      In(stream.Signature(kv_command_layout(machine))),
            "rsp":      Out(stream.Signature(kv_reply_layout(machine))),
            "used":     Out(range(machine.kv.pages + 1)),
            "active":   Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        kv, cmd, keeps = self.machine.kv, self.cmd.p, self.machine.kv.keeps
        settings = Signal(struct(KV_CONFIG), reset_less=keeps)
        used = Signal.like(self.used, reset_less=keeps)
        m.d.comb += [self.settings.eq(settings), self.used.eq(used)]
        m.submodules.tags = tags = PageTags(self.machine)
        m.submodules.tables = tables = KvTables(self.machine)
        m.submodules.pool = pool = BlockPool(self.machine)
        m.submodules.appender = appender = TokenAppender(self.machine)
        m.submodules.freer = freer = SequenceFreer()
        self._connect(m, tags, tables, pool, appender, freer)

        # The command at work: the one on the port until it is accepted.
        accept, held = Signal(), Signal(kv_command_layout(self.machine))
        job = Signal.like(held)
        legal, held_legal = Signal(), Signal()
        m.d.comb += [
            job.eq(Mux(accept, cmd, held)), accept.eq(self.cmd.valid & self.cmd.ready),
            legal.eq((cmd.sequence < kv.sequences)
                     & ((cmd.op == KvOp.FREE) | (cmd.head < settings.heads)
                        & (cmd.head < kv.heads) & (cmd.block < kv.blocks))),
            tags.sequence.eq(job.sequence), tags.head.eq(job.head),
            tags.block.eq(job.block - appender.find_kin),
            tags.find.eq(accept | appender.find_kin | freer.drop),
            appender.legal.eq(held_legal), appender.block.eq(job.block),
            appender.token.eq(job.token),
        ]
        with m.If(appender.find_kin):
            m.d.comb += tags.query.eq(TagQuery.KIN)

        # After a write of the settings, as soon as no APPEND or FREE is at work; what a look-up has
        # found already is not in the tags.
        wipe, wiping = Signal(), Signal()
        m.d.comb += [tags.wipe.eq(wiping), pool.wipe.eq(wiping)]
        with m.If(wiping):
            m.d.sync += [wipe.eq(0), used.eq(0)]
        with m.If(self.config.valid & (self.config.unit == Unit.KV)):
            m.d.sync += [settings.eq(self.config.data), wipe.eq(1)]

        sharer = None
        if kv.shares:
            sharer = self._share(m, tags, tables, pool, appender, freer)
            m.d.comb += [
                sharer.start.eq(accept & (cmd.op == KvOp.SHARE)), sharer.legal.eq(held_legal),
                tags.sequence.eq(Mux((job.op == KvOp.SHARE) & ~sharer.find_kin & ~sharer.shared,
                                     job.source, job.sequence)),
                tags.find.eq(accept | appender.find_kin | freer.drop | sharer.find_kin),
                legal.eq((cmd.sequence < kv.sequences)
                         & ((cmd.op != KvOp.SHARE) | (cmd.source < kv.sequences))
                         & ((cmd.op == KvOp.FREE) | (cmd.head < settings.heads)
                            & (cmd.head < kv.heads) & (cmd.block < kv.blocks)))]
            with m.If(sharer.find_kin):
                m.d.comb += tags.query.eq(TagQuery.KIN)

        # Lookups go on in the background; the others are over when they are `answered`.
        looking, advance, answered, ok = Signal(), Signal(), Signal(), Signal()
        with m.If(advance):
            m.d.sync += looking.eq(accept & (cmd.op == KvOp.LOOKUP))
        with m.FSM(init="Accept") as fsm:
            m.d.comb += self.active.eq(~fsm.ongoing("Accept") | wipe | looking | self.rsp.valid
                                       | freer.busy)
            with m.State("Accept"):
                m.d.comb += [
                    self.cmd.ready.eq(~wipe & Mux(cmd.op == KvOp.LOOKUP, advance,
                                                  ~looking & ~self.rsp.valid)),
                    appender.start.eq(accept & (cmd.op == KvOp.APPEND)),
                    wiping.eq(wipe),
                ]
                with m.If(accept):
                    m.d.sync += [held.eq(cmd), held_legal.eq(legal)]
                    with m.If(cmd.op == KvOp.APPEND):
                        m.next = "Append"
                    with m.If(cmd.op == KvOp.FREE):
                        m.d.comb += freer.start.eq(legal)
                        m.next = "Free"
                    if sharer is not None:
                        with m.If(cmd.op == KvOp.SHARE):
                            m.next = "Share"
            with m.State("Append"):
                m.d.comb += [answered.eq(appender.ended), ok.eq(appender.ok)]
                m.d.sync += used.eq(used + pool.found)
                with m.If(answered):
                    m.next = "Accept"
            with m.State("Free"):
                m.d.comb += [answered.eq(freer.ended | ~held_legal), ok.eq(held_legal),
                             tags.query.eq(TagQuery.SEQUENCE)]
                m.d.sync += used.eq(used - freer.drop)
                with m.If(answered):
                    m.next = "Accept"
            if sharer is not None:
                with m.State("Share"):
                    m.d.comb += [answered.eq(sharer.ended), ok.eq(sharer.shared)]
                    with m.If(answered):
                        m.next = "Accept"
        if sharer is not None:
            # A block is given back by the last of its owners only.
            m.d.sync += used.eq(used + pool.found - pool.give_back)

        m.d.comb += tables.read.eq((advance & looking) | appender.read | freer.read)
        full = pool.full
        if sharer is not None:
            m.d.comb += tables.read.eq((advance & looking) | appender.read | freer.read
                                       | sharer.read)
            full = full | sharer.full
        self._reply(m, tags, tables, pool, advance=advance, looking=looking, legal=held_legal,
                    answered=answered, ok=ok, said_full=full)

        return m

    def _reply(self, m, tags, tables, pool, *, advance, looking, legal, answered, ok, said_full):
        """Second stage of lookups, and the registers of a reply: all but what was read."""
        rsp, said, full, placed = self.rsp.p, Signal(), Signal(), Signal()
        m.d.comb += [
            advance.eq(~self.rsp.valid | self.rsp.ready), rsp.ok.eq(said), rsp.full.eq(full),
            rsp.k.eq(Mux(placed, pool.k, tables.place.k)),
            rsp.v.eq(Mux(placed, pool.v, tables.place.v)), rsp.valid.eq(tables.tokens),
        ]
        with m.If(advance):
            m.d.sync += [self.rsp.valid.eq(looking), said.eq(legal & tags.hit), full.eq(0),
                         placed.eq(0)]
        with m.If(answered):
            m.d.sync += [self.rsp.valid.eq(1), said.eq(ok), full.eq(said_full),
                         placed.eq(pool.found)]

    def _connect(self, m, tags, tables, pool, appender, freer):
        """Connects the parts as far as no state of the manager plays a role."""
        m.d.comb += [
            tags.take.eq(pool.found), tags.drop.eq(freer.drop), freer.any.eq(tags.any),
            tables.at.eq(tags.page), tables.to.eq(Mux(pool.found, tags.free, tags.page)),
            tables.write_place.eq(pool.found), tables.write_tokens.eq(appender.write_tokens),
            tables.new_place.k.eq(pool.k), tables.new_place.v.eq(pool.v),
            tables.new_tokens.eq(appender.new_tokens),
            pool.settings.eq(self.settings), pool.start.eq(appender.search),
            pool.room.eq(tags.room), pool.kin.eq(tags.hit), pool.follows.eq(appender.follows),
            pool.place.eq(tables.place), pool.select.eq(freer.select),
            pool.give_back.eq(freer.give_back),
            appender.hit.eq(tags.hit), appender.exact.eq(tags.exact),
            appender.tokens.eq(tables.tokens), appender.found.eq(pool.found),
            appender.full.eq(pool.full),
        ]

    def _share(self, m, tags, tables, pool, appender, freer) -> BlockSharer:
        """Adds what blocks with several owners need, over the connections without it."""
        m.submodules.sharer = sharer = BlockSharer(self.machine)
        m.submodules.owners = owners = OwnerCounts(self.machine)
        last, given = Signal(), Signal.like(tables.place.k)
        with m.If(freer.select):
            m.d.sync += given.eq(tables.place.k)
        m.d.comb += [
            sharer.hit.eq(tags.hit), sharer.exact.eq(tags.exact), sharer.place.eq(tables.place),
            sharer.tokens.eq(tables.tokens), sharer.room.eq(tags.room),
            tags.take.eq(pool.found | sharer.shared),
            tables.to.eq(Mux(pool.found | sharer.shared, tags.free, tags.page)),
            tables.write_place.eq(pool.found | sharer.shared),
            tables.write_tokens.eq(appender.write_tokens | sharer.shared),
            owners.read.eq(freer.select | sharer.count), owners.at.eq(tables.place),
            last.eq(owners.others == 0), pool.give_back.eq(freer.give_back & last),
            owners.write.eq(pool.found | sharer.shared | freer.give_back),
            owners.to.eq(pool.k), owners.count.eq(0),
        ]
        with m.If(sharer.shared):
            m.d.comb += [tables.new_place.eq(sharer.new_place),
                         tables.new_tokens.eq(sharer.new_tokens),
                         owners.to.eq(sharer.new_place.k), owners.count.eq(owners.others + 1)]
        with m.If(freer.give_back):
            m.d.comb += [owners.to.eq(given), owners.count.eq(Mux(last, 0, owners.others - 1))]
        return sharer
