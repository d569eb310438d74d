"""Programs placed by a file: which layout, and where its cores lie on which machine."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ouroboros.hw.params.machine import Machine
from ouroboros.sw.block.plans import PLACEMENTS
from ouroboros.sw.mapper.grid import machine_grid, place_of
from ouroboros.sw.mapper.limits import MapperError
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.mapper.traffic import program_traffic
from ouroboros.sw.models.integer import QuantModel
from ouroboros.sw.noc.routes.faults import Faults, Link
from ouroboros.sw.place.instance import Grid
from ouroboros.sw.place.placement import check, load
from ouroboros.sw.program.image import unicast
from ouroboros.sw.program.program import Program
from ouroboros.sw.program.ways import program_ways

if TYPE_CHECKING:       # machines without faults need not wait for the compiler behind it
    from ouroboros.sw.noc.routes.routing import Routes

__all__ = ["check_routes", "place_model", "unreachable"]


def place_model(machine: Machine, model: QuantModel, *, placement: str = "plain",
                context: int | None = None, defects: Iterable[int] = (),
                dead_links: Iterable[Link] = ()) -> Program:
    """Place ``model`` on ``machine`` as a layout's name or a placement file says.

    Parameters
    ----------
    placement : str
        A name of ``sw.block.plans.PLACEMENTS``, or the path of a file that ``ouroboros map``
        wrote.
    defects : iterable of int
        Ids of dead cores; a placement file must have been made for exactly these. On a network
        with channels of class 1 packets go around them.
    dead_links : iterable of Link
        Dead links between live cores; packets go around them.

    Raises
    ------
    MapperError, PlaceError
        If the model does not fit, the file is corrupt or was made for another machine, another
        defect map or another model, or the network lacks channels for ways around what is dead.
    NocError
        If the host's port is beside a dead core, or the mesh is in pieces.
    """
    grid = machine_grid(machine, defects)
    routes = _routes(machine, grid, frozenset(dead_links))
    if placement in PLACEMENTS:
        program = map_model(machine, model, placement=placement, context=context, routes=routes)
        if routes is None:
            _check_alive(program, grid.defects)
        return program
    if not placement.endswith((".json", ".json.gz")):
        raise MapperError(f"placement must be one of {PLACEMENTS} or a path to a .json file, "
                          f"not {placement!r}")
    path = Path(placement)
    found = load(path)
    name = found.instance_name.partition(" ")[0]
    if name not in PLACEMENTS:
        raise MapperError(f"{path}: made for instance {found.instance_name!r}, which is no layout "
                          f"of {PLACEMENTS}: write one by ouroboros map --checkpoint")
    # The traffic is that of the layout wherever it lies; so hold the file to it before use.
    wanted = program_traffic(map_model(machine, model, placement=name, context=context), grid)
    check(found, wanted, where=str(path))
    program = map_model(machine, model, placement=name, context=context,
                        cores=[place_of(grid, core) for core in found.core], routes=routes)
    if routes is None:
        check_routes(program, grid.defects)
    return replace(program, placement=f"{name} placed by {path.name}")


def _routes(machine: Machine, grid: Grid, dead_links: frozenset[Link]) -> "Routes | None":
    """Routes around what is dead; None if nothing is, or if packets can only go XY."""
    if not dead_links and not (grid.defects and machine.noc.class1_vcs):
        return None
    from ouroboros.sw.noc.routes.routing import Routes
    return Routes(Faults(mesh=machine.mesh, links=dead_links, routers=frozenset(
        place_of(grid, core) for core in grid.defects)))


def check_routes(program: Program, defects: Iterable[int]) -> None:
    """Refuse a program whose packets would pass the router of a dead core.

    Packets of tokens, credits, and the host's way to every core and back.

    Raises
    ------
    MapperError
        Names the first such way.
    """
    machine = program.machine
    grid = machine_grid(machine, defects)
    dead = {place_of(grid, core) for core in grid.defects}
    if not dead:
        return
    for source, route in program_ways(program):
        for at, _ in route.links:
            if at in dead:
                raise MapperError(f"way from {source} to {route.target} must pass no dead core, "
                                  f"not {at}: place again with another seed, or on a machine "
                                  f"with noc.class1_vcs = 1, whose packets go around it")


def unreachable(machine: Machine, defects: Iterable[int]) -> tuple[int, ...]:
    """Ids of the cores that the host cannot load, or that cannot answer it: dead ones in between.

    Routes are X first, then Y, both ways.
    """
    grid = machine_grid(machine, defects)
    dead = {place_of(grid, core) for core in grid.defects}
    found = []
    for core in range(grid.cores):
        place = place_of(grid, core)
        ways = (unicast(machine.mesh, machine.host, place),
                unicast(machine.mesh, place, machine.host))
        if any(at in dead for way in ways for at, _ in way.links):
            found.append(core)
    return tuple(found)


def _check_alive(program: Program, defects: tuple[int, ...]) -> None:
    grid = machine_grid(program.machine, defects)
    dead = {place_of(grid, core) for core in defects}
    for role in program.roles:
        if role.core in dead:
            raise MapperError(f"placement {program.placement!r} must use no dead core, not "
                              f"{role.core}: place by ouroboros map with the same dead cores, or "
                              f"set noc.class1_vcs = 1, so that packets can go around it")
    check_routes(program, defects)
