"""End-to-end token credits: counters at the sender, credit packets at the receiver."""

from amaranth import Module, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ouroboros.hw.lib.bus import ConfigBus
from ouroboros.hw.lib.struct import struct
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import CREDIT_ENTRY, STAGE_ENTRY, Unit
from ouroboros.hw.params.widths import CREDIT_BITS

__all__ = ["CreditCounters", "CreditSender"]


def credit_signature() -> stream.Signature:
    """A credit that came back for a counter, from the ingress (``Out``)."""
    return stream.Signature(data.StructLayout({"counter": CREDIT_BITS}), always_ready=True)


class CreditCounters(wiring.Component):
    """One counter for each stage copy that this core sends tokens to.

    A counter holds the free slots there; ``Unit.CREDIT`` sets it.

    Parameters
    ----------
    machine : Machine
        Number and width of counters.

    Members
    -------
    config : In(ConfigBus)
        Writes.
    credit : In(stream of {counter})
        Raises a counter by 1.
    spend : In(credits)
        Lowers each counter of the mask by 1; they must be positive.
    ready : Out(credits)
        Counters that are positive.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        credits = machine.core.credits
        super().__init__({
            "config": In(ConfigBus(machine)),
            "credit": In(credit_signature()),
            "spend":  In(credits),
            "ready":  Out(credits),
        })

    def elaborate(self, platform):
        m = Module()

        for n in range(self.machine.core.credits):
            counter = Signal(self.machine.core.credit_bits, name=f"counter{n}")
            raised = Signal(name=f"raised{n}")
            m.d.comb += raised.eq(self.credit.valid & (self.credit.p.counter == n))
            m.d.comb += self.ready[n].eq(counter.any())
            with m.If(raised & ~self.spend[n]):
                m.d.sync += counter.eq(counter + 1)
            with m.If(~raised & self.spend[n]):
                m.d.sync += counter.eq(counter - 1)
            with m.If(self.config.valid & (self.config.unit == Unit.CREDIT)
                      & (self.config.address == n)):
                m.d.sync += counter.eq(self.config.data)

        return m


class CreditSender(wiring.Component):
    """Sends one credit to each entry of a part of the credit list, one entry every second cycle.

    Parameters
    ----------
    machine : Machine
        Size of the list.

    Members
    -------
    config : In(ConfigBus)
        Writes ``Unit.CREDIT_LIST`` (``CREDIT_ENTRY``).
    i : In(stream of {first, count})
        Parts of the list; accepted when the last part is out. ``count`` 0 is allowed.
    o : Out(stream of CREDIT_ENTRY)
        Credits.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        super().__init__({
            "config": In(ConfigBus(machine)),
            "i": In(stream.Signature(data.StructLayout({
                "first": ceil_log2(machine.core.credit_list_words) or 1,
                "count": struct(STAGE_ENTRY)["credit_count"].shape}))),
            "o": Out(stream.Signature(struct(CREDIT_ENTRY))),
        })

    def elaborate(self, platform):
        m = Module()

        depth = self.machine.core.credit_list_words
        m.submodules.entries = entries = memory.Memory(
            shape=struct(CREDIT_ENTRY).size, depth=depth, init=[])
        write, read = entries.write_port(), entries.read_port()
        m.d.comb += [
            write.addr.eq(self.config.address), write.data.eq(self.config.data),
            write.en.eq(self.config.valid & (self.config.unit == Unit.CREDIT_LIST))]

        index = Signal(ceil_log2(depth) or 1)
        left = Signal.like(self.i.p.count)
        m.d.comb += read.en.eq(0)
        m.d.comb += read.addr.eq(index)
        m.d.comb += self.o.payload.eq(read.data)

        with m.FSM():
            with m.State("accept"):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += index.eq(self.i.p.first)
                m.d.sync += left.eq(self.i.p.count)
                with m.If(self.i.valid & (self.i.p.count != 0)):
                    m.next = "fetch"
            with m.State("fetch"):
                m.d.comb += read.en.eq(1)
                m.d.sync += index.eq(index + 1)
                m.d.sync += left.eq(left - 1)
                m.next = "send"
            with m.State("send"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    with m.If(left == 0):
                        m.next = "accept"
                    with m.Else():
                        m.next = "fetch"

        return m
