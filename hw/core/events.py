"""Event counters and token trace of a core, and the port through which the host reads them."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ouroboros.hw.lib.bus import ConfigBus
from ouroboros.hw.lib.cycles import cycle_count
from ouroboros.hw.lib.library import Library
from ouroboros.hw.params.counters import COUNTER_BITS, STAGE_STATES, Counter, stage_counter
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import ROUTE_BITS, TRACE_ENTRY, Unit
from ouroboros.hw.params.widths import (
    ENTRY_BITS,
    FLAG_BITS,
    POSITION_BITS,
    SEQUENCE_BITS,
    STAGE_BITS,
    UNIT_BITS,
)

__all__ = ["EventRead", "EventSignature", "Events", "trace_layout"]

READ_BITS = 128
"""Width of a value on its way to a REPLY packet."""
TIME_BITS = 32
"""Width of the cycle numbers in the trace."""

SIMPLE = {
    "groups_active": Counter.ARRAY_GROUP_CYCLES,
    "row_writes":    Counter.ROW_WRITES,
    "byte_writes":   Counter.BYTE_WRITES,
    "kv_operation":  Counter.KV_OPERATIONS,
    "kv_full":       Counter.KV_FULL,
    "sfu_elements":  Counter.SFU_ELEMENTS,
    "flits_in":      Counter.FLITS_IN,
    "flits_out":     Counter.FLITS_OUT,
    "hops_data":     Counter.FLIT_HOPS_DATA,
    "hops_control":  Counter.FLIT_HOPS_CONTROL,
    "errors":        Counter.ERRORS,
    "array_busy":    Counter.ARRAY_BUSY_CYCLES,
    "sfu_busy":      Counter.SFU_BUSY_CYCLES,
    "send_busy":     Counter.SEND_BUSY_CYCLES,
}
"""Counter that each field of ``EventSignature`` adds to; ``stage_*`` come on top."""


def trace_layout() -> data.StructLayout:
    """One finished token, as the controller reports it; ``start`` is a value of ``Events.now``."""
    return data.StructLayout({
        "stage": STAGE_BITS, "sequence": SEQUENCE_BITS, "position": POSITION_BITS,
        "flags": FLAG_BITS, "start": TIME_BITS})


class EventSignature(wiring.Signature):
    """What happened in one cycle, seen from the units: each field is added to its counter."""

    def __init__(self, machine: Machine):
        stages = machine.core.stages
        super().__init__({
            "groups_active": Out(range(machine.core.macros + 1)),
            "row_writes":    Out(1),
            "byte_writes":   Out(range(machine.cim.active_rows + 1)),
            "kv_operation":  Out(1),
            "kv_full":       Out(1),
            "sfu_elements":  Out(range(machine.core.lanes + 1)),
            "flits_in":      Out(1),
            "flits_out":     Out(1),
            "hops_data":     Out(range(5)),
            "hops_control":  Out(range(5)),
            "errors":        Out(range(4)),
            "array_busy":    Out(1),
            "sfu_busy":      Out(1),
            "send_busy":     Out(1),
            **{f"stage_{state}": Out(stages) for state in STAGE_STATES},
        })


class EventRead(wiring.Signature):
    """Read port seen from the reader: ``data`` comes one cycle after ``en`` and then stays."""

    def __init__(self):
        super().__init__({"en": Out(1), "unit": Out(UNIT_BITS), "address": Out(ENTRY_BITS),
                          "data": In(READ_BITS)})


class Events(wiring.Component):
    """48-bit event counters and a ring of the last ``trace_words`` finished tokens.

    ``Unit.COUNTER`` reads the counters of ``hw.params.counters``; addresses without one read 0.
    ``Unit.TRACE`` reads the ring: address n < trace_words is entry n (``TRACE_ENTRY``; 0 if it was
    not written since the last clear), address trace_words the number of tokens since the last
    clear, so the next token goes to entry ``number % trace_words``. ``Unit.ROUTER`` address 0 reads
    ``drop_header``. Anything else reads 0.
    A write to ``Unit.CONTROL`` address 0 clears counters and trace, what happens in that cycle
    included; ``now`` runs on.

    Parameters
    ----------
    machine : Machine
        Stages, trace size and widths of the events.
    library : Library, optional
        Where the count of cycles is taken from, if it holds ``hw.lib.cycles.CYCLE_COUNT``.

    Members
    -------
    count : In(EventSignature(machine))
        Events of this cycle.
    trace : In(stream(trace_layout(), always_ready))
        Finished tokens; ``end`` is the value of ``now`` in the cycle they come.
    config : In(ConfigBus(machine))
        Configuration writes.
    read : In(EventRead())
        Readout.
    kv_blocks : In
        ``Counter.KV_BLOCKS`` reads it, in the cycle of the read.
    drop_header : In(64)
        Of the router's latest dropped packet.
    now : Out(32)
        Cycles since reset.
    """

    def __init__(self, machine: Machine, library: Library | None = None):
        self.machine, self.library = machine, library
        super().__init__({
            "count":  In(EventSignature(machine)),
            "trace":  In(stream.Signature(trace_layout(), always_ready=True)),
            "config": In(ConfigBus(machine)),
            "read":   In(EventRead()),
            "kv_blocks": In(range(machine.kv.pages + 1)),
            "drop_header": In(ROUTE_BITS),
            "now":    Out(TIME_BITS),
        })

    def elaborate(self, platform):
        m = Module()

        time = cycle_count(m, self.library, COUNTER_BITS)
        cleared = Signal(COUNTER_BITS)
        clear = Signal()
        m.d.comb += [
            self.now.eq(time),
            clear.eq(self.config.valid & (self.config.unit == Unit.CONTROL)
                     & (self.config.address == 0)),
        ]
        with m.If(clear):
            m.d.sync += cleared.eq(time + 1)

        counters = {}
        for index, amount in self._increments():
            counters[index] = total = Signal(COUNTER_BITS, name=f"counter_{index}")
            with m.If(amount != 0):
                m.d.sync += total.eq(total + amount)
            with m.If(clear):
                m.d.sync += total.eq(0)

        value = Signal(ROUTE_BITS)
        from_ring = Signal()
        entry, tokens, written = self._ring(m, clear)
        with m.If(self.read.en):
            m.d.sync += [
                value.eq(0),
                from_ring.eq((self.read.unit == Unit.TRACE) & written),
            ]
            with m.If(self.read.unit == Unit.COUNTER):
                with m.Switch(self.read.address):
                    with m.Case(Counter.CYCLES):
                        m.d.sync += value.eq(time - cleared)
                    with m.Case(Counter.KV_BLOCKS):
                        m.d.sync += value.eq(self.kv_blocks)
                    for index, total in counters.items():
                        with m.Case(index):
                            m.d.sync += value.eq(total)
            with m.Elif((self.read.unit == Unit.TRACE)
                        & (self.read.address == self.machine.core.trace_words)):
                m.d.sync += value.eq(tokens)
            with m.Elif((self.read.unit == Unit.ROUTER) & (self.read.address == 0)):
                m.d.sync += value.eq(self.drop_header)
        m.d.comb += self.read.data.eq(Mux(from_ring, entry, value))

        return m

    def _increments(self):
        """Counter index and amount of this cycle, for every counter but CYCLES."""
        for name, index in SIMPLE.items():
            yield int(index), getattr(self.count, name)
        for state in STAGE_STATES:
            bits = getattr(self.count, f"stage_{state}")
            for stage in range(self.machine.core.stages):
                yield stage_counter(stage, state), bits[stage]

    def _ring(self, m, clear):
        """Trace memory: the entry read last, the tokens written, whether ``read`` hits one."""
        words = self.machine.core.trace_words
        fields = [field for field in TRACE_ENTRY.fields if field.name != "spare"]
        token = {**{name: self.trace.p[name] for name, _ in trace_layout()}, "end": self.now}
        m.submodules.ring = ring = Memory(shape=sum(field.bits for field in fields), depth=words,
                                          init=[])
        tokens = Signal(COUNTER_BITS)
        full = Signal()
        put, get = ring.write_port(), ring.read_port()
        m.d.comb += [
            put.addr.eq(tokens),
            put.data.eq(Cat(token[field.name] for field in fields)),
            put.en.eq(self.trace.valid),
            get.addr.eq(self.read.address),
            get.en.eq(self.read.en),
        ]
        with m.If(self.trace.valid):
            m.d.sync += tokens.eq(tokens + 1)
            with m.If(tokens[:ceil_log2(words)] == words - 1):
                m.d.sync += full.eq(1)
        with m.If(clear):
            m.d.sync += [tokens.eq(0), full.eq(0)]
        written = (self.read.address < words) & (full | (self.read.address < tokens))
        return get.data, tokens, written
