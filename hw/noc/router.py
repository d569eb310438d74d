"""Router of the mesh: five ports, virtual channels, XY unicast and label-switched multicast."""

from amaranth import Cat, Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.noc.input import Input
from hw.noc.link import Link
from hw.noc.output import Output
from hw.noc.route import Place
from hw.params.noc import NocParams
from hw.params.packet import Port

__all__ = ["PACKETS_AHEAD_MAX", "Router", "config_signature"]

PACKETS_AHEAD_MAX = 8
"""Packets that may overtake a waiting one: one of each other input, twice (README, Fairness)."""
DROPS_MAX = 63
"""Drops that can wait to be reported; more at once are lost from the count."""


def config_signature() -> wiring.Signature:
    """Write port of the label table, seen from the writer."""
    return wiring.Signature({"valid": Out(1), "address": Out(7), "ports": Out(len(Port))})


class Router(wiring.Component):
    """Moves packets between five ports.

    A flit on an input in cycle t is on the output in cycle t + 2 if nothing is in its way, and a
    link carries a flit every cycle. Unicast packets are wormholes: one credit per flit, the
    output's virtual channel theirs from head to tail. A multicast packet (label > 0) is copied to
    the ports of its label's entry; a copy starts only when the credits for the whole packet are
    there, and copies do not wait for each other. Packets keep their virtual channel; those of
    one virtual channel never mix, those of different ones share a link flit by flit, in turn.

    With two virtual channels nothing starves: a packet at the front of its input waits while at
    most ``PACKETS_AHEAD_MAX`` others go before it on its output and virtual channel.

    Wrong packets (no head, length over 8, label past the table, entry 0, a destination that does
    not exist, a port that is not connected) are taken in and forgotten, as far as they are wrong.

    Parameters
    ----------
    noc : NocParams
        The network.

    Members
    -------
    x, y, mesh_width, mesh_height : In(7)
        Coordinates of the router and extent of the mesh; static.
    connected : In(5)
        Ports with a neighbour, bit order ``Port``; static.
    inputs : In(Link(noc)).array(5)
        Receiving ends, by ``Port``.
    outputs : Out(Link(noc)).array(5)
        Sending ends, by ``Port``.
    config : In(config_signature())
        Writes a label's ports; entry 0 is never used.
    hops : Out(data: range(5), control: range(5))
        Flits on the four mesh outputs in this cycle: virtual channel 0, and the others.
    dropped : Out(1)
        High for one cycle for each packet that did not reach all its ports.
    """

    def __init__(self, noc: NocParams):
        self.noc = noc
        super().__init__({
            "x": In(7), "y": In(7), "mesh_width": In(7), "mesh_height": In(7),
            "connected": In(len(Port)),
            "inputs": In(Link(noc)).array(len(Port)),
            "outputs": Out(Link(noc)).array(len(Port)),
            "config": In(config_signature()),
            "hops": Out(wiring.Signature({"data": Out(range(5)), "control": Out(range(5))})),
            "dropped": Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        place = Place().create()
        for name in place.signature.members:
            m.d.comb += getattr(place, name).eq(getattr(self, name))

        m.submodules.labels = labels = memory.Memory(
            shape=len(Port), depth=self.noc.labels, init=[])
        write = labels.write_port()
        m.d.comb += [
            write.en.eq(self.config.valid & (self.config.address < self.noc.labels)),
            write.addr.eq(self.config.address),
            write.data.eq(self.config.ports),
        ]

        inputs, outputs = [], []
        for port in Port:
            m.submodules[f"input_{port.name.lower()}"] = entrance = Input(self.noc)
            m.submodules[f"output_{port.name.lower()}"] = exit_ = Output(self.noc)
            connect(m, flipped(self.inputs[port]), entrance.link)
            connect(m, exit_.link, flipped(self.outputs[port]))
            read = labels.read_port(domain="comb")
            m.d.comb += read.addr.eq(entrance.label)
            m.d.comb += entrance.entry.eq(read.data)
            for name in place.signature.members:
                m.d.comb += getattr(entrance.place, name).eq(getattr(place, name))
            inputs.append(entrance)
            outputs.append(exit_)

        for i, entrance in enumerate(inputs):
            for o, exit_ in enumerate(outputs):
                request = exit_.requests[i]
                for vc in range(self.noc.channels):
                    m.d.comb += entrance.states[o][vc].owned.eq(exit_.states[vc].owned)
                    m.d.comb += entrance.states[o][vc].credits.eq(exit_.states[vc].credits)
                m.d.comb += request.p.eq(entrance.request.p)
                m.d.comb += request.p.ports.eq(entrance.request.p.ports & 1 << o)
                m.d.comb += request.data.eq(entrance.request.data)
            m.d.comb += entrance.request.grant.eq(
                Cat(exit_.requests[i].grant for exit_ in outputs).any())

        mesh = [self.outputs[port] for port in Port if port is not Port.LOCAL]
        m.d.comb += self.hops.data.eq(sum(link.valid & (link.flit.vc == 0) for link in mesh))
        m.d.comb += self.hops.control.eq(sum(link.valid & (link.flit.vc != 0) for link in mesh))

        # Five inputs can drop at once; the core counts one per cycle.
        drops = Signal(range(DROPS_MAX + 1))
        news = sum(entrance.dropped for entrance in inputs)
        m.d.comb += self.dropped.eq(drops != 0)
        with m.If((drops != 0) | (news != 0)):
            after = drops - self.dropped + news
            with m.If(after > DROPS_MAX):
                m.d.sync += drops.eq(DROPS_MAX)
            with m.Else():
                m.d.sync += drops.eq(after)

        return m
