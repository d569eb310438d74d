"""A core: network interface, controller, array, SFU and buffer."""

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.core.array import ArrayUnit
from hw.core.buffer import Buffer
from hw.core.bus import ConfigBus
from hw.core.controller import Controller
from hw.core.egress import Egress
from hw.core.events import Events
from hw.core.ingress import Ingress
from hw.core.send import SendUnit
from hw.core.sfu import Sfu
from hw.lib.once import Library
from hw.noc.link import Link
from hw.params.counters import STAGE_STATES
from hw.params.machine import Machine

__all__ = ["Core"]


class Core(wiring.Component):
    """Runs stage programs on the tokens that its packets bring; see ``hw/README.md``.

    Parameters
    ----------
    machine : Machine
        Sizes.
    library : Library
        Where the macro is emitted.

    Members
    -------
    link_in : In(Link)
        From the router's local output.
    link_out : Out(Link)
        To the router's local input.
    x, y : In(7)
        Coordinates, static.
    config : Out(ConfigBus)
        Configuration writes, for the router's label table.
    hops_data, hops_control, dropped : In
        Events of the router, for the counters.
    """

    def __init__(self, machine: Machine, library: Library):
        self.machine, self.library = machine, library
        super().__init__({
            "link_in":  In(Link(machine.noc)),
            "link_out": Out(Link(machine.noc)),
            "x": In(7),
            "y": In(7),
            "config":   Out(ConfigBus(machine)),
            "hops_data":    In(range(5)),
            "hops_control": In(range(5)),
            "dropped":      In(1),
        })

    def elaborate(self, platform):
        m = Module()

        machine = self.machine
        m.submodules.ingress = ingress = Ingress(machine)
        m.submodules.egress = egress = Egress(machine)
        m.submodules.controller = controller = Controller(machine)
        m.submodules.array = array = ArrayUnit(machine, self.library)
        m.submodules.sfu = sfu = Sfu(machine)
        m.submodules.send = send = SendUnit(machine)
        m.submodules.buffer = buffer = Buffer(machine)
        m.submodules.events = events = Events(machine)

        connect(m, flipped(self.link_in), ingress.link)
        connect(m, egress.link, flipped(self.link_out))
        for part in (send, egress):
            m.d.comb += [part.x.eq(self.x), part.y.eq(self.y)]

        for reader in (controller, array, sfu, send, events):
            connect(m, ingress.config, reader.config)
        connect(m, ingress.config, flipped(self.config))
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
        m.d.comb += controller.now.eq(events.now)

        for unit, name in ((array, "array"), (sfu, "sfu"), (send, "send")):
            connect(m, getattr(controller, f"issue_{name}"), unit.issue)
            connect(m, unit.done, getattr(controller, f"done_{name}"))
        connect(m, array.drain, sfu.drain)
        m.d.comb += array.release.eq(sfu.release)

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
            count.send_busy.eq(send.issue.valid)]
        m.d.comb += [getattr(count, f"stage_{state}").eq(getattr(controller, f"stage_{state}"))
                     for state in STAGE_STATES]

        return m
