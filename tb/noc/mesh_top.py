"""Mesh of bare routers with a stream port at every core and edge place, for benches."""

from amaranth import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect

from ouroboros.hw.lib.library import Library
from ouroboros.hw.mesh.mesh import connected_ports, mesh_links
from ouroboros.hw.noc.link import flit_layout
from ouroboros.hw.noc.port import HostPort
from ouroboros.hw.noc.router import Router, config_signature
from ouroboros.hw.params.noc import NocParams

__all__ = ["MeshTop", "build_mesh", "edge_ports"]


def edge_ports(width: int, height: int) -> list[tuple[int, int]]:
    """One edge port per side, none in the middle of it: enough to see every kind of exit."""
    return [(0, 1), (width + 1, height), (width, 0), (1, height + 1)]


class MeshTop(wiring.Component):
    """Routers of a ``width`` x ``height`` mesh; every router's LOCAL and some edges are streams.

    Wide ports, so that a bench touches few signals in a cycle: bit or slice n belongs to place n;
    cores come first, row by row, then ``edge_ports``.

    Members
    -------
    i_valid, i_ready, o_valid, o_ready : n bits
        Handshakes of all places.
    i_payload, o_payload : n flits
        Their flits.
    config_at : In(16)
        Core whose label table ``config`` writes.
    config : In(config_signature())
        Write to a label table.
    hops_data, hops_control : Out(16)
        Flits on all mesh links in this cycle.
    dropped : Out(16)
        Routers that report a drop in this cycle.
    """

    def __init__(self, noc: NocParams, width: int, height: int, library: Library):
        self.noc, self.width, self.height, self.library = noc, width, height, library
        self.cores = [(x, y) for y in range(1, height + 1) for x in range(1, width + 1)]
        self.places = [*self.cores, *edge_ports(width, height)]
        count, bits = len(self.places), flit_layout(noc).size
        super().__init__({
            "i_valid": In(count), "i_ready": Out(count), "i_payload": In(count * bits),
            "o_valid": Out(count), "o_ready": In(count), "o_payload": Out(count * bits),
            "config_at": In(16), "config": In(config_signature()),
            "hops_data": Out(16), "hops_control": Out(16), "dropped": Out(16),
        })

    def elaborate(self, platform):
        m = Module()

        shape = flit_layout(self.noc)
        ports = {}
        for n, place in enumerate(self.places):
            m.submodules[f"port{n}"] = port = ports[place] = self.library.instance(
                "host_port", lambda: HostPort(self.noc), params=self.noc)
            streams = stream.Signature(shape)
            i, o = streams.create(path=(f"i{n}",)), streams.flip().create(path=(f"o{n}",))
            m.d.comb += [
                i.valid.eq(self.i_valid[n]), self.i_ready[n].eq(i.ready),
                i.payload.eq(shape(self.i_payload.word_select(n, shape.size))),
                self.o_valid[n].eq(o.valid), o.ready.eq(self.o_ready[n]),
                self.o_payload.word_select(n, shape.size).eq(o.payload),
            ]
            connect(m, i, port.i)
            connect(m, port.o, o)

        routers = {}
        for n, (x, y) in enumerate(self.cores):
            m.submodules[f"router{n}"] = router = routers[x, y] = self.library.instance(
                "router", lambda: Router(self.noc), params=self.noc)
            connect(m, ports[x, y].link_out, router.inputs[4])
            connect(m, router.outputs[4], ports[x, y].link_in)
            m.d.comb += [
                router.x.eq(x), router.y.eq(y),
                router.mesh_width.eq(self.width), router.mesh_height.eq(self.height),
                router.connected.eq(connected_ports((x, y), ports)),
                router.config.valid.eq(self.config.valid & (self.config_at == n)),
                router.config.address.eq(self.config.address),
                router.config.table.eq(self.config.table),
                router.config.data.eq(self.config.data),
            ]
        mesh_links(m, routers, {place: (ports[place].link_out, ports[place].link_in)
                                for place in self.places[len(self.cores):]})

        m.d.comb += self.hops_data.eq(sum(r.hops.data for r in routers.values()))
        m.d.comb += self.hops_control.eq(sum(r.hops.control for r in routers.values()))
        m.d.comb += self.dropped.eq(sum(r.dropped for r in routers.values()))

        return m


def build_mesh(noc: NocParams, width: int, height: int) -> dict[str, str]:
    """Sources of module ``mesh``."""
    library = Library()
    library.define("mesh", lambda: MeshTop(noc, width, height, library),
                   params=(noc, width, height))
    return library.sources()
