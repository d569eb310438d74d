"""Macro and behavioural twin side by side, for the bench that proves them equal."""

from amaranth import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.cim.macro import macro_signature
from ouroboros.hw.cim.macro_gated import GatedMacro
from ouroboros.hw.cim.macro_twin import twin_verilog
from ouroboros.hw.lib.library import Library, flat_ports
from ouroboros.hw.params.machine import Machine

__all__ = ["MacroPair", "pair_sources"]


class MacroPair(wiring.Component):
    """A macro and its twin with the same inputs.

    Members
    -------
    ...
        Those of the macro; the outputs are the macro's own.
    differ : Out(1)
        Some output of the twin has differed from the macro's in some cycle since reset.
    cycles : Out(32)
        Cycles since reset, modulo 2**32.
    """

    def __init__(self, machine: Machine, library: Library):
        self.machine = machine
        self.library = library
        super().__init__({**macro_signature(machine).members,
                          "differ": Out(1), "cycles": Out(32)})

    def elaborate(self, platform):
        m = Module()

        library, machine = self.library, self.machine
        library.add_source("macro_twin", twin_verilog(machine, "macro_twin"))
        m.submodules.macro = macro = library.instance(
            "macro", lambda: GatedMacro(machine, library), params=machine)
        m.submodules.twin = twin = library.instance(
            "macro_twin", macro_signature(machine).create, params=machine)

        own = {name: value for name, _, value in flat_ports(self)}
        twins = {name: value for name, _, value in flat_ports(twin)}
        differences = []
        for name, flow, value in flat_ports(macro):
            if flow is In:
                m.d.comb += [value.eq(own[name]), twins[name].eq(own[name])]
            else:
                m.d.comb += own[name].eq(value)
                differences.append(value != twins[name])
        m.d.sync += self.cycles.eq(self.cycles + 1)
        with m.If(Cat(differences).any()):
            m.d.sync += self.differ.eq(1)

        return m


def pair_sources(machine: Machine) -> dict[str, str]:
    """Verilog of module ``macro_pair`` and what it contains."""
    library = Library()
    library.define("macro_pair", lambda: MacroPair(machine, library), params=machine)
    return library.sources()
