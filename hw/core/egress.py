"""The sending side of a core's network port: data, credits and replies share one link."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ouroboros.hw.core.events import EventRead
from ouroboros.hw.lib.struct import struct
from ouroboros.hw.noc.link import Link, flit_layout
from ouroboros.hw.noc.sending_end import SendingEnd
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import CONFIG_HEADER, CREDIT_ENTRY, CREDIT_HEADER, HEADER_BITS, Kind
from ouroboros.hw.params.widths import COORDINATE_BITS, ENTRY_BITS, UNIT_BITS

__all__ = ["Egress", "credit_layout", "request_layout"]


def credit_layout() -> data.StructLayout:
    """A token credit for counter ``counter`` of core (x, y), and the way there."""
    return struct(CREDIT_ENTRY)


def request_layout() -> data.StructLayout:
    """A READ of ``count`` entries from ``address``, sent by (x, y), and the way back."""
    return data.StructLayout({
        "unit": UNIT_BITS, "address": ENTRY_BITS, "count": struct(CONFIG_HEADER)["count"].shape,
        **dict.fromkeys(("x", "y", "way_x", "way_y"), COORDINATE_BITS), "table": 1})


class _Control(wiring.Component):
    """Builds CREDIT packets and answers a READ, one flit after the other.

    Members
    -------
    credit : In(stream(credit_layout()))
        Credits to send; they go between the packets of a reply, not into one.
    request : In(stream(request_layout(), always_ready))
        A READ to answer; ignored while ``busy``.
    events : Out(EventRead())
        Where the values come from.
    busy : Out(1)
        A request has entries to come.
    flit : Out(stream({data, head, tail, vc}))
        Flits, at most two in three cycles for a READ, one in each cycle for credits.
    x, y : In(COORDINATE_BITS)
        The core's coordinates.
    """

    def __init__(self, machine: Machine):
        self.noc = machine.noc
        super().__init__({
            "credit":  In(stream.Signature(credit_layout())),
            "request": In(stream.Signature(request_layout(), always_ready=True)),
            "events":  Out(EventRead()),
            "busy":    Out(1),
            "flit":    Out(stream.Signature(
                data.StructLayout({"data": HEADER_BITS, "head": 1, "tail": 1,
                                   "vc": ceil_log2(machine.noc.channels)}))),
            "x":       In(COORDINATE_BITS),
            "y":       In(COORDINATE_BITS),
        })

    def elaborate(self, platform):
        m = Module()

        request = Signal(request_layout())
        payload = Signal()      # a reply's header is out, its payload must come next
        fetched = Signal()      # the value of the next reply is there
        free = Signal()

        m.d.comb += [
            free.eq(~self.flit.valid | self.flit.ready),
            self.credit.ready.eq(free & ~payload),
            self.busy.eq(request.count != 0),
        ]
        with m.If(self.flit.ready):
            m.d.sync += self.flit.valid.eq(0)
        with m.If(self.request.valid & ~self.busy):
            m.d.sync += request.eq(self.request.p)
        with m.If(self.busy & ~fetched):
            m.d.comb += [
                self.events.en.eq(1),
                self.events.unit.eq(request.unit),
                self.events.address.eq(request.address),
            ]
            m.d.sync += fetched.eq(1)
        with m.If(free):
            with m.If(payload):
                m.d.sync += [
                    self.flit.valid.eq(1),
                    self.flit.p.data.eq(self.events.data),
                    self.flit.p.head.eq(0),
                    self.flit.p.tail.eq(1),
                    payload.eq(0),
                    fetched.eq(0),
                    request.count.eq(request.count - 1),
                    request.address.eq(request.address + 1),
                ]
            with m.Elif(self.credit.valid):
                self._credit(m)
            with m.Elif(fetched):
                self._reply(m, request)
                m.d.sync += payload.eq(1)

        return m

    def _credit(self, m):
        header = Signal(struct(CREDIT_HEADER))
        self._header(m, header, Kind.CREDIT, self.credit.p)
        m.d.comb += header.counter.eq(self.credit.p.counter)

    def _reply(self, m, request):
        header = Signal(struct(CONFIG_HEADER))
        self._header(m, header, Kind.REPLY, request)
        m.d.comb += [
            header.length.eq(1),
            header.unit.eq(request.unit),
            header.address.eq(request.address),
        ]

    def _header(self, m, header, kind, to):
        vc = Mux(to.table, self.noc.transit_vc, self.noc.control_vc) if self.noc.class2_vcs \
            else self.noc.control_vc
        m.d.comb += [
            header.eq(0),   # bits that nothing drives would be X in the Verilog
            header.dst_x.eq(to.x),
            header.dst_y.eq(to.y),
            header.src_x.eq(self.x),
            header.src_y.eq(self.y),
            header.kind.eq(kind),
            header.vc.eq(vc),
            header.way_x.eq(to.way_x),
            header.way_y.eq(to.way_y),
            header.ordered.eq(1),
        ]
        m.d.sync += [
            self.flit.valid.eq(1),
            self.flit.p.data.eq(header),
            self.flit.p.head.eq(1),
            self.flit.p.tail.eq(kind == Kind.CREDIT),
            self.flit.p.vc.eq(vc),
        ]


class Egress(wiring.Component):
    """Merges data packets, credits and replies into the link to the router.

    Data packets go out on the virtual channel of their flits, CREDIT and REPLY packets on the
    control channel, or on class 2 if that is their way. Packets of one channel never mix; those of
    different channels may, flit by flit. A flit
    leaves only with a credit of its channel, so a data packet that waits for credits on a channel
    holds up neither credits nor replies. When both sides can send they take turns. One flit leaves
    in each cycle in which there is one that may; it is on the link one cycle after ``packet`` took
    it.

    A READ of n entries is answered by n REPLY packets of one payload flit, the 128-bit value of the
    entry; ``count`` is 0 in their headers.

    Parameters
    ----------
    machine : Machine
        Network parameters.

    Members
    -------
    packet : In(stream(flit_layout(machine.noc)))
        Flits of whole data packets, one packet after the other.
    credit : In(stream(credit_layout()))
        Token credits to send.
    request : In(stream(request_layout(), always_ready))
        READ to answer; must not come while ``busy`` or in the cycle after another one.
    events : Out(EventRead())
        Read port of the counters and the trace.
    link : Out(Link(machine.noc))
        To the router.
    busy : Out(1)
        A request is being answered.
    flits : Out(1)
        One flit was sent; one cycle each.
    active : Out(1)
        A flit, a credit or an entry of a reply is to be sent or on the link.
    x, y : In(COORDINATE_BITS)
        The core's coordinates.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        super().__init__({
            "packet":  In(stream.Signature(flit_layout(machine.noc))),
            "credit":  In(stream.Signature(credit_layout())),
            "request": In(stream.Signature(request_layout(), always_ready=True)),
            "events":  Out(EventRead()),
            "link":    Out(Link(machine.noc)),
            "busy":    Out(1),
            "flits":   Out(1),
            "active":  Out(1),
            "x":       In(COORDINATE_BITS),
            "y":       In(COORDINATE_BITS),
        })

    def elaborate(self, platform):
        m = Module()

        noc = self.machine.noc
        packet = self.packet
        m.submodules.end = end = SendingEnd(noc)
        wiring.connect(m, end.link, wiring.flipped(self.link))
        m.submodules.control = control = _Control(self.machine)
        for name in ("credit", "request", "events"):
            wiring.connect(m, wiring.flipped(getattr(self, name)), getattr(control, name))
        m.d.comb += [
            control.x.eq(self.x),
            control.y.eq(self.y),
            self.busy.eq(control.busy),
            self.flits.eq(self.link.valid),
            self.active.eq(packet.valid | self.credit.valid | control.flit.valid | control.busy
                           | self.link.valid),
        ]

        # A packet that has begun on a channel keeps the other side off it.
        open_packet = data.StructLayout({"some": 1, "vc": ceil_log2(noc.channels)})
        data_open, control_open = Signal(open_packet), Signal(open_packet)
        sent = control.flit.p
        data_may, control_may, turn = Signal(), Signal(), Signal()
        m.d.comb += [
            data_may.eq(packet.valid & end.credited.bit_select(packet.p.vc, 1)
                        & ~(control_open.some & (control_open.vc == packet.p.vc))),
            control_may.eq(control.flit.valid & end.credited.bit_select(sent.vc, 1)
                           & ~(data_open.some & (data_open.vc == sent.vc))),
            control.flit.ready.eq(control_may & ~(data_may & turn)),
            packet.ready.eq(data_may & ~control.flit.ready),
        ]

        m.d.comb += [end.sent.eq(data_may | control_may), end.flit.eq(packet.p)]
        with m.If(packet.ready):
            m.d.sync += [turn.eq(0), data_open.some.eq(~packet.p.tail),
                         data_open.vc.eq(packet.p.vc)]
        with m.If(control.flit.ready):
            m.d.comb += [
                end.flit.data.eq(sent.data),
                end.flit.vc.eq(sent.vc),
                end.flit.head.eq(sent.head),
                end.flit.tail.eq(sent.tail),
            ]
            m.d.sync += [turn.eq(1), control_open.some.eq(~sent.tail),
                         control_open.vc.eq(sent.vc)]

        return m
