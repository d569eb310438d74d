"""Carries out the packets that reach a core."""

from amaranth import Array, Cat, Module, Signal
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import ceil_log2

from ouroboros.hw.core.credits import credit_signature
from ouroboros.hw.core.egress import request_layout
from ouroboros.hw.core.entry_writer import EntryWriter
from ouroboros.hw.core.slots import arrived_signature, found_signature
from ouroboros.hw.lib.bus import BufferWrite, ConfigBus
from ouroboros.hw.lib.struct import struct
from ouroboros.hw.noc.link import flit_layout
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.noc import PAYLOAD_FLITS_MAX
from ouroboros.hw.params.packet import CONFIG_HEADER, CREDIT_HEADER, DATA_HEADER, HEADER_BITS, Kind
from ouroboros.hw.params.widths import WORD_ADDRESS_BITS

__all__ = ["PacketParser", "carries_payload", "placed_flit_layout"]


def placed_flit_layout(machine: Machine) -> data.StructLayout:
    """A flit; if it is the header of a DATA packet, ``place`` is where the payload goes."""
    return data.StructLayout({"flit": flit_layout(machine.noc),
                              "place": found_signature(machine).members["payload"].shape})


def carries_payload(header):
    """Whether the length of a header is one that DATA and WRITE packets may have."""
    return (header.length != 0) & (header.length <= PAYLOAD_FLITS_MAX)


class _Action(enum.Enum, shape=2):
    """What happens to the payload of a virtual channel's open packet; NONE if there is none."""

    NONE = 0
    STORE = 1
    CONFIGURE = 2
    DROP = 3


class PacketParser(wiring.Component):
    """Carries out one flit per cycle; its effects come in the next cycle.

    Each virtual channel has its own state, so packets of different channels may be mixed.

    ====== ==================================================== ================================
    kind   effect                                               refused: dropped, one ``error``
    ====== ==================================================== ================================
    DATA   payload flit i goes to flit ``base * flits_per_word  length 0 or over 8; place not ok
           + offset + i`` of the buffer; the last one with
           ``arrived``
    CREDIT ``credit``                                           with payload
    WRITE  each complete entry goes to ``config``               length 0 or over 8; a WRITE is
                                                                open on another channel
    READ   ``request``                                          with payload; count 0; one is
                                                                pending
    others                                                      always
    ====== ==================================================== ================================

    A packet ends with its ``tail`` flit. If that is too early or too late for its length, or inside
    an entry, ``error`` pulses once: what was complete is written, ``arrived`` does not come, the
    rest is dropped. Payload without a header is dropped with one ``error``.

    Parameters
    ----------
    machine : Machine
        Network, buffer and entry sizes.

    Members
    -------
    i : In(stream(placed_flit_layout(machine), always_ready))
        Flits.
    write : Out(BufferWrite(machine))
        Payload, one flit at a time.
    arrived : Out(arrived_signature(machine))
        Comes in the cycle of the packet's last ``write``.
    credit : Out(credit_signature())
        A credit came back.
    config : Out(ConfigBus(machine))
        Configuration entries; see ``EntryWriter``.
    request : Out(stream(request_layout(), always_ready))
        A READ for the egress.
    busy : In(1)
        The egress has a request; it may come up one cycle after ``request``.
    error : Out(1)
        Something was refused; one cycle each.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        super().__init__({
            "i": In(stream.Signature(placed_flit_layout(machine), always_ready=True)),
            "write":   Out(BufferWrite(machine)),
            "arrived": Out(arrived_signature(machine)),
            "credit":  Out(credit_signature()),
            "config":  Out(ConfigBus(machine)),
            "request": Out(stream.Signature(request_layout(), always_ready=True)),
            "busy":    In(1),
            "error":   Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        flit = self.i.p.flit
        states = Array(Signal(data.StructLayout({
            "action":  _Action,
            "left":    range(PAYLOAD_FLITS_MAX + 1),    # payload flits still to come
            "arrived": self.arrived.p.shape(),
            "target":  WORD_ADDRESS_BITS + ceil_log2(self.machine.flits_per_word),   # in flits
        }), name=f"vc{n}") for n in range(self.machine.noc.channels))
        now = states[flit.vc]
        writer_free = ~Cat((state.action == _Action.CONFIGURE) & (flit.vc != n)
                           for n, state in enumerate(states)).any()
        m.submodules.writer = writer = EntryWriter(self.machine)
        connect(m, writer.config, flipped(self.config))

        # One flit goes to all parts of the word, the mask selects.
        piece = Signal(self.machine.noc.flit_bits)
        m.d.comb += self.write.data.eq(piece.replicate(self.machine.flits_per_word))
        m.d.sync += [
            self.write.en.eq(0),
            self.arrived.valid.eq(0),
            self.credit.valid.eq(0),
            self.request.valid.eq(0),
            self.error.eq(0),
        ]
        with m.If(self.i.valid):
            with m.If(flit.head):
                self._open(m, now, writer, writer_free)
            with m.Else():
                m.d.sync += now.left.eq(now.left - 1)
                with m.Switch(now.action):
                    with m.Case(_Action.NONE):
                        m.d.sync += [self.error.eq(1), now.action.eq(_Action.DROP)]
                    with m.Case(_Action.STORE, _Action.CONFIGURE):
                        with m.If(now.left == 0):
                            m.d.sync += [self.error.eq(1), now.action.eq(_Action.DROP)]
                        with m.Elif(now.action == _Action.STORE):
                            m.d.sync += piece.eq(flit.data)
                            self._store(m, now)
                        with m.Else():
                            m.d.comb += [writer.push.eq(1), writer.flit.eq(flit.data)]
                            with m.If(flit.tail):
                                m.d.sync += self.error.eq((now.left != 1) | ~writer.whole)
            with m.If(flit.tail):
                m.d.sync += now.action.eq(_Action.NONE)

        return m

    def _open(self, m, now, writer, writer_free):
        """Begin a packet."""
        flit, place = self.i.p.flit, self.i.p.place
        bits = flit.data[:HEADER_BITS]
        header, config, credit = (struct(fmt)(bits)
                                  for fmt in (DATA_HEADER, CONFIG_HEADER, CREDIT_HEADER))
        alone = (header.length == 0) & flit.tail

        m.d.sync += [now.left.eq(header.length), now.action.eq(_Action.DROP), self.error.eq(1)]
        with m.Switch(header.kind):
            with m.Case(Kind.DATA):
                m.d.sync += [
                    now.arrived.slot.eq(place.slot),
                    now.arrived.operand.eq(header.operand),
                    now.arrived.flags.eq(header.flags),
                    now.target.eq((place.base << ceil_log2(self.machine.flits_per_word))
                                  + header.offset),
                ]
                with m.If(carries_payload(header) & place.ok):
                    m.d.sync += [now.action.eq(_Action.STORE), self.error.eq(flit.tail)]
            with m.Case(Kind.CREDIT):
                with m.If(alone):
                    m.d.sync += [
                        self.credit.valid.eq(1),
                        self.credit.p.counter.eq(credit.counter),
                        self.error.eq(0),
                    ]
            with m.Case(Kind.WRITE):
                with m.If(carries_payload(header) & writer_free):
                    m.d.comb += [
                        writer.open.eq(1),
                        writer.unit.eq(config.unit),
                        writer.address.eq(config.address),
                    ]
                    m.d.sync += [now.action.eq(_Action.CONFIGURE), self.error.eq(flit.tail)]
            with m.Case(Kind.READ):
                with m.If(alone & (config.count != 0) & ~self.busy & ~self.request.valid):
                    m.d.sync += [
                        self.request.valid.eq(1),
                        self.request.p.unit.eq(config.unit),
                        self.request.p.address.eq(config.address),
                        self.request.p.count.eq(config.count),
                        self.request.p.x.eq(config.src_x),
                        self.request.p.y.eq(config.src_y),
                        self.request.p.way_x.eq(config.back_x),
                        self.request.p.way_y.eq(config.back_y),
                        self.request.p.table.eq(config.back_table),
                        self.error.eq(0),
                    ]
        with m.If(now.action != _Action.NONE):
            m.d.sync += self.error.eq(1)    # the packet before had no tail

    def _store(self, m, now):
        """Write one payload flit of a DATA packet to the buffer."""
        parts = self.machine.flits_per_word
        m.d.sync += [
            self.write.en.eq(1),
            self.write.addr.eq(now.target >> ceil_log2(parts)),
            self.write.mask.eq(1 << now.target[:ceil_log2(parts)]),
            now.target.eq(now.target + 1),
        ]
        with m.If(self.i.p.flit.tail):
            m.d.sync += [
                self.arrived.valid.eq(now.left == 1),
                self.arrived.p.eq(now.arrived),
                self.error.eq(now.left != 1),
            ]
