"""The receiving side of a core's network port: packets become writes, counts and requests."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO, SyncFIFOBuffered
from amaranth.lib.wiring import In, Out, connect, flipped

from ouroboros.hw.core.credits import credit_signature
from ouroboros.hw.core.egress import request_layout
from ouroboros.hw.core.packet_parser import PacketParser, carries_payload
from ouroboros.hw.core.slots import arrived_signature, found_signature, lookup_signature
from ouroboros.hw.lib.bus import BufferWrite, ConfigBus
from ouroboros.hw.lib.struct import struct
from ouroboros.hw.noc.link import Link, flit_layout
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import DATA_HEADER, HEADER_BITS, Kind

__all__ = ["Ingress"]

LOOKUPS = 4
"""Lookups on the way or answered but not yet used; hides an answer time of up to 3 cycles."""


class Ingress(wiring.Component):
    """Takes packets from the router and drains every one of them.

    Flits go through one queue, in the order of their arrival and whatever their virtual channel,
    and each channel has its own parse state. So a packet whose flits come slowly, or never, holds
    up no other channel. The head of the queue waits for one thing only, the answer to the lookup
    of a DATA header, and the controller owes that answer within a few cycles. Lookups start when a
    header enters the queue, so that the answer is usually there in time: one flit is consumed per
    cycle. A credit goes back for each flit consumed.

    ``PacketParser`` says what packets do and which are refused; a refused one is drained like any
    other.

    Parameters
    ----------
    machine : Machine
        Network, buffer and entry sizes.

    Members
    -------
    link : In(Link(machine.noc))
        From the router.
    lookup : Out(lookup_signature())
        One for each DATA packet of legal length; several may be open.
    found : In(found_signature(machine))
        Answers in the order of the lookups, at least one cycle after each was accepted.
    write : Out(BufferWrite(machine))
        Payload, one flit at a time.
    arrived : Out(arrived_signature(machine))
        Comes in the cycle of the packet's last ``write``.
    credit : Out(credit_signature())
        A credit came back.
    config : Out(ConfigBus(machine))
        Configuration entries.
    request : Out(stream(request_layout(), always_ready))
        A READ for the egress.
    busy : In(1)
        The egress is working on a request.
    error : Out(1)
        Something was refused; one cycle each.
    flits : Out(1)
        One flit was consumed; one cycle each.
    active : Out(1)
        Flits or lookups are queued.

    Raises
    ------
    ValueError
        If an entry does not fit the longest packet.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        super().__init__({
            "link":    In(Link(machine.noc)),
            "lookup":  Out(lookup_signature()),
            "found":   In(found_signature(machine)),
            "write":   Out(BufferWrite(machine)),
            "arrived": Out(arrived_signature(machine)),
            "credit":  Out(credit_signature()),
            "config":  Out(ConfigBus(machine)),
            "request": Out(stream.Signature(request_layout(), always_ready=True)),
            "busy":    In(1),
            "error":   Out(1),
            "flits":   Out(1),
            "active":  Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        noc = self.machine.noc
        queued = data.StructLayout({"flit": flit_layout(noc), "asked": 1})
        found = self.found.p.shape()
        depth = noc.channels * noc.vc_depth
        m.submodules.queue = queue = SyncFIFOBuffered(width=queued.size, depth=depth)
        m.submodules.questions = questions = SyncFIFO(width=self.lookup.p.shape().size, depth=depth)
        m.submodules.answers = answers = SyncFIFO(width=found.size, depth=LOOKUPS)
        m.submodules.parser = parser = PacketParser(self.machine)
        self._arrive(m, queued, queue, questions)
        self._ask(m, questions, answers)

        head = queued(queue.r_data)
        answer = found(answers.r_data)
        take = Signal()
        m.d.comb += [
            take.eq(queue.r_rdy & (~head.asked | answers.r_rdy)),
            queue.r_en.eq(take),
            answers.r_en.eq(take & head.asked),
            parser.i.valid.eq(take),
            parser.i.p.flit.eq(head.flit),
            parser.i.p.place.eq(answer),
            parser.i.p.place.ok.eq(head.asked & answer.ok),
            parser.busy.eq(self.busy),
            self.error.eq(parser.error),
            self.active.eq((queue.level != 0) | questions.r_rdy | answers.r_rdy),
        ]
        for name in ("write", "arrived", "credit", "config", "request"):
            connect(m, getattr(parser, name), flipped(getattr(self, name)))
        m.d.sync += [self.flits.eq(take), self.link.credit.eq(0)]
        with m.If(take):
            m.d.sync += self.link.credit.eq(1 << head.flit.vc)

        return m

    def _arrive(self, m, queued, queue, questions):
        """Queue each flit, and the lookup of each sound DATA header."""
        flit = self.link.flit
        header = struct(DATA_HEADER)(flit.data[:HEADER_BITS])
        asks = Signal()
        entering = queued(queue.w_data)
        m.d.comb += queue.w_en.eq(self.link.valid)
        with m.If(self.link.valid):
            m.d.comb += [
                asks.eq(flit.head & (header.kind == Kind.DATA) & carries_payload(header)),
                entering.flit.eq(flit),
                entering.asked.eq(asks),
                questions.w_en.eq(asks),
                questions.w_data.eq(Cat(header.stage, header.sequence, header.position)),
            ]

    def _ask(self, m, questions, answers):
        """Send lookups, never more than there is room for answers."""
        room = Signal(range(LOOKUPS + 1), init=LOOKUPS)
        ask = self.lookup.valid & self.lookup.ready
        m.d.comb += [
            self.lookup.valid.eq(questions.r_rdy & (room != 0)),
            self.lookup.p.eq(questions.r_data),
            questions.r_en.eq(ask),
            answers.w_en.eq(self.found.valid),
            answers.w_data.eq(self.found.p),
        ]
        with m.If(ask ^ answers.r_en):
            m.d.sync += room.eq(Mux(ask, room - 1, room + 1))
