"""Array unit: the macros of a core and everything that feeds and drains them."""

from amaranth import Cat, Module, Signal
from amaranth.lib import data, fifo, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ouroboros.hw.array.drain import DrainControl
from ouroboros.hw.array.execute import Executor
from ouroboros.hw.array.load import OperandLoader
from ouroboros.hw.array.result import ResultKind, frame_layout
from ouroboros.hw.array.tree import AdderTree
from ouroboros.hw.array.write import RowWriter
from ouroboros.hw.cim.macro import Macro
from ouroboros.hw.cim.macro_gated import GatedMacro
from ouroboros.hw.kv.manager import KvManager
from ouroboros.hw.lib.bus import (
    BufferRead,
    ConfigBus,
    done_signature,
    drain_signature,
    issue_signature,
)
from ouroboros.hw.lib.library import Library
from ouroboros.hw.lib.struct import struct
from ouroboros.hw.params import isa
from ouroboros.hw.params.isa import Op
from ouroboros.hw.params.machine import Machine

__all__ = ["ArrayUnit", "array_events_layout"]


def array_events_layout(machine: Machine) -> data.StructLayout:
    """What happens in a cycle, for the counters.

    ``groups_active``: macros with a row group at work (a cycle late); ``row_writes``,
    ``byte_writes``: V rows and K bytes written by appends; ``kv_operation``: an APPEND, SCORE,
    CONTEXT or FREE reported done; ``kv_full``: an append refused; ``busy``: an instruction loads,
    computes or waits for the drain stage.
    """
    return data.StructLayout({
        "groups_active": range(machine.core.macros + 1), "row_writes": 1,
        "byte_writes": range(machine.cim.k_write_rows_per_cycle + 1),
        "kv_operation": 1, "kv_full": 1, "busy": 1})


class ArrayUnit(wiring.Component):
    """Executes LOAD, MVM, APPEND, SCORE, CONTEXT and FREE on the macros of a core.

    Three stages work at once, on different instructions: LOAD fills one operand bank, while an MVM
    computes from the other, while the results of an earlier one are drained.

    **Issue.** An instruction is taken when its stage is free. The first LOAD of a slot clears the
    idle bank of all macros and locks the unit for its slot until its MVM is taken; only LOADs and
    the MVM of ``owner`` may be offered then, others would wait for ever. A LOAD is taken when
    ``idle_load``, an MVM when ``idle_compute``, the others when ``idle_compute`` and ``idle_load``
    and not ``locked``. An MVM without a LOAD before it computes from stale operands. An MVM goes
    after its last LOAD: macros multiply the first words while the others are loaded.

    **Done.** LOAD: taken. APPEND: written, or refused (``poison``), or another member's.
    FREE: forgotten. MVM: all sums in the drain registers; SCORE: first frame ready, or no tokens;
    CONTEXT: the sum ready; these three only when all earlier results have been released, so that
    the ``drain`` stream is theirs from then on. Between that and ``released`` a slot's program must
    not use the array.

    **Drain.** The beats of the current result, in docs/architecture.md's order. ``released`` in
    cycle t ends the stream: its last transfer may be in cycle t; beats not taken are dropped, and a
    SCORE stops.

    **Limits.** ``outputs`` is a multiple of 4 x ``lanes``,
    head_dim of ``lanes``. ``STEP``, ``KV`` and ``WEIGHT`` are written while the unit is idle.

    **Cycles** from acceptance to ``done``, unstalled, are functions of ``hw.params.timing.array``.

    Parameters
    ----------
    machine : Machine
        Sizes.
    lib : Library | None
        Where the macros come from, as module ``macro``; None: submodules.

    Members
    -------
    issue, done : In(issue_signature), Out(done_signature)
        Instructions and completions.
    locked, owner, idle_load, idle_compute : Out
        What can be taken now; see above.
    read : Out(BufferRead)
        Buffer.
    config : In(ConfigBus)
        ``Unit.STEP``, ``Unit.KV``, ``Unit.WEIGHT + m``.
    drain, released : Out(drain_signature), In(1)
        Results.
    events : Out(array_events_layout)
        For the counters.
    kv_blocks : Out
        KV blocks in use.
    active : Out(1)
        An instruction, its results or a command of the KV manager is under way.
    """

    def __init__(self, machine: Machine, lib: Library | None = None):
        cim, lanes = machine.cim, machine.core.lanes
        if cim.outputs % (4 * lanes):
            raise ValueError(f"cim.outputs must be a multiple of 4 x core.lanes ({4 * lanes}), "
                             f"not {cim.outputs!r}")
        self.machine, self.lib = machine, lib
        super().__init__({
            "issue":        In(issue_signature(machine)),
            "done":         Out(done_signature(machine)),
            "locked":       Out(1),
            "owner":        Out(ceil_log2(machine.core.slots)),
            "idle_load":    Out(1),
            "idle_compute": Out(1),
            "read":         Out(BufferRead(machine)),
            "config":       In(ConfigBus(machine)),
            "drain":        Out(drain_signature(machine)),
            "released":     In(1),
            "events":       Out(array_events_layout(machine)),
            "kv_blocks":    Out(range(machine.kv.pages + 1)),
            "active":       Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        core = self.machine.core
        m.submodules.loader = loader = OperandLoader(self.machine)
        m.submodules.writer = writer = RowWriter(self.machine)
        m.submodules.execute = execute = Executor(self.machine)
        m.submodules.drainer = drainer = DrainControl(self.machine)
        m.submodules.kv = kv = KvManager(self.machine)
        m.submodules.tree = tree = AdderTree(self.machine)
        macros = self._macros(m, loader, writer, execute, drainer, tree)

        for unit in (writer, drainer, kv):
            m.d.comb += [unit.config.valid.eq(self.config.valid),
                         unit.config.unit.eq(self.config.unit),
                         unit.config.address.eq(self.config.address),
                         unit.config.data.eq(self.config.data)]
        wiring.connect(m, execute.query, kv.cmd)
        wiring.connect(m, kv.rsp, execute.answer)
        wiring.connect(m, execute.append, writer.job)
        wiring.connect(m, execute.result, drainer.result)
        # A macro can hold two results and compute a third.
        frames = fifo.SyncFIFO(width=frame_layout(self.machine).size, depth=4 * core.macros)
        m.submodules.frames = frames
        m.d.comb += [
            frames.w_data.eq(execute.frame.p), frames.w_en.eq(execute.frame.valid),
            execute.frame.ready.eq(frames.w_rdy),
            drainer.frame.p.eq(frames.r_data), drainer.frame.valid.eq(frames.r_rdy),
            frames.r_en.eq(drainer.frame.ready),
            execute.settings.eq(kv.settings), execute.appended.eq(writer.done),
            execute.dropping.eq(drainer.dropping), execute.waiting.eq(drainer.waiting),
            drainer.aborted.eq(execute.aborted), drainer.released.eq(self.released),
        ]
        with m.If(writer.read.en):
            m.d.comb += self.read.addr.eq(writer.read.addr)
        with m.Else():
            m.d.comb += self.read.addr.eq(loader.read.addr)
        m.d.comb += [
            self.read.en.eq(writer.read.en | loader.read.en),
            writer.read.data.eq(self.read.data), loader.read.data.eq(self.read.data),
        ]

        self._issue(m, loader, execute, drainer)

        active = Signal(core.macros)
        m.d.comb += active.eq(Cat(*macros))
        m.d.sync += self.events.groups_active.eq(sum(active))
        m.d.comb += [
            self.events.row_writes.eq(writer.row_write),
            self.events.byte_writes.eq(writer.byte_writes),
            self.events.kv_full.eq(execute.full), self.kv_blocks.eq(kv.used),
            self.active.eq(self.events.busy | kv.active | frames.r_rdy | drainer.flush
                           | tree.o.valid),
        ]

        return m

    def _macros(self, m, loader, writer, execute, drainer, tree):
        """Macros and tree; ``active`` of all macros."""
        active = []
        lanes_valid = 0
        for n in range(self.machine.core.macros):
            macro = (Macro(self.machine) if self.lib is None else self.lib.instance(
                "macro", lambda: GatedMacro(self.machine, self.lib), params=self.machine))
            m.submodules[f"macro_{n}"] = macro
            m.d.comb += [
                macro.operand.en.eq(loader.en[n]), macro.operand.clear.eq(loader.clear),
                macro.operand.bank.eq(loader.bank), macro.operand.index.eq(loader.index),
                macro.operand.data.eq(loader.data), macro.operand.mask.eq(loader.mask),
                macro.cmd.valid.eq(execute.pending[n]), macro.cmd.p.eq(execute.command),
                execute.ready[n].eq(macro.cmd.ready),
                macro.write.en.eq(writer.en[n]), macro.write.row.eq(writer.row),
                macro.write.column.eq(writer.column), macro.write.mask.eq(writer.mask),
                macro.write.data.eq(writer.data),
                macro.beat.eq(drainer.beat), macro.take.eq(drainer.take[n]),
                drainer.full[n].eq(macro.full),
                tree.i.p.leaves[n].eq(macro.sums),
            ]
            lanes_valid |= macro.lanes_valid & drainer.leaves[n].replicate(len(macro.lanes_valid))
            active.append(macro.active)
        m.d.comb += [
            tree.i.p.mask.eq(drainer.leaves),
            tree.i.p.valid.eq(lanes_valid | drainer.lanes.replicate(len(lanes_valid))),
            tree.i.valid.eq(drainer.en), drainer.ready.eq(tree.i.ready),
            self.drain.p.eq(tree.o.p),
            self.drain.valid.eq(tree.o.valid & ~drainer.flush),
            tree.o.ready.eq(self.drain.ready | drainer.flush),
            drainer.leaving.eq(tree.o.valid & tree.o.ready),
        ]
        return active

    def _issue(self, m, loader, execute, drainer):
        """Routes instructions to the stages and completions to ``done``."""
        issue, load = self.issue.p, data.View(struct(isa.LOAD), self.issue.p.instruction)
        op = Signal(struct(isa.BARE)["op"].shape)
        owned, loading, load_slot = Signal(), Signal(), Signal.like(issue.slot)
        load_bank, busy_banks = Signal(), Signal(2)
        load_valid, execute_valid, multiply = Signal(), Signal(), Signal()

        m.d.comb += [
            op.eq(data.View(struct(isa.BARE), issue.instruction).op),
            owned.eq(~self.locked | (self.owner == issue.slot)),
            self.idle_load.eq(~loading & ~execute.attention
                              & ~busy_banks.bit_select(load_bank, 1)),
            self.idle_compute.eq(execute.idle),
            execute.bank.eq(load_bank), execute.rows.eq(loader.rows),
            execute.operands.eq(~loading | loader.done),
            execute.op.p.eq(issue), execute.op.valid.eq(execute_valid),
            self.events.busy.eq(loading | ~execute.idle | drainer.waiting),
        ]
        with m.If(self.issue.valid):
            with m.Switch(op):
                with m.Case(Op.LOAD):
                    m.d.comb += load_valid.eq(self.idle_load & owned)
                with m.Case(Op.MVM):
                    m.d.comb += [execute_valid.eq(execute.idle & owned),
                                 multiply.eq(execute_valid)]
                with m.Default():
                    m.d.comb += execute_valid.eq(execute.idle & ~loading & ~self.locked)
        # The loader has no job then: it serves one stage at a time.
        m.d.comb += [self.issue.ready.eq(load_valid | execute_valid),
                     execute.loaded.eq(loader.done), loader.job.valid.eq(execute.load.valid),
                     execute.load.ready.eq(loader.job.ready), loader.job.p.eq(execute.load.p)]
        with m.If(~execute.attention):
            m.d.comb += [
                execute.loaded.eq(0), loader.job.valid.eq(load_valid),
                loader.job.p.addr.eq(issue.base + load.src), loader.job.p.index.eq(load.offset),
                loader.job.p.length.eq(load.length), loader.job.p.macros.eq(load.macros),
                loader.job.p.tiles.eq(load.tiles), loader.job.p.tile.eq(load.tile),
                loader.job.p.bank.eq(load_bank), loader.job.p.clear.eq(~self.locked),
                loader.job.p.masked.eq(0), loader.job.p.keep.eq(0),
            ]
        loaded = Signal()
        with m.If(loader.done):
            m.d.sync += loading.eq(0)
        with m.If(load_valid):
            m.d.sync += [loading.eq(1), loaded.eq(1), load_slot.eq(issue.slot), self.locked.eq(1),
                         self.owner.eq(issue.slot)]

        drained = Signal(2)
        m.d.comb += drained.eq((drainer.done & (drainer.done_kind == ResultKind.STEPS))
                               << drainer.done_bank)
        m.d.sync += busy_banks.eq((busy_banks | (multiply << load_bank)) & ~drained)
        with m.If(multiply):
            m.d.sync += [self.locked.eq(0), load_bank.eq(~load_bank)]

        # One completion per cycle; a result goes first, since it cannot wait.
        m.d.sync += [self.done.valid.eq(0), self.events.kv_operation.eq(0)]
        with m.If(drainer.done):
            m.d.sync += [self.done.valid.eq(1), self.done.p.slot.eq(drainer.done_slot),
                         self.done.p.poison.eq(0),
                         self.events.kv_operation.eq(drainer.done_kind != ResultKind.STEPS)]
        with m.Elif(execute.done.valid):
            m.d.comb += execute.done.ready.eq(1)
            m.d.sync += [self.done.valid.eq(1), self.done.p.eq(execute.done.p),
                         self.events.kv_operation.eq(1)]
        with m.Elif(loaded):
            m.d.sync += [self.done.valid.eq(1), self.done.p.slot.eq(load_slot),
                         self.done.p.poison.eq(0), loaded.eq(0)]
