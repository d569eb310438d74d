"""Sequencer of a CIM macro: which row group and activation bit, in which cycle."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.params.cim import ACTIVATION_BITS
from ouroboros.hw.params.machine import Machine

__all__ = ["Sequencer", "command_layout", "operand_signature", "operand_words", "step_layout"]


def operand_words(machine: Machine) -> int:
    """Words of one operand bank."""
    return -(-8 * machine.cim.rows // machine.core.word_bits)


def operand_signature(machine: Machine) -> wiring.Signature:
    """Load port of the operand banks, seen from the loader; never back-pressured."""
    word_bits = machine.core.word_bits
    return wiring.Signature({
        "en":    Out(1),
        "clear": Out(1),
        "bank":  Out(1),
        "index": Out(range(max(2, operand_words(machine)))),  # Verilog has no port of 0 bits
        "data":  Out(word_bits),
        "mask":  Out(word_bits // 8),
    })


def command_layout(machine: Machine) -> data.StructLayout:
    """One product: ``groups`` weight groups from ``first_group`` with as many operand groups."""
    groups = machine.cim.groups
    return data.StructLayout({
        "bank":          1,
        "first_group":   range(groups),
        "operand_group": range(groups),
        "groups":        range(groups + 1),
        "first":         1,
        "last":          1,
        "columns":       machine.cim.outputs,
    })


def step_layout(machine: Machine) -> data.StructLayout:
    """What the array does in one cycle."""
    return data.StructLayout({
        "run":           1,  # multiplies bit `bit` of a row group
        "bit":           range(ACTIVATION_BITS),
        "bank":          1,
        "weight_group":  range(machine.cim.groups),
        "operand_group": range(machine.cim.groups),
        "add":           1,  # afterwards the group's sums go to the accumulators
        "clear":         1,  # which are cleared before
        "last":          1,  # and go to the drain registers
        "columns":       machine.cim.outputs,  # stable while `last`
    })


class Sequencer(wiring.Component):
    """Steps through the commands of a macro, skipping groups without a valid operand row.

    A command with g valid groups accepted in cycle t gives ``step`` in cycles t + 1 to t + 8 g; one
    without any gives a single step with ``run`` low, in cycle t + 1. The next command is accepted
    in the last of these cycles or later. With ``hold`` the step stays and nothing is accepted.

    Members
    -------
    operand : In(operand_signature(machine))
        Only valid bits are kept here, and only one for a whole group.
    cmd : In(stream(command_layout(machine)))
        Commands.
    hold : In(1)
        The array cannot take the step.
    step : Out(step_layout(machine))
        What to do in this cycle.
    busy : Out(1)
        A command has been accepted and its last step is not over.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        super().__init__({
            "operand": In(operand_signature(machine)),
            "cmd":     In(stream.Signature(command_layout(machine))),
            "hold":    In(1),
            "step":    Out(step_layout(machine)),
            "busy":    Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        groups = self.machine.cim.groups
        cmd, step = self.cmd.p, self.step
        valid = self._valid_bits(m)

        busy, first, last = self.busy, Signal(), Signal()
        columns = Signal(self.machine.cim.outputs)
        offset = Signal(range(groups))
        # Groups still to be done, the running one included, which is the lowest of them.
        pending, pending_after = Signal(groups), Signal(groups)
        final = Signal()

        m.d.comb += [
            pending_after.eq(pending & (pending - 1)),
            final.eq(Mux(step.run, (step.bit == ACTIVATION_BITS - 1) & (pending_after == 0), busy)),
            self.cmd.ready.eq(~self.hold & (~busy | final)),
            step.weight_group.eq(step.operand_group + offset),
            step.add.eq(step.run & (step.bit == ACTIVATION_BITS - 1)),
            step.clear.eq(first & (step.add | final)),
            step.last.eq(last & final),
            step.columns.eq(columns),
        ]

        with m.If(busy & ~self.hold):
            m.d.sync += step.bit.eq(step.bit + step.run)
            with m.If(step.add):
                m.d.sync += [first.eq(0), pending.eq(pending_after)]
                _lowest(m, pending_after, step.operand_group)
            with m.If(final):
                m.d.sync += [busy.eq(0), step.run.eq(0)]

        with m.If(self.cmd.valid & self.cmd.ready):
            chosen = Signal(groups)
            end = cmd.operand_group + cmd.groups
            m.d.comb += chosen.eq(
                Mux(cmd.bank, valid[1], valid[0])
                & Cat((k >= cmd.operand_group) & (k < end) for k in range(groups)))
            m.d.sync += [
                busy.eq(1),
                step.run.eq(chosen.any()),
                step.bit.eq(0),
                step.bank.eq(cmd.bank),
                pending.eq(chosen),
                offset.eq(cmd.first_group - cmd.operand_group),
                first.eq(cmd.first),
                last.eq(cmd.last),
                columns.eq(cmd.columns),
            ]
            _lowest(m, chosen, step.operand_group)

        return m

    def _valid_bits(self, m):
        """One bit for each group of the two banks."""
        active_rows = self.machine.cim.active_rows
        operand = self.operand
        valid = [Signal(self.machine.cim.groups, name=f"valid_{bank}") for bank in range(2)]
        loaded = Cat(operand.mask[row:row + active_rows].any()
                     for row in range(0, len(operand.mask), active_rows))
        for bank in range(2):
            with m.If(operand.bank == bank):
                with m.If(operand.clear):
                    m.d.sync += valid[bank].eq(0)
                with m.If(operand.en):
                    m.d.sync += valid[bank].word_select(operand.index, len(loaded)).eq(loaded)
        return valid


def _lowest(m, mask, index):
    """Set ``index``, in the next cycle, to the number of the lowest bit set in ``mask``."""
    for k in reversed(range(len(mask))):
        with m.If(mask[k]):
            m.d.sync += index.eq(k)
