"""A machine of one die: the mesh of tiles with the host's edge ports; composition only."""

from collections.abc import Collection

from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.lib.library import Library, flat_ports
from ouroboros.hw.mesh.structure import LinkEnd, Structure
from ouroboros.hw.mesh.tiles import Outside, Place, define_tile, place_tiles
from ouroboros.hw.noc.link import flit_layout
from ouroboros.hw.noc.port import HostPort
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.position import Position
from ouroboros.hw.params.widths import COORDINATE_BITS

__all__ = ["Die", "coordinate", "host_signature", "place_hosts"]


class Die(wiring.Component):
    """``mesh.width`` x ``mesh.height`` tiles and the machine's host ports.

    Parameters
    ----------
    machine : Machine
        Sizes.
    library : Library
        Where each distinct module is emitted once.
    dead : Collection[Position]
        Tiles that are left out; their neighbours are told that nothing is there.

    Members
    -------
    host_i : In(stream(flit_layout(noc)))
        Flits from the host.
    host_o : Out(stream(flit_layout(noc)))
        Flits to the host.
    host1_i, host1_o ..
        Of further host ports (``mesh.more_hosts``), in their order.
    """

    def __init__(self, machine: Machine, library: Library, dead: Collection[Position] = ()):
        self.machine, self.library, self.dead = machine, library, frozenset(dead)
        super().__init__(host_signature(machine))

    def verilog(self, name: str) -> str:
        """Text of the module; ``Library.define`` asks for it."""
        machine, mesh = self.machine, self.machine.mesh
        define_tile(machine, self.library)
        structure = Structure(name, f"Machine {machine.name}: {mesh.width} x {mesh.height} tiles")
        structure.port("clk", In)
        structure.port("rst", In)
        tiles = [at for at in mesh.coordinates if at not in self.dead]
        hosts = place_hosts(structure, machine, self, self.library)

        def place(at: Position) -> Place:
            return Place(x=coordinate(at[0]), y=coordinate(at[1]), width=coordinate(mesh.width),
                         height=coordinate(mesh.height))

        place_tiles(structure, machine, tiles, place,
                    lambda at, port: hosts.get(port.beyond(at)))
        return structure.text()


def coordinate(value: int) -> str:
    """A constant x or y."""
    return f"{COORDINATE_BITS}'d{value}"


def host_signature(machine: Machine) -> dict[str, wiring.Member]:
    """Ports of a machine: two streams for each host."""
    flit = stream.Signature(flit_layout(machine.noc))
    return {f"host{n or ''}_{way}": member(flit) for n in range(len(machine.mesh.hosts))
            for way, member in (("i", In), ("o", Out))}


def place_hosts(structure: Structure, machine: Machine, top: wiring.Component,
                library: Library) -> dict[Position, Outside]:
    """Add the machine's ports and its host ports; the links of these, by place."""
    library.define("host_port", lambda: HostPort(machine.noc), params=machine.noc)
    for port, flow, value in flat_ports(top):
        structure.port(port, flow, len(value))
    found = {}
    for n, at in enumerate(machine.mesh.hosts):
        name = f"host{n or ''}"
        into, out = (LinkEnd.wires(structure, machine.noc, f"{name}_{way}")
                     for way in ("link_out", "link_in"))
        structure.place("host_port", f"{name}_port", {
            "clk": "clk", "rst": "rst",
            **{f"{way}__{port}": f"{name}_{way}__{port}" for way in ("i", "o")
               for port in ("payload", "valid", "ready")},
            **into.at("link_out"), **out.at("link_in")})
        found[at] = Outside("1'b1", leaving=out, entering=into)
    return found
