"""Array unit as a top module: ``release`` is a Verilog keyword, so it is ``drop`` here."""

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ouroboros.hw.array.array import ArrayUnit
from ouroboros.hw.lib.library import Library
from ouroboros.hw.params.machine import Machine

__all__ = ["ArrayTop"]


class ArrayTop(wiring.Component):
    """``ArrayUnit`` with ``drop`` for ``release``."""

    def __init__(self, machine: Machine, library: Library | None = None):
        self.machine, self.library = machine, library
        with_release = ArrayUnit(machine, library)
        self._unit = with_release
        members = dict(with_release.signature.members)
        del members["release"]
        super().__init__({**members, "drop": In(1)})

    def elaborate(self, platform):
        m = Module()

        m.submodules.unit = self._unit
        for name, member in self._unit.signature.members.items():
            if name == "release":
                m.d.comb += self._unit.release.eq(self.drop)
            elif member.is_signature:
                connect(m, flipped(getattr(self, name)), getattr(self._unit, name))
            elif member.flow is Out:
                m.d.comb += getattr(self, name).eq(getattr(self._unit, name))

        return m
