"""A core: network interface, controller, array, SFU and buffer."""

from amaranth import DomainRenamer, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ouroboros.hw.array.array import ArrayUnit
from ouroboros.hw.core.buffer import Buffer
from ouroboros.hw.core.controller import Controller
from ouroboros.hw.core.egress import Egress
from ouroboros.hw.core.events import Events
from ouroboros.hw.core.ingress import Ingress
from ouroboros.hw.core.preload import Preload
from ouroboros.hw.core.send import SendUnit
from ouroboros.hw.lib.bus import ConfigBus
from ouroboros.hw.lib.gate import gated_domain
from ouroboros.hw.lib.library import Library
from ouroboros.hw.noc.link import Link
from ouroboros.hw.params.counters import STAGE_STATES
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import ROUTE_BITS
from ouroboros.hw.params.widths import COORDINATE_BITS
from ouroboros.hw.sfu.sfu import Sfu

__all__ = ["Core"]

NAP_CYCLES = 3
"""Cycles that the clock goes on after the last activity. Pulses that it leaves behind in registers
last for one cycle; a test runs with one."""


class Core(wiring.Component):
    """Runs stage programs on the tokens that its packets bring; see ``docs/architecture.md``.

    Its clock stops while it has neither token nor packet (``NAP_CYCLES``), but for the counters'.

    Parameters
    ----------
    machine : Machine
        Sizes.
    library : Library
        Where the macro and clock gates are emitted, and a ``Preload`` if it holds one.

    Members
    -------
    link_in : In(Link)
        From the router's local output.
    link_out : Out(Link)
        To the router's local input.
    x, y : In(COORDINATE_BITS)
        Coordinates, static.
    config : Out(ConfigBus)
        Configuration writes, for the router's label table.
    hops_data, hops_control, dropped, drop_header : In
        Events of the router, for the counters and to be read.
    """

    def __init__(self, machine: Machine, library: Library):
        self.machine, self.library = machine, library
        super().__init__({
            "link_in":  In(Link(machine.noc)),
            "link_out": Out(Link(machine.noc)),
            "x": In(COORDINATE_BITS),
            "y": In(COORDINATE_BITS),
            "config":   Out(ConfigBus(machine)),
            "hops_data":    In(range(5)),
            "hops_control": In(range(5)),
            "dropped":      In(1),
            "drop_header":  In(ROUTE_BITS),
        })

    def elaborate(self, platform):
        m = Module()

        machine = self.machine
        ingress, egress, controller = Ingress(machine), Egress(machine), Controller(machine)
        array, sfu, send = ArrayUnit(machine, self.library), Sfu(machine), SendUnit(machine)
        buffer = Buffer(machine)
        for name, part in (("ingress", ingress), ("egress", egress), ("controller", controller),
                           ("array", array), ("sfu", sfu), ("send", send), ("buffer", buffer)):
            m.submodules[name] = DomainRenamer("awake")(part)
        # Counts cycles, asleep or not.
        m.submodules.events = events = Events(machine, self.library)
        config, loading = ingress.config, 0
        if (preload := Preload.place(m, machine, self.library)) is not None:
            connect(m, ingress.config, preload.i)
            m.d.comb += [preload.x.eq(self.x), preload.y.eq(self.y)]
            config, loading = preload.o, preload.awake
        self._sleep(m, ingress.active | egress.active | controller.active | array.active
                    | sfu.busy | loading)

        connect(m, flipped(self.link_in), ingress.link)
        connect(m, egress.link, flipped(self.link_out))
        for name in ("x", "y"):
            place = Signal.like(getattr(self, name), name=f"{name}_awake", reset_less=True)
            m.d.awake += place.eq(getattr(self, name))
            for part in (send, egress):
                m.d.comb += getattr(part, name).eq(place)

        for reader in (controller, array, sfu, send, events):
            connect(m, config, reader.config)
        connect(m, config, flipped(self.config))
        connect(m, ingress.lookup, controller.lookup)
        connect(m, controller.found, ingress.found)
        connect(m, ingress.arrived, controller.arrived)
        connect(m, ingress.credit, controller.credit)
        connect(m, ingress.request, egress.request)
        m.d.comb += ingress.busy.eq(egress.busy)
        connect(m, egress.events, events.read)
        connect(m, controller.credit_out, egress.credit)
        connect(m, send.packet, egress.packet)
        connect(m, controller.trace, events.trace)
        # Of its own clock, like coordinates and reset: a simulator computes what hangs on a clock
        # that never stops in every cycle. Stale in the first cycle awake, when no token moves yet.
        now = Signal.like(events.now, name="now_awake")
        m.d.awake += now.eq(events.now + 1)
        m.d.comb += controller.now.eq(now)

        for unit, name in ((array, "array"), (sfu, "sfu"), (send, "send")):
            connect(m, getattr(controller, f"issue_{name}"), unit.issue)
            connect(m, unit.done, getattr(controller, f"done_{name}"))
        connect(m, array.drain, sfu.drain)
        m.d.comb += array.released.eq(sfu.released)

        connect(m, ingress.write, buffer.ingress)
        connect(m, sfu.write, buffer.sfu)
        connect(m, array.read, buffer.array)
        connect(m, sfu.read_a, buffer.sfu_a)
        connect(m, sfu.read_b, buffer.sfu_b)
        connect(m, send.read, buffer.send)

        count = events.count
        m.d.comb += [
            getattr(count, name).eq(getattr(array.events, name))
            for name in ("groups_active", "row_writes", "byte_writes", "kv_operation", "kv_full")]
        m.d.comb += [
            count.sfu_elements.eq(sfu.elements),
            count.flits_in.eq(ingress.flits), count.flits_out.eq(egress.flits),
            count.hops_data.eq(self.hops_data), count.hops_control.eq(self.hops_control),
            count.errors.eq(ingress.error + self.dropped),
            count.array_busy.eq(array.events.busy), count.sfu_busy.eq(sfu.busy),
            count.send_busy.eq(send.issue.valid),
            events.kv_blocks.eq(array.kv_blocks), events.drop_header.eq(self.drop_header)]
        m.d.comb += [getattr(count, f"stage_{state}").eq(getattr(controller, f"stage_{state}"))
                     for state in STAGE_STATES]

        return m

    def _sleep(self, m, active):
        """Domain ``awake``, whose clock stops while the core has no token and no packet.

        What may not stand still is what others would see again and again: pulses to the router
        (credits, flits) and to the counters. All of them follow ``active`` within a few cycles.
        """
        nap = Signal(range(NAP_CYCLES + 1))
        with m.If(active):
            m.d.sync += nap.eq(NAP_CYCLES)
        with m.Elif(nap != 0):
            m.d.sync += nap.eq(nap - 1)
        gated_domain(m, self.library, "awake",
                     active | (nap != 0) | self.link_in.valid | self.link_out.credit.any(),
                     own_reset=True)
