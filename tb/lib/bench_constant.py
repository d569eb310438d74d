"""Cocotb bench of a signal of which half is constant and half follows an input."""

import cocotb
from cocotb.triggers import Timer


@cocotb.test()
async def constant(dut):
    """The constant half is there from the start."""
    for a, q in ((0, 0x05), (1, 0x35), (0, 0x05)):
        dut.a.value = a
        await Timer(1, "ns")
        assert int(dut.q.value) == q
