"""Both ends of a core's link in a cocotb bench: flits with credits, in and out."""

import random
from collections import deque

import cocotb
from cocotb.triggers import ReadOnly, RisingEdge

from ouroboros.hw.noc.link import flit_layout
from ouroboros.sw.program.packets import Flit
from ouroboros.tb.lib.stream import pack, unpack

__all__ = ["LinkSink", "LinkSource"]


class LinkSource:
    """Sends flits into the DUT as credits allow; channels mix at random."""

    def __init__(self, dut, machine, idle, sent):
        self._dut, self._layout, self._idle, self._sent = (
            dut, flit_layout(machine.noc), idle, sent)
        self.queues = [deque() for _ in range(machine.noc.channels)]
        self._credits = [machine.noc.vc_depth] * machine.noc.channels
        dut.link_in__valid.value = 0
        cocotb.start_soon(self._run())

    def send(self, packet):
        """Queue a packet behind those of its channel."""
        self.queues[packet.header["vc"]].extend(packet.flits())

    @property
    def empty(self):
        """Nothing is queued."""
        return not any(self.queues)

    async def _run(self):
        dut = self._dut
        while True:
            await ReadOnly()
            back = int(dut.link_in__credit.value)
            await RisingEdge(dut.clk)
            able = [vc for vc, queue in enumerate(self.queues) if queue and self._credits[vc]]
            self._credits = [n + (back >> vc & 1) for vc, n in enumerate(self._credits)]
            go = bool(able) and not next(self._idle)
            dut.link_in__valid.value = int(go)
            if go:
                flit = self.queues[random.choice(able)].popleft()
                self._credits[flit.vc] -= 1
                dut.link_in__flit.value = pack(self._layout, flit._asdict())
                self._sent(flit)


class LinkSink:
    """Takes the flits that the DUT sends, keeps credits back for a while, checks their number."""

    def __init__(self, dut, machine, idle):
        self.flits = []
        self._dut, self._noc, self._idle = dut, machine.noc, idle
        dut.link_out__credit.value = 0
        cocotb.start_soon(self._run())

    async def _run(self):
        dut, layout = self._dut, flit_layout(self._noc)
        owed = [0] * self._noc.channels
        while True:
            await ReadOnly()
            bits = int(dut.link_out__flit.value) if dut.link_out__valid.value == 1 else None
            await RisingEdge(dut.clk)
            if bits is not None:
                flit = unpack(layout, bits)
                owed[flit.vc] += 1
                assert owed[flit.vc] <= self._noc.vc_depth, "credits overrun"
                self.flits.append(Flit(flit.data, flit.vc, bool(flit.head), bool(flit.tail)))
            back = 0
            for vc, number in enumerate(owed):
                if number and not next(self._idle):
                    owed[vc] -= 1
                    back |= 1 << vc
            dut.link_out__credit.value = back
