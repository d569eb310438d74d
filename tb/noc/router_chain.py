"""Routers in a row, to measure what one of them costs."""

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.mesh.mesh import connected_ports, mesh_links
from ouroboros.hw.noc.link import flit_layout
from ouroboros.hw.noc.router import Router
from ouroboros.hw.params.noc import NocParams
from ouroboros.hw.params.packet import Port

__all__ = ["RouterChain"]


class RouterChain(wiring.Component):
    """``length`` routers from west to east; packets enter in the west and leave to local outputs.

    Parameters
    ----------
    noc : NocParams
        The network.
    length : int
        Routers; the first has x = 1, all have y = 1.

    Members
    -------
    valid, flit : In
        Into the west port of the first router.
    out_valid, out_tail : Out(length)
        A flit, the last of a packet, is on the local output of each router.
    """

    def __init__(self, noc: NocParams, length: int):
        self.noc, self.length = noc, length
        super().__init__({"valid": In(1), "flit": In(flit_layout(noc)),
                          "out_valid": Out(length), "out_tail": Out(length)})

    def elaborate(self, platform):
        m = Module()

        routers = {(x, 1): Router(self.noc) for x in range(1, self.length + 1)}
        for n, ((x, y), router) in enumerate(routers.items()):
            m.submodules[f"router_{x}"] = router
            m.d.comb += [router.x.eq(x), router.y.eq(y), router.mesh_width.eq(self.length),
                         router.mesh_height.eq(1),
                         router.connected.eq(connected_ports((x, y), routers))]
            out = router.outputs[Port.LOCAL]
            m.d.comb += [self.out_valid[n].eq(out.valid), self.out_tail[n].eq(out.flit.tail)]
            # Whoever takes the flits gives their credits back at once.
            m.d.sync += out.credit.eq(out.valid << out.flit.vc)
        mesh_links(m, routers, {})
        first = routers[1, 1].inputs[Port.WEST]
        m.d.comb += [first.valid.eq(self.valid), first.flit.eq(self.flit)]

        return m
