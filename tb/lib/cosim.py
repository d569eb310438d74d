"""A component's ports under cocotb, whichever simulator runs it."""

import warnings
from typing import Any

import cocotb
from amaranth.hdl import UnusedElaboratable
from amaranth.lib import wiring
from amaranth.lib.wiring import In
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly

from ouroboros.tb.lib.stream import pack, unpack

__all__ = ["CocotbDut"]

PERIOD_NS = 10
RESET_CYCLES = 3


class CocotbDut:
    """See ``tb.lib.agent.Dut``; ``component`` says what the ports of ``dut`` mean.

    Cycles begin at the falling edge of the clock, where registered outputs have settled.
    """

    def __init__(self, dut, component: wiring.Component):
        # It is never elaborated here.
        warnings.simplefilter("ignore", UnusedElaboratable)
        self.dut = dut
        self._ports = {}
        for path, member, _ in component.signature.flatten(component):
            name = "__".join(map(str, path))
            if hasattr(dut, name):
                self._ports[name] = getattr(dut, name), member.shape
                if member.flow is In:
                    self.set(name, member.init if member.init is not None else 0)

    @classmethod
    async def started(cls, dut, component: wiring.Component) -> "CocotbDut":
        """With a running clock, after reset; inputs are at their initial values."""
        self = cls(dut, component)
        dut.rst.value = 1
        cocotb.start_soon(Clock(dut.clk, PERIOD_NS, unit="ns").start())
        for _ in range(RESET_CYCLES):
            await FallingEdge(dut.clk)
        dut.rst.value = 0
        return self

    def set(self, name: str, value: Any) -> None:
        handle, shape = self._ports[name]
        handle.value = value if isinstance(value, int) else pack(shape, value)

    def get(self, name: str) -> Any:
        handle, shape = self._ports[name]
        return unpack(shape, int(handle.value))

    async def settle(self) -> None:
        await ReadOnly()

    async def tick(self) -> None:
        await FallingEdge(self.dut.clk)
