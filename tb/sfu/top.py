"""The SFU as a top module."""

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out, connect, flipped

from ouroboros.hw.params.machine import Machine
from ouroboros.hw.sfu.sfu import Sfu

__all__ = ["SfuTop"]


class SfuTop(wiring.Component):
    """``Sfu`` with its port ``release``, a Verilog keyword, called ``released``."""

    def __init__(self, machine: Machine):
        self._sfu = Sfu(machine)
        self._same = {name: member for name, member in self._sfu.signature.members.items()
                      if name != "release"}
        super().__init__({**self._same, "released": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.sfu = sfu = self._sfu
        for name, member in self._same.items():
            if member.is_signature:
                connect(m, getattr(sfu, name), flipped(getattr(self, name)))
            else:
                m.d.comb += getattr(self, name).eq(getattr(sfu, name))
        m.d.comb += self.released.eq(sfu.release)
        return m
