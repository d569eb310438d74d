"""What stands between a tile's links and its router, to hurt a link and to notice a hurt one."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.lib.struct import struct
from ouroboros.hw.noc.link import Link
from ouroboros.hw.params.noc import NocParams
from ouroboros.hw.params.packet import FAULT_ENTRY, MESH_PORTS, Port

__all__ = ["FaultGate"]


class FaultGate(wiring.Component):
    """Lets links through, as far as they work.

    Built only where ``noc.faults`` or ``noc.parity`` asks for it. Nothing is delayed.

    With ``faults``, a port that is ``stuck`` passes neither flits nor credits, in both directions;
    what is sent into it is gone. A port in ``flip`` sends every flit, or with ``once`` the next
    one alone, with data bit ``bit`` inverted. No reset heals them.

    With ``parity``, flits leave through the mesh ports with their parity. One that comes with the
    wrong parity is not let in, nor is anything that follows on that port until the next reset:
    half a packet, or a header that lies, must not get further. ``refused`` pulses.

    Parameters
    ----------
    noc : NocParams
        The network.

    Members
    -------
    outer_in, inner_in : In(Link), Out(Link), arrays of 5 by ``Port``
        From neighbours (LOCAL: from the core), and on to the router.
    inner_out, outer_out : In(Link), Out(Link), arrays of 5 by ``Port``
        From the router, and on to neighbours (LOCAL: to the core).
    write, data : In(1), In(FAULT_ENTRY)
        Replaces what is hurt.
    refused : Out(1)
        A flit with wrong parity came.
    """

    def __init__(self, noc: NocParams):
        self.noc = noc
        super().__init__({
            "outer_in":  In(Link(noc)).array(len(Port)),
            "inner_in":  Out(Link(noc)).array(len(Port)),
            "inner_out": In(Link(noc)).array(len(Port)),
            "outer_out": Out(Link(noc)).array(len(Port)),
            "write": In(1),
            "data": In(struct(FAULT_ENTRY)),
            "refused": Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        hurt = Signal(struct(FAULT_ENTRY), reset_less=True)
        if self.noc.faults:
            with m.If(self.write):
                m.d.sync += hurt.eq(self.data)
        refused = Signal(len(MESH_PORTS))
        m.d.comb += self.refused.eq(refused.any())
        for port in Port:
            works = ~hurt.stuck[port]
            outer_in, inner_in = self.outer_in[port], self.inner_in[port]
            inner_out, outer_out = self.inner_out[port], self.outer_out[port]
            enters = outer_in.valid & works
            if self.noc.parity and port in MESH_PORTS:
                wrong, lost = outer_in.flit.as_value().xor() != outer_in.parity, Signal(
                    name=f"lost_{port.name.lower()}")
                m.d.comb += refused[port].eq(enters & wrong & ~lost)
                with m.If(refused[port]):
                    m.d.sync += lost.eq(1)
                enters &= ~wrong & ~lost
            m.d.comb += [
                inner_in.valid.eq(enters), inner_in.flit.eq(outer_in.flit),
                outer_in.credit.eq(Mux(works, inner_in.credit, 0)),
                outer_out.valid.eq(inner_out.valid & works), outer_out.flit.eq(inner_out.flit),
                inner_out.credit.eq(Mux(works, outer_out.credit, 0)),
            ]
            if self.noc.parity:
                m.d.comb += outer_out.parity.eq(inner_out.flit.as_value().xor())
            if self.noc.faults and port in MESH_PORTS:
                flips = hurt.flip[port]
                m.d.comb += outer_out.flit.data.eq(
                    inner_out.flit.data ^ Cat(flips & (hurt.bit == n)
                                              for n in range(self.noc.flit_bits)))
                with m.If(flips & hurt.once & inner_out.valid & ~self.write):
                    m.d.sync += hurt.flip[port].eq(0)

        return m
