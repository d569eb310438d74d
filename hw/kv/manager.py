"""KV tile manager: which macro holds which block of which sequence."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.kv.append import TokenAppender
from ouroboros.hw.kv.free import SequenceFreer
from ouroboros.hw.kv.layout import KvOp, kv_command_layout, kv_reply_layout, place_layouts
from ouroboros.hw.kv.pool import BlockPool
from ouroboros.hw.kv.tables import KvTables
from ouroboros.hw.lib.bus import ConfigBus
from ouroboros.hw.lib.struct import struct
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import KV_CONFIG, Unit
from ouroboros.hw.params.timing.array import kv_wipe_cycles

__all__ = ["KvManager"]


class KvManager(wiring.Component):
    """Page table, block bitmaps, token-valid bits and column slots of one core.

    A block is the K and the V of ``outputs`` tokens of one (sequence, head); both halves are
    allocated and freed together, so one page holds both places.

    * LOOKUP: ``ok`` if the block exists. One per cycle; the reply comes ``KV_LOOKUP_CYCLES`` later.
    * APPEND: ``ok`` if the block exists or could be allocated; the token is then valid, however
      often it is appended. ``full`` if there was no room for both halves: nothing has changed.
      The reply comes ``KV_APPEND_CYCLES`` later, ``KV_ALLOCATE_CYCLES`` more with a new block, and
      ``slot_search_cycles`` more with the first one of a (sequence, head).
    * FREE: ``ok``. Costs 3 cycles per block, see ``free_cycles``.

    (Cycle counts are in ``hw.params.timing.array``.)

    A sequence, head or block that the tables cannot hold gives neither ``ok`` nor ``full``.

    Placement: K goes to the next macro with room after the one of the sequence's block before,
    round robin over ``k_macros``; a block with none before it goes to the next one after the macro
    where the last such block went, so that sequences begin at different macros. V likewise over
    ``v_macros``, all V blocks of a (sequence, head) in one column slot: chosen with the first block
    as number ``(sequence + head) mod v_slots``, or the next one with room. Within a macro the
    lowest free block.

    A write of ``KV_CONFIG`` forgets everything; commands then wait ``kv_wipe_cycles`` while the
    tables are wiped. Before the first one there are no heads. ``k_macros`` and ``v_macros`` must be
    disjoint.

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
        Number of blocks allocated.
    active : Out(1)
        A command or a wipe is under way; without ``cmd`` and ``config``, nothing changes else.
    """

    def __init__(self, machine: Machine):
        kv, cim = machine.kv, machine.cim
        if cim.rows < cim.outputs:
            raise ValueError(f"cim.rows must be at least cim.outputs ({cim.outputs}), "
                             f"not {cim.rows!r}")
        self.machine = machine
        self.pages = kv.sequences * kv.heads * kv.blocks
        super().__init__({
            "config":   In(ConfigBus(machine)),
            "settings": Out(struct(KV_CONFIG)),
            "cmd":      In(stream.Signature(kv_command_layout(machine))),
            "rsp":      Out(stream.Signature(kv_reply_layout(machine))),
            "used":     Out(range(self.pages + 1)),
            "active":   Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        kv, cmd, settings = self.machine.kv, self.cmd.p, self.settings
        m.submodules.tables = tables = KvTables(self.machine)
        m.submodules.pool = pool = BlockPool(self.machine)
        m.submodules.appender = appender = TokenAppender(self.machine)
        m.submodules.freer = freer = SequenceFreer(self.machine)
        self._connect(m, tables, pool, appender, freer)

        # The command at work: the one on the port until it is accepted.
        accept, held = Signal(), Signal(kv_command_layout(self.machine))
        job = Signal.like(held)
        legal, held_legal = Signal(), Signal()
        m.d.comb += [
            job.eq(Mux(accept, cmd, held)), accept.eq(self.cmd.valid & self.cmd.ready),
            legal.eq((cmd.sequence < kv.sequences)
                     & ((cmd.op == KvOp.FREE) | (cmd.head < settings.heads)
                        & (cmd.head < kv.heads) & (cmd.block < kv.blocks))),
            tables.sequence.eq(job.sequence), tables.head.eq(job.head),
            tables.block.eq(job.block - appender.read_before),
            pool.sequence.eq(job.sequence), pool.head.eq(job.head),
            appender.legal.eq(held_legal), appender.block.eq(job.block),
            appender.token.eq(job.token),
        ]
        with m.If(freer.active):
            m.d.comb += [tables.head.eq(freer.head), tables.block.eq(freer.block)]

        # A write of the settings waits here until no command is at work.
        wipe_steps = kv_wipe_cycles(self.machine) - 1
        wipe, count = Signal(), Signal(range(wipe_steps))
        m.d.comb += [tables.index.eq(count), pool.wipe_macro.eq(count)]
        with m.If(self.config.valid & (self.config.unit == Unit.KV)):
            m.d.sync += [settings.eq(self.config.data), wipe.eq(1)]

        # Lookups go on in the background; the others are over when they are `answered`.
        looking, advance, answered, ok = Signal(), Signal(), Signal(), Signal()
        with m.If(advance):
            m.d.sync += looking.eq(accept & (cmd.op == KvOp.LOOKUP))
        with m.FSM(init="Accept") as fsm:
            m.d.comb += self.active.eq(~fsm.ongoing("Accept") | wipe | looking | self.rsp.valid)
            with m.State("Accept"):
                m.d.comb += [
                    self.cmd.ready.eq(~wipe & Mux(cmd.op == KvOp.LOOKUP, advance,
                                                  ~looking & ~self.rsp.valid)),
                    appender.start.eq(accept & (cmd.op == KvOp.APPEND)),
                ]
                with m.If(accept):
                    m.d.sync += [held.eq(cmd), held_legal.eq(legal)]
                    with m.If(cmd.op == KvOp.APPEND):
                        m.next = "Append"
                    with m.If(cmd.op == KvOp.FREE):
                        m.next = "StartFree"
                with m.If(wipe & ~looking & ~self.rsp.valid):
                    m.d.sync += wipe.eq(0)
                    m.next = "Wipe"
            with m.State("Append"):
                m.d.comb += [answered.eq(appender.ended), ok.eq(appender.ok)]
                m.d.sync += self.used.eq(self.used + pool.found)
                with m.If(answered):
                    m.next = "Accept"
            with m.State("StartFree"):
                m.d.comb += [freer.start.eq(held_legal), answered.eq(~held_legal)]
                m.next = "Free"
                with m.If(answered):
                    m.next = "Accept"
            with m.State("Free"):
                m.d.comb += [answered.eq(freer.ended), ok.eq(1)]
                m.d.sync += self.used.eq(self.used - freer.clear_page)
                with m.If(answered):
                    m.next = "Accept"
            with m.State("Wipe"):
                m.d.comb += [tables.wipe.eq(1), pool.wipe.eq(1)]
                m.d.sync += [count.eq(count + 1), self.used.eq(0)]
                with m.If(count == wipe_steps - 1):
                    m.d.sync += count.eq(0)
                    m.next = "Accept"

        m.d.comb += [tables.read_page.eq(accept | appender.read_before | freer.read_page),
                     tables.read_slot.eq(accept | freer.read_slot)]
        self._reply(m, tables, appender, advance=advance, looking=looking, legal=held_legal,
                    answered=answered, ok=ok, full=pool.full)

        return m

    def _reply(self, m, tables, appender, *, advance, looking, legal, answered, ok, full):
        """Second stage of lookups, and the registers of a reply: all but the token bits."""
        rsp, page = self.rsp.p, tables.page
        reply = Signal(data.StructLayout({"ok": 1, "full": 1, **place_layouts(self.machine)}))
        m.d.comb += [
            advance.eq(~self.rsp.valid | self.rsp.ready),
            rsp.ok.eq(reply.ok), rsp.full.eq(reply.full), rsp.k.eq(reply.k), rsp.v.eq(reply.v),
            rsp.valid.eq(tables.tokens),
            tables.read_tokens.eq((advance & looking) | appender.read_tokens),
        ]
        with m.If(advance):
            m.d.sync += self.rsp.valid.eq(looking)
            with m.If(looking):
                m.d.sync += [reply.ok.eq(legal & page.valid), reply.full.eq(0),
                             reply.k.eq(page.k), reply.v.eq(page.v)]
        with m.If(answered):
            m.d.sync += [self.rsp.valid.eq(1), reply.ok.eq(ok), reply.full.eq(full)]
        with m.If(appender.ended):
            m.d.sync += [reply.k.eq(appender.k), reply.v.eq(appender.v)]

    def _connect(self, m, tables, pool, appender, freer):
        """Connects the parts as far as no state of the manager plays a role."""
        m.d.comb += [
            pool.settings.eq(self.settings), pool.page.eq(tables.page), pool.slot.eq(tables.slot),
            pool.start.eq(appender.search), pool.follows.eq(appender.follows),
            pool.select.eq(freer.select), pool.give_back.eq(freer.clear_page),
            appender.page.eq(tables.page), appender.tokens.eq(tables.tokens),
            appender.found.eq(pool.found), appender.full.eq(pool.full),
            appender.new_k.eq(pool.k), appender.new_v.eq(pool.v),
            freer.has_slot.eq(tables.slot.valid), freer.has_page.eq(tables.page.valid),
            tables.at.eq(appender.k), tables.write_tokens.eq(appender.write_tokens),
            tables.new_tokens.eq(appender.new_tokens),
            tables.write_page.eq(pool.found | freer.clear_page),
            tables.write_slot.eq((pool.found & ~tables.slot.valid) | freer.clear_slot),
        ]
        with m.If(pool.found):
            m.d.comb += [
                tables.new_page.valid.eq(1), tables.new_page.k.eq(pool.k),
                tables.new_page.v.eq(pool.v),
                tables.new_slot.valid.eq(1), tables.new_slot.slot.eq(pool.v.slot),
            ]
