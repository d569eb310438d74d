"""``ouroboros speed mesh``: a mesh of routers with traffic in RTL, and what it carries."""

import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from ouroboros.hw.lib.library import Library
from ouroboros.hw.mesh.mesh import connected_ports, mesh_links
from ouroboros.hw.noc.link import Link
from ouroboros.hw.noc.route import route_layout
from ouroboros.hw.noc.router import Router
from ouroboros.hw.params.noc import NocParams
from ouroboros.hw.params.packet import Port
from ouroboros.hw.params.widths import COORDINATE_BITS
from ouroboros.sw.api.speed import Speed
from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.cli.speed import show_speeds
from ouroboros.sw.lib.options import Options, option
from ouroboros.tb.flow.build import build, run

__all__ = ["MeshSpeed", "SpeedTop", "Traffic", "measure", "mesh"]

PAYLOAD_FLITS = 4


class Traffic(wiring.Component):
    """Packets of five flits to uniformly random cores, on channel 0; takes whatever comes.

    Members
    -------
    x, y : In(COORDINATE_BITS)
        Own coordinates; they seed the random numbers.
    load : In(8)
        A packet starts in ``load / 256`` of the cycles in which none is being sent.
    link_out : Out(Link(noc))
        To the router.
    link_in : In(Link(noc))
        From the router; credits go back at once.
    """

    def __init__(self, noc: NocParams, width: int, height: int):
        self.noc, self.width, self.height = noc, width, height
        super().__init__({"x": In(COORDINATE_BITS), "y": In(COORDINATE_BITS), "load": In(8),
                          "link_out": Out(Link(noc)), "link_in": In(Link(noc))})

    def elaborate(self, platform):
        m = Module()

        credits = Signal(range(self.noc.vc_depth + 1), init=self.noc.vc_depth)
        rest = Signal(range(PAYLOAD_FLITS + 1))
        noise = Signal(32)
        link, flit = self.link_out, self.link_out.flit
        header = Signal(route_layout())
        start = (rest == 0) & (noise[:8] < self.load)
        send = (credits != 0) & (start | (rest != 0))

        with m.If(self.load != 0):
            m.d.sync += noise.eq(Mux(noise == 0, Cat(self.x, self.y, Const(0x2545, 16)),
                                     Cat(noise[31] ^ noise[21] ^ noise[1] ^ noise[0], noise)))
        m.d.comb += [
            header.eq(0),
            header.dst_x.eq(1 + ((noise[8:16] * self.width) >> 8)),
            header.dst_y.eq(1 + ((noise[16:24] * self.height) >> 8)),
            header.length.eq(PAYLOAD_FLITS),
        ]
        m.d.sync += link.valid.eq(send)
        with m.If(send):
            m.d.sync += [
                flit.data.eq(Mux(rest == 0, header, noise)),
                flit.head.eq(rest == 0),
                flit.tail.eq(rest == 1),
                rest.eq(Mux(rest == 0, PAYLOAD_FLITS, rest - 1)),
            ]
        with m.If(send & ~link.credit[0]):
            m.d.sync += credits.eq(credits - 1)
        with m.If(link.credit[0] & ~send):
            m.d.sync += credits.eq(credits + 1)
        m.d.sync += self.link_in.credit[0].eq(self.link_in.valid)

        return m


class SpeedTop(wiring.Component):
    """Routers, each with a ``Traffic`` at LOCAL; counts the flits on mesh links."""

    def __init__(self, noc: NocParams, width: int, height: int, library: Library):
        self.noc, self.width, self.height, self.library = noc, width, height, library
        super().__init__({"load": In(8), "hops": Out(48), "received": Out(48)})

    def elaborate(self, platform):
        m = Module()

        size = self.width, self.height
        places = [(x, y) for y in range(1, size[1] + 1) for x in range(1, size[0] + 1)]
        routers, traffic = {}, {}
        for n, (x, y) in enumerate(places):
            m.submodules[f"router{n}"] = router = routers[x, y] = self.library.instance(
                "router", lambda: Router(self.noc), params=self.noc)
            m.submodules[f"traffic{n}"] = node = traffic[x, y] = self.library.instance(
                "traffic", lambda: Traffic(self.noc, *size), params=(self.noc, size))
            connect(m, node.link_out, router.inputs[Port.LOCAL])
            connect(m, router.outputs[Port.LOCAL], node.link_in)
            m.d.comb += [
                node.x.eq(x), node.y.eq(y), node.load.eq(self.load),
                router.x.eq(x), router.y.eq(y),
                router.mesh_width.eq(size[0]), router.mesh_height.eq(size[1]),
                router.connected.eq(connected_ports((x, y), dict.fromkeys(places))),
            ]
        mesh_links(m, routers, {})
        m.d.sync += self.hops.eq(self.hops + sum(r.hops.data for r in routers.values()))
        m.d.sync += self.received.eq(
            self.received + sum(r.outputs[Port.LOCAL].valid for r in routers.values()))

        return m


@dataclass(frozen=True, kw_only=True)
class MeshSpeed(Options):
    """A mesh under Verilator."""

    width: int = option(7, metavar="N", least=1, most=126)
    """Routers per row."""
    height: int = option(6, metavar="N", least=1, most=126)
    """Rows."""
    flit_bits: int = option(128, metavar="N")
    """Width of a flit, a multiple of 128."""


def measure(options: MeshSpeed) -> tuple[Speed, ...]:
    """Cycles at several loads, and the flits received and sent on at each."""
    width, height = options.width, options.height
    noc = NocParams(flit_bits=options.flit_bits)
    library = Library()
    library.define("mesh_speed", lambda: SpeedTop(noc, width, height, library),
                   params=(noc, width, height))
    started = time.perf_counter()
    built = build("mesh_speed", library.sources(), sim="verilator", hier_blocks=["router"])
    build_s = time.perf_counter() - started
    with tempfile.NamedTemporaryFile() as result:
        run(built, test_module="ouroboros.tb.noc.bench_mesh_speed",
            env={"NODES": str(width * height), "SPEED_RESULT": result.name})
        return tuple(Speed(
            what=f"{width} x {height} routers, load {load}/256", unit="cycles",
            per_processor_s=cycles_per_s, build_s=build_s,
            more={"received_flits_per_node_and_cycle": received,
                  "flit_hops_per_node_and_cycle": hops})
            for load, cycles_per_s, received, hops in json.loads(Path(result.name).read_text()))


@command(MeshSpeed)
def mesh(options: MeshSpeed, output: Output) -> dict[str, Any]:
    """Measure cycles per second of a mesh of routers at several loads."""
    return show_speeds(measure(options), output)
