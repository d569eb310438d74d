"""The send unit of a core: vectors of the buffer become DATA packets."""

from amaranth import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ouroboros.hw.lib.bus import (
    BufferRead,
    ConfigBus,
    done_signature,
    issue_layout,
    issue_signature,
)
from ouroboros.hw.lib.struct import struct
from ouroboros.hw.noc.link import flit_layout
from ouroboros.hw.params.isa import SEND
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.noc import PAYLOAD_FLITS_MAX
from ouroboros.hw.params.packet import DATA_HEADER, DEST_ENTRY, Kind, Unit
from ouroboros.hw.params.widths import COORDINATE_BITS, OFFSET_BITS, WORD_ADDRESS_BITS

__all__ = ["SendUnit"]


class SendUnit(wiring.Component):
    """Executes ``Op.SEND``: ``flits`` flits from word ``base + src`` go to a destination.

    Packets of ``PAYLOAD_FLITS_MAX`` payload flits, the last one shorter; packet i has offset
    ``dst + 8 * i``. Destination, route, label, stage and operand come from the entry
    ``dest`` of the table, sequence, position and flags from the token. With ``flits`` 0 nothing
    is sent. One flit leaves per cycle, header flits included, the first one cycle after the
    instruction was accepted; the next instruction is accepted with ``done``
    (``hw.params.timing.control.send_cycles``).
    ``acquire`` is the controller's business; it keeps its own copy
    of the table's credit masks. ``done`` comes when the last flit has been handed to the egress:
    the words may then be overwritten.

    Parameters
    ----------
    machine : Machine
        Sizes of table, words and flits.

    Members
    -------
    issue : In(issue_signature(machine))
        Instructions.
    done : Out(done_signature(machine))
        Completions, in order.
    read : Out(BufferRead(machine))
        Read port of the buffer.
    config : In(ConfigBus(machine))
        Writes to ``Unit.DEST``; addresses past the table are ignored.
    packet : Out(stream(flit_layout(machine.noc)))
        Flits of whole packets, one packet after the other.
    x, y : In(COORDINATE_BITS)
        The core's coordinates.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        super().__init__({
            "issue":  In(issue_signature(machine)),
            "done":   Out(done_signature(machine)),
            "read":   Out(BufferRead(machine)),
            "config": In(ConfigBus(machine)),
            "packet": Out(stream.Signature(flit_layout(machine.noc))),
            "x":      In(COORDINATE_BITS),
            "y":      In(COORDINATE_BITS),
        })

    def elaborate(self, platform):
        m = Module()

        token = Signal(issue_layout(self.machine))  # the instruction being executed
        left = Signal(struct(SEND)["flits"].shape)   # payload flits not yet sent
        inside = Signal(range(PAYLOAD_FLITS_MAX + 1))   # of these, flits of the open packet
        offset = Signal(OFFSET_BITS)
        part = Signal(ceil_log2(self.machine.flits_per_word))   # flit of the current word
        word = Signal(WORD_ADDRESS_BITS)    # word to fetch next
        fresh = Signal()            # no word fetched yet
        entry = self._table(m)
        flit = self.packet.p
        issued = Signal(struct(SEND))
        m.d.comb += issued.eq(self.issue.p.instruction)

        m.d.sync += self.done.valid.eq(0)
        length = Signal.like(inside)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.issue.ready.eq(1)
                with m.If(self.issue.valid):
                    m.d.sync += [
                        token.eq(self.issue.p),
                        left.eq(issued.flits),
                        offset.eq(issued.dst),
                        part.eq(0),
                        fresh.eq(1),
                        word.eq(self.issue.p.base + issued.src),
                        self.done.p.slot.eq(self.issue.p.slot),
                    ]
                    with m.If(issued.flits == 0):
                        m.d.sync += self.done.valid.eq(1)
                    with m.Else():
                        m.next = "HEADER"
            with m.State("HEADER"):
                self._header(m, token, entry, offset, left, length)
                # The first word is read while its header leaves.
                m.d.comb += [self.read.en.eq(fresh), self.read.addr.eq(word)]
                m.d.sync += [fresh.eq(0), word.eq(word + fresh), inside.eq(length)]
                with m.If(self.packet.ready):
                    m.next = "PAYLOAD"
            with m.State("PAYLOAD"):
                m.d.comb += [
                    self.packet.valid.eq(1),
                    flit.data.eq(self.read.data.word_select(part, self.machine.noc.flit_bits)),
                    flit.vc.eq(entry.vc),
                    flit.tail.eq(inside == 1),
                    self.read.addr.eq(word),
                ]
                with m.If(self.packet.ready):
                    m.d.sync += [
                        left.eq(left - 1),
                        inside.eq(inside - 1),
                        part.eq(part + 1),
                    ]
                    # The read port holds a word until the last of its flits has left.
                    with m.If(part == self.machine.flits_per_word - 1):
                        m.d.comb += self.read.en.eq(1)
                        m.d.sync += word.eq(word + 1)
                    with m.If(left == 1):
                        m.d.sync += self.done.valid.eq(1)
                        m.next = "IDLE"
                    with m.Elif(inside == 1):
                        m.d.sync += offset.eq(offset + PAYLOAD_FLITS_MAX)
                        m.next = "HEADER"

        return m

    def _table(self, m):
        """Destination table; the entry of the instruction accepted last."""
        dests = self.machine.core.dests
        m.submodules.table = table = Memory(shape=struct(DEST_ENTRY), depth=dests, init=[])
        put, get = table.write_port(), table.read_port()
        m.d.comb += [
            put.addr.eq(self.config.address),
            put.data.eq(self.config.data[:DEST_ENTRY.bits]),
            put.en.eq(self.config.valid & (self.config.unit == Unit.DEST)
                      & (self.config.address < dests)),
            get.addr.eq(struct(SEND)(self.issue.p.instruction).dest),
            get.en.eq(self.issue.valid & self.issue.ready),
        ]
        return get.data

    def _header(self, m, token, entry, offset, left, length):
        """Drive the header of the next packet."""
        header = Signal(struct(DATA_HEADER))
        flit = self.packet.p
        m.d.comb += [
            length.eq(Mux(left > PAYLOAD_FLITS_MAX, PAYLOAD_FLITS_MAX, left)),
            header.eq(0),   # bits that nothing drives would be X in the Verilog
            header.dst_x.eq(entry.x),
            header.dst_y.eq(entry.y),
            header.src_x.eq(self.x),
            header.src_y.eq(self.y),
            header.kind.eq(Kind.DATA),
            header.vc.eq(entry.vc),
            header.length.eq(length),
            header.label.eq(entry.label),
            header.ordered.eq(~entry.unordered),
            header.way_x.eq(entry.way_x),
            header.way_y.eq(entry.way_y),
            header.sequence.eq(token.sequence),
            header.position.eq(token.position),
            header.stage.eq(entry.stage),
            header.operand.eq(entry.operand),
            header.offset.eq(offset),
            header.flags.eq(token.flags),
            self.packet.valid.eq(1),
            flit.data.eq(header),
            flit.vc.eq(entry.vc),
            flit.head.eq(1),
        ]
