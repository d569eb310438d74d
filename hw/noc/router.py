"""Router of the mesh: five ports, virtual channels, three route classes, multicast by labels."""

from enum import IntEnum

from amaranth import Cat, Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ouroboros.hw.noc.input import Input
from ouroboros.hw.noc.link import Link
from ouroboros.hw.noc.output import Output
from ouroboros.hw.noc.route import Place, route_layout
from ouroboros.hw.params.noc import DIE_CORES_MAX, DIES_MAX, NocParams
from ouroboros.hw.params.packet import ROUTE_BITS, Port
from ouroboros.hw.params.widths import COORDINATE_BITS, DIE_CORE_BITS, TURN_BITS

__all__ = ["PACKETS_AHEAD_MAX", "Router", "RouterTable", "config_signature"]

PACKETS_AHEAD_MAX = 25
"""Packets that may overtake a waiting one where inputs have two channels (docs/network.md)."""
DROPS_MAX = 63
"""Drops that can wait to be reported; more at once are lost from the count."""


class RouterTable(IntEnum):
    """What a router can be told."""

    LABELS = 0
    """Ports of a multicast label; entry 0 is never used."""
    DEAD = 1
    """Address 0: ports that are not to be used; none after a reset."""
    DIES = 2
    """``Turn`` by die."""
    CORES = 3
    """``Turn`` by core of the router's own die."""


def config_signature() -> wiring.Signature:
    """Write port of a router's tables, seen from the writer; ``table`` is a ``RouterTable``."""
    return wiring.Signature({"valid": Out(1), "table": Out(2), "address": Out(DIE_CORE_BITS),
                             "data": Out(len(Port))})


class Router(wiring.Component):
    """Moves packets between five ports.

    A flit on an input in cycle t is on the output in cycle t + 2 if nothing is in its way, and a
    link carries a flit every cycle. Unicast packets are wormholes: one credit per flit, the
    output's virtual channel theirs from head to tail. A multicast packet (label > 0) is copied to
    the ports of its label's entry; a copy starts only when the credits for the whole packet are
    there, and those that can start leave together. ``Route`` says which channels a packet may use.
    Packets of one virtual channel never mix, those of different ones share a link flit by flit,
    in turn.

    No packet starves: one at the front of its channel waits while so many others at most get a
    channel of its output that it could use. With two virtual channels, whose packets have one port
    each, these are ``PACKETS_AHEAD_MAX``; more channels have larger bounds (docs/network.md).

    Wrong packets (no head, length over 8, label past the table, empty entry, a destination that
    does not exist, a port that is dead or not connected) are taken in and forgotten, as far as
    they are wrong.

    Parameters
    ----------
    noc : NocParams
        The network.

    Members
    -------
    x, y, mesh_width, mesh_height : In(COORDINATE_BITS)
        Coordinates of the router and extent of the mesh; static.
    connected : In(5)
        Ports with a neighbour, bit order ``Port``; static.
    inputs : In(Link(noc)).array(5)
        Receiving ends, by ``Port``.
    outputs : Out(Link(noc)).array(5)
        Sending ends, by ``Port``.
    config : In(config_signature())
        Writes the tables.
    hops : Out(data: range(5), control: range(5))
        Flits on the four mesh outputs in this cycle: data channels, and the control channel.
    dropped : Out(1)
        High for one cycle for each packet that did not reach all its ports.
    drop_header : Out(route_layout())
        First 64 bits of the latest such packet; of stray flits, whatever stood there.
    active : Out(1)
        A register may change at the end of this cycle, so the clock must not stop.
    """

    def __init__(self, noc: NocParams):
        self.noc = noc
        super().__init__({
            **{name: In(COORDINATE_BITS) for name in ("x", "y", "mesh_width", "mesh_height")},
            "connected": In(len(Port)),
            "inputs": In(Link(noc)).array(len(Port)),
            "outputs": Out(Link(noc)).array(len(Port)),
            "config": In(config_signature()),
            "hops": Out(wiring.Signature({"data": Out(range(5)), "control": Out(range(5))})),
            "dropped": Out(1),
            "drop_header": Out(route_layout()),
            "active": Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        config, place = self.config, Place().create()
        dead = Signal(len(Port))
        with m.If(config.valid & (config.table == RouterTable.DEAD)):
            m.d.sync += dead.eq(config.data)
        for name in ("x", "y", "mesh_width", "mesh_height"):
            m.d.comb += getattr(place, name).eq(getattr(self, name))
        m.d.comb += place.connected.eq(self.connected & ~dead)
        tables = self._tables(m)

        inputs, outputs = [], []
        for port in Port:
            m.submodules[f"input_{port.name.lower()}"] = entrance = Input(self.noc)
            m.submodules[f"output_{port.name.lower()}"] = exit_ = Output(self.noc)
            connect(m, flipped(self.inputs[port]), entrance.link)
            connect(m, exit_.link, flipped(self.outputs[port]))
            for table, address, value in tables:
                read = table.read_port(domain="comb")
                m.d.comb += read.addr.eq(getattr(entrance.table, address))
                m.d.comb += getattr(entrance.table, value).eq(read.data)
            for name in place.signature.members:
                m.d.comb += getattr(entrance.place, name).eq(getattr(place, name))
            inputs.append(entrance)
            outputs.append(exit_)

        for i, entrance in enumerate(inputs):
            taken = 0
            for o, exit_ in enumerate(outputs):
                request = exit_.requests[i]
                for name in ("credited", "free", "available"):
                    m.d.comb += getattr(entrance.states[o], name).eq(getattr(exit_.state, name))
                for vc in range(self.noc.channels):
                    m.d.comb += entrance.states[o].credits[vc].eq(exit_.state.credits[vc])
                m.d.comb += request.p.eq(entrance.request.p)
                m.d.comb += request.p.ports.eq(entrance.request.p.ports & 1 << o)
                m.d.comb += request.data.eq(entrance.request.data)
                taken |= request.taken
                m.d.comb += entrance.got[o].eq(request.taken != 0)
            m.d.comb += entrance.request.taken.eq(taken)

        mesh = [self.outputs[port] for port in Port if port is not Port.LOCAL]
        control = self.noc.control_vc
        m.d.comb += self.hops.data.eq(sum(link.valid & (link.flit.vc != control) for link in mesh))
        m.d.comb += self.hops.control.eq(
            sum(link.valid & (link.flit.vc == control) for link in mesh))

        # Five inputs can drop at once; the core counts one per cycle.
        drops = Signal(range(DROPS_MAX + 1))
        news = sum(entrance.dropped for entrance in inputs)
        m.d.comb += self.dropped.eq(drops != 0)
        for entrance in inputs:
            with m.If(entrance.dropped):
                m.d.sync += self.drop_header.eq(entrance.link.flit.data[:ROUTE_BITS])
        with m.If((drops != 0) | (news != 0)):
            after = drops - self.dropped + news
            with m.If(after > DROPS_MAX):
                m.d.sync += drops.eq(DROPS_MAX)
            with m.Else():
                m.d.sync += drops.eq(after)

        m.d.comb += self.active.eq(
            config.valid | (drops != 0) | Cat(entrance.active for entrance in inputs).any()
            | Cat(link.valid | link.credit.any() for link in self.outputs).any())

        return m

    def _tables(self, m):
        """Memories, each with the names of its address and value in ``TableRead``."""
        config, tables = self.config, []
        for table, depth, bits, names in (
                (RouterTable.LABELS, self.noc.labels, len(Port), ("label", "ports")),
                (RouterTable.DIES, DIES_MAX, TURN_BITS, ("die", "die_turn")),
                (RouterTable.CORES, DIE_CORES_MAX, TURN_BITS, ("core", "core_turn"))):
            if table is RouterTable.LABELS or self.noc.class2_vcs:
                memory_ = m.submodules[table.name.lower()] = memory.Memory(
                    shape=bits, depth=depth, init=[])
                write = memory_.write_port()
                m.d.comb += [
                    write.en.eq(config.valid & (config.table == table)
                                & (config.address < depth)),
                    write.addr.eq(config.address),
                    write.data.eq(config.data),
                ]
                tables.append((memory_, *names))
        return tables
