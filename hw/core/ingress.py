"""The receiving side of a core's network port: packets become writes, counts and requests."""

from amaranth import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.fifo import SyncFIFO, SyncFIFOBuffered
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.core.bus import ADDRESS_BITS, BufferWrite, ConfigBus
from hw.core.egress import request_layout
from hw.lib.struct import struct
from hw.noc.link import Link, flit_layout
from hw.params.machine import Machine
from hw.params.noc import PAYLOAD_FLITS_MAX
from hw.params.packet import CONFIG_HEADER, CREDIT_HEADER, DATA_HEADER, HEADER_BITS, Kind, Unit

__all__ = ["Ingress", "arrived_layout", "entry_flits", "found_layout", "lookup_layout"]

LOOKUPS = 4
"""Lookups on the way or answered but not yet used; hides an answer time of up to 3 cycles."""


def lookup_layout() -> data.StructLayout:
    """Question to the controller: where the data of a token goes."""
    return data.StructLayout({"stage": 4, "sequence": 16, "position": 20})


def found_layout(machine: Machine) -> data.StructLayout:
    """Answer to a lookup; without ``ok`` there is no such stage, or no free slot."""
    return data.StructLayout({"ok": 1, "slot": ceil_log2(machine.core.slots),
                              "base": ADDRESS_BITS})


def arrived_layout(machine: Machine) -> data.StructLayout:
    """One packet of an operand is complete in the buffer."""
    return data.StructLayout({"slot": ceil_log2(machine.core.slots), "operand": 2, "flags": 4})


def entry_flits(machine: Machine) -> dict[Unit, int]:
    """Flits of a configuration entry of the units whose entries may be wider than one.

    Raises
    ------
    ValueError
        If an entry does not fit the longest packet.
    """
    flits = {unit: -(-bits // machine.noc.flit_bits) for unit, bits in (
        (Unit.WEIGHT, 8 * machine.cim.outputs), (Unit.PARAM, 16 * machine.core.lanes))}
    for unit, count in flits.items():
        if count > PAYLOAD_FLITS_MAX:
            raise ValueError(f"entry of {unit.name} must be at most {PAYLOAD_FLITS_MAX} flits, "
                             f"not {count!r}")
    return flits


class _Action(enum.Enum, shape=2):
    """What happens to the payload of a virtual channel's open packet; NONE if there is none."""

    NONE = 0
    STORE = 1
    CONFIGURE = 2
    DROP = 3


class _EntryWriter(wiring.Component):
    """Assembles the flits of a WRITE packet into entries on the configuration bus.

    Members
    -------
    open : In(1)
        A packet begins, with its ``unit`` and ``address``.
    push : In(1)
        ``flit`` is its next payload.
    whole : Out(1)
        The flit pushed in this cycle completes an entry.
    config : Out(ConfigBus(machine))
        Entries, in the cycle after their last flit.
    """

    def __init__(self, machine: Machine):
        self.flit_bits = machine.noc.flit_bits
        self.flits = entry_flits(machine)
        super().__init__({
            "open":    In(1),
            "unit":    In(6),
            "address": In(24),
            "push":    In(1),
            "flit":    In(self.flit_bits),
            "whole":   Out(1),
            "config":  Out(ConfigBus(machine)),
        })

    def elaborate(self, platform):
        m = Module()

        part = Signal(range(PAYLOAD_FLITS_MAX))
        last = Signal.like(part)        # index of an entry's last flit
        address = Signal.like(self.address)

        m.d.comb += self.whole.eq(part == last)
        m.d.sync += self.config.valid.eq(0)
        with m.If(self.open):
            m.d.sync += [
                self.config.unit.eq(self.unit),
                address.eq(self.address),
                part.eq(0),
                last.eq(0),
            ]
            with m.If(self.unit >= Unit.WEIGHT):
                m.d.sync += last.eq(self.flits[Unit.WEIGHT] - 1)
            with m.Elif(self.unit == Unit.PARAM):
                m.d.sync += last.eq(self.flits[Unit.PARAM] - 1)
        with m.If(self.push):
            for n in range(max(self.flits.values())):
                with m.If(part == n):
                    piece = self.config.data[n * self.flit_bits:(n + 1) * self.flit_bits]
                    m.d.sync += piece.eq(self.flit)
            m.d.sync += part.eq(part + 1)
            with m.If(self.whole):
                m.d.sync += [
                    self.config.valid.eq(1),
                    self.config.address.eq(address),
                    address.eq(address + 1),
                    part.eq(0),
                ]

        return m


class Ingress(wiring.Component):
    """Takes packets from the router and drains every one of them.

    Flits go through one queue, in the order of their arrival and whatever their virtual channel,
    and each channel has its own parse state. So a packet whose flits come slowly, or never, holds
    up no other channel. The head of the queue waits for one thing only, the answer to the lookup
    of a DATA header, and the controller owes that answer within a few cycles. Lookups start when a
    header enters the queue, so that the answer is usually there in time: one flit is consumed per
    cycle. A credit goes back for each flit consumed.

    ===== ========================================================= ==============================
    kind  effect                                                    refused (dropped, ``error``)
    ===== ========================================================= ==============================
    DATA  payload flit i is written to flit address ``base *        length 0 or over 8; answer not
          flits_per_word + offset + i`` (modulo the 12-bit word     ok
          address); with the last one ``arrived``
    CREDIT ``credit``                                               with payload
    WRITE each complete entry goes out on ``config``                length 0 or over 8; a WRITE is
                                                                    open on another channel
    READ  ``request``                                               with payload; count 0; one is
                                                                    pending (``busy``)
    REPLY                                                           always; other kinds as well
    ===== ========================================================= ==============================

    A packet ends with its ``tail`` flit. ``error`` pulses once more if that is too early or too
    late for its length, or inside an entry: what was complete is written, ``arrived`` does not
    come, the rest is dropped. Payload without a header is dropped with one ``error``.

    An entry of ``WEIGHT + m`` takes as many flits as a row of ``outputs`` bytes needs, one of
    PARAM as many as ``lanes`` x 16 bits need, any other takes one. Bits of ``config.data`` above
    the entry are undefined.

    Parameters
    ----------
    machine : Machine
        Network, buffer and entry sizes.

    Members
    -------
    link : In(Link(machine.noc))
        From the router.
    lookup : Out(stream(lookup_layout()))
        One for each DATA packet of legal length; several may be open.
    found : In(stream(found_layout(machine), always_ready))
        Answers in the order of the lookups, at least one cycle after each was accepted.
    write : Out(BufferWrite(machine))
        Payload, one flit at a time.
    arrived : Out(stream(arrived_layout(machine), always_ready))
        Comes in the cycle of the packet's last ``write``.
    credit : Out(stream({counter: 5}, always_ready))
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

    Raises
    ------
    ValueError
        If an entry does not fit the longest packet.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        super().__init__({
            "link":    In(Link(machine.noc)),
            "lookup":  Out(stream.Signature(lookup_layout())),
            "found":   In(stream.Signature(found_layout(machine), always_ready=True)),
            "write":   Out(BufferWrite(machine)),
            "arrived": Out(stream.Signature(arrived_layout(machine), always_ready=True)),
            "credit":  Out(stream.Signature(data.StructLayout({"counter": 5}),
                                            always_ready=True)),
            "config":  Out(ConfigBus(machine)),
            "request": Out(stream.Signature(request_layout(), always_ready=True)),
            "busy":    In(1),
            "error":   Out(1),
            "flits":   Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        noc = self.machine.noc
        queued = data.StructLayout({"flit": flit_layout(noc), "asked": 1})
        depth = noc.vcs * noc.vc_depth
        m.submodules.queue = queue = SyncFIFOBuffered(width=queued.size, depth=depth)
        m.submodules.questions = questions = SyncFIFO(width=lookup_layout().size, depth=depth)
        m.submodules.answers = answers = SyncFIFO(width=found_layout(self.machine).size,
                                                  depth=LOOKUPS)
        m.submodules.writer = writer = _EntryWriter(self.machine)
        self._arrive(m, queued, queue, questions)
        self._ask(m, questions, answers)

        head = queued(queue.r_data)
        flit, answer = head.flit, found_layout(self.machine)(answers.r_data)
        take = Signal()
        m.d.comb += [
            take.eq(queue.r_rdy & (~head.asked | answers.r_rdy)),
            queue.r_en.eq(take),
            answers.r_en.eq(take & head.asked),
        ]
        wiring.connect(m, writer.config, wiring.flipped(self.config))
        m.d.sync += [
            self.flits.eq(take),
            self.link.credit.eq(0),
            self.write.en.eq(0),
            self.arrived.valid.eq(0),
            self.credit.valid.eq(0),
            self.request.valid.eq(0),
            self.error.eq(0),
        ]
        piece = Signal(noc.flit_bits)   # one flit goes to all parts of the word, ``mask`` selects
        m.d.comb += self.write.data.eq(piece.replicate(self.machine.flits_per_word))
        with m.If(take):
            m.d.sync += self.link.credit.eq(1 << flit.vc)
            self._consume(m, flit, head.asked & answer.ok, answer, writer, piece)

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
                asks.eq(flit.head & (header.kind == Kind.DATA) & _sound(header.length)),
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

    def _consume(self, m, flit, ok, answer, writer, piece):
        """Take one flit; ``ok`` and ``answer`` belong to a DATA header."""
        vcs = self.machine.noc.vcs
        states = Array(Signal(data.StructLayout({
            "action":  _Action,
            "left":    range(PAYLOAD_FLITS_MAX + 1),    # payload flits still to come
            "arrived": arrived_layout(self.machine),
        }), name=f"vc{n}") for n in range(vcs))
        places = Array(Signal(self._place_bits, name=f"place{n}") for n in range(vcs))
        now, place = states[flit.vc], places[flit.vc]
        writer_free = ~Cat((state.action == _Action.CONFIGURE) & (flit.vc != n)
                           for n, state in enumerate(states)).any()

        with m.If(flit.head):
            self._open(m, flit, now, place, ok, answer, writer, writer_free)
        with m.Else():
            m.d.sync += now.left.eq(now.left - 1)
            with m.Switch(now.action):
                with m.Case(_Action.NONE):
                    m.d.sync += [self.error.eq(1), now.action.eq(_Action.DROP)]
                with m.Case(_Action.STORE, _Action.CONFIGURE):
                    with m.If(now.left == 0):
                        m.d.sync += [self.error.eq(1), now.action.eq(_Action.DROP)]
                    with m.Elif(now.action == _Action.STORE):
                        self._store(m, flit, now, place, piece)
                    with m.Else():
                        m.d.comb += [writer.push.eq(1), writer.flit.eq(flit.data)]
                        with m.If(flit.tail):
                            m.d.sync += self.error.eq((now.left != 1) | ~writer.whole)
        with m.If(flit.tail):
            m.d.sync += now.action.eq(_Action.NONE)

    @property
    def _place_bits(self):
        return ADDRESS_BITS + ceil_log2(self.machine.flits_per_word)

    def _open(self, m, flit, now, place, ok, answer, writer, writer_free):
        """Begin a packet."""
        bits = flit.data[:HEADER_BITS]
        header, config, credit = (struct(fmt)(bits)
                                  for fmt in (DATA_HEADER, CONFIG_HEADER, CREDIT_HEADER))
        alone = (header.length == 0) & flit.tail

        m.d.sync += [now.left.eq(header.length), now.action.eq(_Action.DROP), self.error.eq(1)]
        with m.Switch(header.kind):
            with m.Case(Kind.DATA):
                m.d.sync += [
                    now.arrived.slot.eq(answer.slot),
                    now.arrived.operand.eq(header.operand),
                    now.arrived.flags.eq(header.flags),
                    place.eq((answer.base << ceil_log2(self.machine.flits_per_word))
                             + header.offset),
                ]
                with m.If(ok):
                    m.d.sync += [now.action.eq(_Action.STORE), self.error.eq(flit.tail)]
            with m.Case(Kind.CREDIT):
                with m.If(alone):
                    m.d.sync += [
                        self.credit.valid.eq(1),
                        self.credit.p.counter.eq(credit.counter),
                        self.error.eq(0),
                    ]
            with m.Case(Kind.WRITE):
                with m.If(_sound(header.length) & writer_free):
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
                        self.error.eq(0),
                    ]
        with m.If(now.action != _Action.NONE):
            m.d.sync += self.error.eq(1)    # the packet before had no tail

    def _store(self, m, flit, now, place, piece):
        """Write one payload flit of a DATA packet to the buffer."""
        parts = self.machine.flits_per_word
        m.d.sync += [
            piece.eq(flit.data),
            self.write.en.eq(1),
            self.write.addr.eq(place >> ceil_log2(parts)),
            self.write.mask.eq(1 << place[:ceil_log2(parts)]),
            place.eq(place + 1),
        ]
        with m.If(flit.tail):
            m.d.sync += [
                self.arrived.valid.eq(now.left == 1),
                self.arrived.p.eq(now.arrived),
                self.error.eq(now.left != 1),
            ]


def _sound(length):
    """Whether a packet that needs payload has a legal length."""
    return (length != 0) & (length <= PAYLOAD_FLITS_MAX)
