"""The stage table: which slots, buffer words, program and senders a stage has."""

from amaranth import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ouroboros.hw.lib.bus import ConfigBus
from ouroboros.hw.lib.struct import struct
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import STAGE_ENTRY, Unit
from ouroboros.hw.params.widths import WORD_ADDRESS_BITS

__all__ = ["StageTable", "stage_layout"]


def stage_layout(machine: Machine) -> data.StructLayout:
    """One stage; ``slots`` is the set of its slots, empty for a stage that is not used."""
    core = machine.core
    return data.StructLayout({
        "slots":        core.slots,
        "first":        ceil_log2(core.slots),
        "base":         WORD_ADDRESS_BITS,
        "stride":       WORD_ADDRESS_BITS,
        "program":      ceil_log2(core.program_words),
        "credit_first": ceil_log2(core.credit_list_words) or 1,
        "credit_count": struct(STAGE_ENTRY)["credit_count"].shape,
    })


class StageTable(wiring.Component):
    """Registers written as ``Unit.STAGE`` entries (``STAGE_ENTRY``); all stages are empty at reset.

    Parameters
    ----------
    machine : Machine
        Number of stages and slots.

    Members
    -------
    config : In(ConfigBus)
        Writes.
    stages : Out, array of ``stage_layout``
        The table.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        super().__init__({
            "config": In(ConfigBus(machine)),
            "stages": Out(stage_layout(machine)).array(machine.core.stages),
        })

    def elaborate(self, platform):
        m = Module()

        layout = struct(STAGE_ENTRY)
        entry = Signal(layout)
        m.d.comb += entry.eq(self.config.data[:layout.size])
        for n, stage in enumerate(self.stages):
            with m.If(self.config.valid & (self.config.unit == Unit.STAGE)
                      & (self.config.address == n)):
                m.d.sync += [
                    stage.first.eq(entry.slot_first), stage.base.eq(entry.base),
                    stage.stride.eq(entry.stride), stage.program.eq(entry.program),
                    stage.credit_first.eq(entry.credit_first),
                    stage.credit_count.eq(entry.credit_count)]
                m.d.sync += [
                    stage.slots[s].eq((entry.slot_first <= s)
                                      & (s < entry.slot_first + entry.slot_count))
                    for s in range(self.machine.core.slots)]

        return m
