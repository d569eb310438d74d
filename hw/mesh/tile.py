"""A tile of the mesh: a core and its router."""

from amaranth import DomainRenamer, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ouroboros.hw.core.core import Core
from ouroboros.hw.lib.gate import gated_domain
from ouroboros.hw.lib.library import Library
from ouroboros.hw.mesh.fault_gate import FaultGate
from ouroboros.hw.noc.link import Link
from ouroboros.hw.noc.router import Router, RouterTable
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import FAULT_ADDRESS, MESH_PORTS, Port, Unit
from ouroboros.hw.params.widths import COORDINATE_BITS

__all__ = ["Tile"]

STATIC = ("x", "y", "mesh_width", "mesh_height", "connected")
"""What a router is told of its place: registers of its own clock, which runs in reset."""
ROUTER_UNITS = {Unit.LABEL: RouterTable.LABELS, Unit.ROUTER: RouterTable.DEAD,
                Unit.DIES: RouterTable.DIES, Unit.CORES: RouterTable.CORES}


class Tile(wiring.Component):
    """What is repeated over a die; every tile is the same module and gets its place as inputs.

    The clock of the router stops while nothing in it moves.

    Parameters
    ----------
    machine : Machine
        Sizes.
    library : Library
        Where core and router are emitted.

    Members
    -------
    inputs, outputs : arrays of 4 of Link, by ``Port``
        To the four neighbours.
    x, y, mesh_width, mesh_height : In(COORDINATE_BITS)
        Coordinates and extent, static.
    connected : In(5)
        Ports with a neighbour, bit by ``Port``, static.
    """

    def __init__(self, machine: Machine, library: Library):
        self.machine, self.library = machine, library
        super().__init__({
            "inputs":  In(Link(machine.noc)).array(len(MESH_PORTS)),
            "outputs": Out(Link(machine.noc)).array(len(MESH_PORTS)),
            **{name: In(COORDINATE_BITS) for name in ("x", "y", "mesh_width", "mesh_height")},
            "connected": In(len(Port)),
        })

    def elaborate(self, platform):
        m = Module()

        machine, library = self.machine, self.library
        router = library.instance("router", lambda: Router(machine.noc), params=machine.noc)
        m.submodules.router = DomainRenamer("moving")(router)
        gated_domain(m, library, "moving", router.active, own_reset=True)
        m.submodules.core = core = library.instance(
            "core", lambda: Core(machine, library), params=machine)

        inputs, outputs = router.inputs, router.outputs
        dropped = router.dropped
        if machine.noc.faults or machine.noc.parity:
            m.submodules.gate = gate = FaultGate(machine.noc)
            for port in Port:
                connect(m, gate.inner_in[port], router.inputs[port])
                connect(m, router.outputs[port], gate.inner_out[port])
            inputs, outputs = gate.outer_in, gate.outer_out
            dropped |= gate.refused
            m.d.comb += [
                gate.write.eq(core.config.valid & (core.config.unit == Unit.CONTROL)
                              & (core.config.address == FAULT_ADDRESS)),
                gate.data.eq(core.config.data)]
        for port in MESH_PORTS:
            connect(m, flipped(self.inputs[port]), inputs[port])
            connect(m, outputs[port], flipped(self.outputs[port]))
        is_router, table = Signal(), Signal(2)
        with m.Switch(core.config.unit):
            for unit, kind in ROUTER_UNITS.items():
                with m.Case(unit):
                    m.d.comb += [is_router.eq(1), table.eq(kind)]
        connect(m, core.link_out, inputs[Port.LOCAL])
        connect(m, outputs[Port.LOCAL], core.link_in)
        for name in STATIC:
            place = Signal.like(getattr(self, name), name=f"{name}_moving", reset_less=True)
            m.d.moving += place.eq(getattr(self, name))
            m.d.comb += getattr(router, name).eq(place)
        m.d.comb += [
            core.x.eq(self.x), core.y.eq(self.y),
            router.config.valid.eq(core.config.valid & is_router),
            router.config.table.eq(table),
            router.config.address.eq(core.config.address),
            router.config.data.eq(core.config.data),
            core.hops_data.eq(router.hops.data), core.hops_control.eq(router.hops.control),
            core.dropped.eq(dropped), core.drop_header.eq(router.drop_header)]

        return m
