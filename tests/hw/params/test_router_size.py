from dataclasses import replace

import pytest
from amaranth import Shape
from amaranth.hdl import Fragment
from amaranth.lib.memory import Memory

from ouroboros.hw.noc.router import Router
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.noc import NocParams
from ouroboros.hw.params.router_size import router_memory_bits

TINY = load_machine("tiny").noc


@pytest.mark.parametrize("noc", [
    TINY, replace(TINY, class1_vcs=1, class2_vcs=2, vc_depth=5, multicast_flits=5, labels=2),
    NocParams(vcs=2, class1_vcs=0, class2_vcs=0, vc_depth=4, multicast_flits=4)])
def test_memory_bits_are_those_of_the_hardware(noc, monkeypatch):
    found, elaborate = [], Memory.elaborate

    def counted(memory, platform):
        found.append(memory.depth * Shape.cast(memory.shape).width)
        return elaborate(memory, platform)

    monkeypatch.setattr(Memory, "elaborate", counted)
    Fragment.get(Router(noc), None)
    assert sum(found) == router_memory_bits(noc)


def test_memory_of_the_wafer():
    """5 ports, 5 channels of 10 flits of 256 + 16 bits; 128 labels of 5 bits, 320 turns of 3."""
    assert router_memory_bits(load_machine("wafer").noc) == 250 * 272 + 640 + 960
