"""The CIM macro as a core places it: without clock while it has nothing to do."""

from amaranth import DomainRenamer, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from ouroboros.hw.cim.macro import Macro, macro_signature
from ouroboros.hw.lib.gate import gated_domain
from ouroboros.hw.lib.library import Library, flat_ports
from ouroboros.hw.params.machine import Machine

__all__ = ["GatedMacro"]


class GatedMacro(wiring.Component):
    """A ``Macro`` with a clock gate: the same ports, the same cycles.

    The clock runs while a command is under way and in every cycle in which the user asks for
    something. Most macros of a machine stand still most of the time: one row group of one macro
    is at work while a token passes its core.

    Parameters
    ----------
    machine : Machine
        Sizes.
    library : Library
        Takes the clock gate.
    """

    def __init__(self, machine: Machine, library: Library):
        self.machine, self.library = machine, library
        super().__init__(macro_signature(machine))

    def elaborate(self, platform):
        m = Module()

        macro = Macro(self.machine)
        asked = (self.cmd.valid | self.operand.en | self.operand.clear | self.write.en | self.take)
        gated_domain(m, self.library, "gated", asked | macro.busy)
        m.submodules.macro = DomainRenamer("gated")(macro)
        inside = {name: value for name, _, value in flat_ports(macro)}
        for name, flow, value in flat_ports(self):
            m.d.comb += (value.eq(inside[name]) if flow is Out else inside[name].eq(value))

        return m
