"""The ways of a placed program's packets, and the routers that they pass."""

from ouroboros.hw.params.isa import Op
from ouroboros.hw.params.position import Position
from ouroboros.sw.program.image import Route, read_stages, unicast
from ouroboros.sw.program.program import Program

__all__ = ["program_ways", "routers"]


def program_ways(program: Program) -> list[tuple[Position, Route]]:
    """Where a packet starts, and its way: of tokens, of credits, of the host to cores and back.

    Raises
    ------
    ProgramError
        If packets go around dead cores or links.
    """
    machine = program.machine
    ways: list[tuple[Position, Route]] = []
    for stage in read_stages(program):
        core = stage.info.core
        used = {one.fields["dest"] for one in stage.code if one.op is Op.SEND}
        ways += [(core, route) for n in sorted(used) for route in stage.dests[n].routes]
        ways += [(core, unicast(machine.mesh, core, owner)) for owner, _ in stage.owners]
    for core in program.images:
        ways.append((machine.host, unicast(machine.mesh, machine.host, core)))
        ways.append((core, unicast(machine.mesh, core, machine.host)))
    return ways


def routers(program: Program) -> frozenset[Position]:
    """Routers that a packet can pass; errors are those of ``program_ways``."""
    return frozenset(at for _, route in program_ways(program) for at, _ in route.links)
