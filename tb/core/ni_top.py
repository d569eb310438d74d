"""A core without its controller and units: everything between its network port and its buffer."""

from amaranth import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ouroboros.hw.core.buffer import Buffer
from ouroboros.hw.core.egress import Egress, credit_layout
from ouroboros.hw.core.events import Events
from ouroboros.hw.core.ingress import Ingress
from ouroboros.hw.core.send import SendUnit
from ouroboros.hw.core.slots import arrived_signature, found_signature, lookup_signature
from ouroboros.hw.lib.bus import ConfigBus, done_signature, issue_signature
from ouroboros.hw.lib.library import Library
from ouroboros.hw.noc.link import Link
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.widths import COORDINATE_BITS

__all__ = ["NetworkInterface", "ni_sources"]


class NetworkInterface(wiring.Component):
    """Ingress, buffer, send unit, egress and events, connected as in a core.

    Members are those of the blocks; ``give`` are the credits to be sent, ``credit`` those that came
    back, ``config`` a view of the configuration bus.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        super().__init__({
            "link_in":  In(Link(machine.noc)),
            "link_out": Out(Link(machine.noc)),
            "lookup":   Out(lookup_signature()),
            "found":    In(found_signature(machine)),
            "arrived":  Out(arrived_signature(machine)),
            "credit":   Out(stream.Signature(5, always_ready=True)),
            "config":   Out(ConfigBus(machine)),
            "error":    Out(1),
            "issue":    In(issue_signature(machine)),
            "done":     Out(done_signature(machine)),
            "give":     In(stream.Signature(credit_layout())),
            "x":        In(COORDINATE_BITS),
            "y":        In(COORDINATE_BITS),
        })

    def elaborate(self, platform):
        m = Module()

        m.submodules.ingress = ingress = Ingress(self.machine)
        m.submodules.buffer = buffer = Buffer(self.machine)
        m.submodules.send = send = SendUnit(self.machine)
        m.submodules.egress = egress = Egress(self.machine)
        m.submodules.events = events = Events(self.machine)

        connect(m, flipped(self.link_in), ingress.link)
        connect(m, ingress.lookup, flipped(self.lookup))
        connect(m, flipped(self.found), ingress.found)
        connect(m, ingress.arrived, flipped(self.arrived))
        connect(m, ingress.config, send.config)
        connect(m, ingress.write, buffer.ingress)
        connect(m, ingress.request, egress.request)
        connect(m, flipped(self.issue), send.issue)
        connect(m, send.done, flipped(self.done))
        connect(m, send.read, buffer.send)
        connect(m, send.packet, egress.packet)
        connect(m, flipped(self.give), egress.credit)
        connect(m, egress.events, events.read)
        connect(m, egress.link, flipped(self.link_out))
        for name in ("valid", "unit", "address", "data"):
            m.d.comb += [
                getattr(self.config, name).eq(getattr(ingress.config, name)),
                getattr(events.config, name).eq(getattr(ingress.config, name)),
            ]
        m.d.comb += [
            self.credit.valid.eq(ingress.credit.valid),
            self.credit.p.eq(ingress.credit.p.counter),
            self.error.eq(ingress.error),
            ingress.busy.eq(egress.busy),
            events.count.flits_in.eq(ingress.flits),
            events.count.flits_out.eq(egress.flits),
            events.count.errors.eq(ingress.error),
        ]
        for block in (send, egress):
            m.d.comb += [block.x.eq(self.x), block.y.eq(self.y)]

        return m


def ni_sources(machine: Machine) -> dict[str, str]:
    """Verilog of module ``network_interface``."""
    library = Library()
    library.define("network_interface", lambda: NetworkInterface(machine), params=machine)
    return library.sources()
