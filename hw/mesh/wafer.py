"""A machine of several dies: one module ``die``, placed as the floorplan says, and die links."""

import math
from collections.abc import Collection

from amaranth.lib import wiring
from amaranth.lib.wiring import In

from ouroboros.hw.lib.library import Library
from ouroboros.hw.mesh.die import Die, coordinate, host_signature, place_hosts
from ouroboros.hw.mesh.structure import LinkEnd, Structure
from ouroboros.hw.mesh.tiles import Outside, Place, define_tile, place_tiles
from ouroboros.hw.noc.die_link import DieLink
from ouroboros.hw.noc.port import HostPort
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.noc import DIE_CORES_MAX, DIES_MAX
from ouroboros.hw.params.packet import MESH_PORTS, Port
from ouroboros.hw.params.position import Position
from ouroboros.hw.params.widths import COORDINATE_BITS

__all__ = ["DieOfMany", "Wafer", "define_machine", "define_parts", "tile_path", "top_name"]


def top_name(machine: Machine) -> str:
    """Name of a machine's top module."""
    return "die" if machine.mesh.dies == (1, 1) else "wafer"


def tile_path(machine: Machine, at: Position) -> str:
    """Where a tile is below the top: names of instances, joined by dots."""
    mesh = machine.mesh
    if mesh.dies == (1, 1):
        return f"tile_{at[0]}_{at[1]}"
    across, along = mesh.die_of(at)
    return (f"die_{across + 1}_{along + 1}.tile_{at[0] - across * mesh.die_width}_"
            f"{at[1] - along * mesh.die_height}")


def define_machine(library: Library, machine: Machine, dead: Collection[Position] = ()) -> str:
    """Add all modules of a machine; the name of its top.

    Parameters
    ----------
    dead : Collection[Position]
        Cores that do not work.

    Raises
    ------
    ValueError
        If routers' tables cannot name all dies or cores of a die.
    """
    cores, dies = machine.mesh.die_width * machine.mesh.die_height, math.prod(machine.mesh.dies)
    if machine.noc.class2_vcs and (cores > DIE_CORES_MAX or dies > DIES_MAX):
        raise ValueError(f"mesh must have at most {DIES_MAX} dies of {DIE_CORES_MAX} cores, which "
                         f"tables of class 2 can name, not {dies} of {cores}: set noc.class2_vcs "
                         "to 0 or change die_width and die_height")
    top, lost = top_name(machine), frozenset(dead)
    kind = Die if top == "die" else Wafer
    library.define(top, lambda: kind(machine, library, lost), params=(machine, lost))
    return top


def define_parts(machine: Machine, library: Library) -> None:
    """Add what stands between tiles and at the edge: modules ``die_link`` and ``host_port``."""
    library.define("die_link", lambda: DieLink(machine.noc), params=machine.noc)
    library.define("host_port", lambda: HostPort(machine.noc), params=machine.noc)


class DieOfMany(wiring.Component):
    """Tiles of one die, whose place is an input, with the links over its four borders.

    Members (of the Verilog; all static but the links)
    --------------------------------------------------
    first_x, first_y, mesh_width, mesh_height : In
        Coordinates of its north-west tile, extent of the mesh.
    live : In
        A bit for each tile, row by row.
    north, east, south, west : In
        For each tile along a border: whether something beyond it works.
    {side}_{n}_o, {side}_{n}_i : Link
        Over a border, of its n-th tile from the west or north: out and in.
    """

    def __init__(self, machine: Machine, library: Library):
        self.machine, self.library = machine, library
        super().__init__({})

    def verilog(self, name: str) -> str:
        """Text of the module; ``Library.define`` asks for it."""
        machine, mesh = self.machine, self.machine.mesh
        columns, rows = mesh.die_width, mesh.die_height
        define_tile(machine, self.library)
        structure = Structure(name, f"One die of machine {machine.name}: {columns} x {rows} tiles")
        for port, width in (("clk", 1), ("rst", 1), *(
                (port, COORDINATE_BITS)
                for port in ("first_x", "first_y", "mesh_width", "mesh_height")),
                ("live", columns * rows), *(
                (port.name.lower(), _lanes(machine, port)) for port in MESH_PORTS)):
            structure.port(port, In, width)
        for axis, count in (("x", columns), ("y", rows)):
            for n in range(count):
                structure.wire(f"{axis}{n + 1}", COORDINATE_BITS,
                               f"first_{axis} + {coordinate(n)}")

        def live(at: Position) -> str:
            return _bit("live", columns * rows, at[0] - 1 + columns * (at[1] - 1))

        def place(at: Position) -> Place:
            return Place(x=f"x{at[0]}", y=f"y{at[1]}", width="mesh_width", height="mesh_height",
                         live=live(at))

        def outside(at: Position, port: Port) -> Outside:
            lane, side = _lane(at, port), port.name.lower()
            ends = {}
            for way in ("o", "i"):
                prefix = f"{side}_{lane}_{way}"
                border = LinkEnd.ports(structure, machine.noc, prefix, leaves=way == "o")
                inner = LinkEnd.wires(structure, machine.noc, f"from_{prefix}")
                driven = "credit" if way == "i" else "valid"
                for member, net in border.nets.items():
                    drives = (member == "credit") == (way == "i")
                    if drives:
                        kept = inner.only(machine.noc, driven, live(at))
                        structure.assign(net, kept.nets[member])
                    else:
                        structure.assign(inner.nets[member], net)
                ends[way] = inner
            return Outside(_bit(side, _lanes(machine, port), lane - 1), leaving=ends["o"],
                           entering=ends["i"])

        tiles = [(x, y) for y in range(1, rows + 1) for x in range(1, columns + 1)]
        place_tiles(structure, machine, tiles, place, outside)
        return structure.text()


class Wafer(wiring.Component):
    """``mesh.dies`` dies with a ``DieLink`` each way between border tiles, and the host ports.

    Parameters
    ----------
    machine : Machine
        Sizes.
    library : Library
        Where each distinct module is emitted once.
    dead : Collection[Position]
        Cores that do not work: dies are told.

    Members
    -------
    host_i, host_o ..
        As of ``Die``.
    """

    def __init__(self, machine: Machine, library: Library, dead: Collection[Position] = ()):
        self.machine, self.library, self.dead = machine, library, frozenset(dead)
        super().__init__(host_signature(machine))

    def verilog(self, name: str) -> str:
        """Text of the module; ``Library.define`` asks for it."""
        machine, mesh, noc = self.machine, self.machine.mesh, self.machine.noc
        self.library.define("die", lambda: DieOfMany(machine, self.library), params=(
            machine.cim, machine.core, noc, machine.kv, mesh.die_width, mesh.die_height))
        define_parts(machine, self.library)
        structure = Structure(name, f"Machine {machine.name}: {mesh.dies[0]} x {mesh.dies[1]} "
                              f"dies of {mesh.die_width} x {mesh.die_height} tiles")
        structure.port("clk", In)
        structure.port("rst", In)
        hosts = place_hosts(structure, machine, self, self.library)
        live = {*mesh.coordinates} - self.dead
        links = self._die_links(structure)
        for down in range(mesh.dies[1]):
            for across in range(mesh.dies[0]):
                x, y = 1 + across * mesh.die_width, 1 + down * mesh.die_height
                inside = [(x + n, y + m) for m in range(mesh.die_height)
                          for n in range(mesh.die_width)]
                connected = {
                    "clk": "clk", "rst": "rst", "first_x": coordinate(x), "first_y": coordinate(y),
                    "mesh_width": coordinate(mesh.width), "mesh_height": coordinate(mesh.height),
                    "live": _mask([at in live for at in inside])}
                borders: dict[str, str] = {}
                for port in MESH_PORTS:
                    side, there = port.name.lower(), []
                    for at in [at for at in inside
                               if mesh.die_of(port.beyond(at)) != (across, down)]:
                        far = port.beyond(at)
                        out = hosts.get(far) or links.get((at, far)) or Outside(
                            "", LinkEnd.idle(noc, sender=True), LinkEnd.idle(noc, sender=False))
                        lane = _lane((at[0] - x + 1, at[1] - y + 1), port)
                        borders |= out.leaving.at(f"{side}_{lane}_o")
                        borders |= out.entering.at(f"{side}_{lane}_i")
                        there.append(far in live or far in hosts)
                    connected[side] = _mask(there)
                structure.place("die", f"die_{across + 1}_{down + 1}", connected | borders)
        return structure.text()

    def _die_links(self, structure: Structure) -> dict[tuple[Position, Position], Outside]:
        """All die links; both ends of each, by (own tile, tile beyond)."""
        mesh, noc = self.machine.mesh, self.machine.noc
        near, far = {}, {}
        for at in mesh.coordinates:
            for port in MESH_PORTS:
                there = port.beyond(at)
                if not mesh.holds(there) or not mesh.crosses(at, there):
                    continue
                name = f"link_{at[0]}_{at[1]}_{port.name.lower()}"
                near[at, there], far[at, there] = (
                    LinkEnd.wires(structure, noc, f"{name}_{end}") for end in ("i", "o"))
                structure.place("die_link", name, {
                    "clk": "clk", "rst": "rst", **near[at, there].at("i"),
                    **far[at, there].at("o")})
        return {(at, there): Outside("", leaving=near[at, there], entering=far[there, at])
                for at, there in near}


def _lanes(machine: Machine, port: Port) -> int:
    """Tiles along a border."""
    mesh = machine.mesh
    return mesh.die_width if port in (Port.NORTH, Port.SOUTH) else mesh.die_height


def _lane(at: Position, port: Port) -> int:
    """Number of a border tile from the west or north, from 1."""
    return at[0] if port in (Port.NORTH, Port.SOUTH) else at[1]


def _bit(name: str, width: int, n: int) -> str:
    return f"{name}[{n}]" if width > 1 else name


def _mask(bits: list[bool]) -> str:
    return f"{len(bits)}'b{''.join(str(int(bit)) for bit in reversed(bits))}"
