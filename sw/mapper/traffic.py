"""The traffic of a placed program: what its cores send each other for one token.

It is read back from the core images, so it is the program's traffic and nobody's idea of it. It
does not depend on where the cores lie: placing the same layout elsewhere gives the same instance.
"""

import numpy as np

from ouroboros.hw.params.position import Position
from ouroboros.sw.mapper.grid import machine_grid
from ouroboros.sw.perf.events import token_events
from ouroboros.sw.place.instance import Grid, Instance, Net
from ouroboros.sw.program.image import Token, packet_flits, read_stages
from ouroboros.sw.program.program import Program

__all__ = ["flit_hops", "host_tiles", "instance_name", "program_traffic"]


def instance_name(program: Program) -> str:
    """The layout's name, then what tells people which model and machine it is of."""
    blocks = len({stage.layer for stage in program.stages} - {-1})
    layout = program.placement.partition(" ")[0]
    return (f"{layout} layout on {program.machine.name}: dim {program.dim}, "
            f"{blocks} blocks, vocabulary {program.vocab_size}")


def program_traffic(program: Program, grid: Grid | None = None) -> Instance:
    """Tiles are the cores of the layout in its order, named by their stages; volumes are flits.

    A token's packets with their headers, and the credits that its stages return. Traffic with the
    host is not in it: the host is no tile (``host_tiles``).

    Parameters
    ----------
    grid : Grid, optional
        Where tiles may go; the default is the machine without defects.
    """
    machine = program.machine
    tile_of: dict[Position, int] = {role.core: n for n, role in enumerate(program.roles)}
    flit_bytes = machine.noc.flit_bits // 8
    edges: list[tuple[int, int, int]] = []
    nets: dict[tuple[int, tuple[int, ...]], int] = {}

    def flow(source: Position, targets: list[Position], flits: int) -> None:
        sinks = tuple(sorted(tile_of[target] for target in targets))
        edges.extend((tile_of[source], sink, flits) for sink in sinks)
        key = tile_of[source], sinks
        nets[key] = nets.get(key, 0) + flits * flit_bytes

    for stage in read_stages(program):
        for send in stage.sends(flags=0):
            targets = [route.target for route in send.delivery.routes
                       if route.target != machine.host]
            if targets:
                flow(stage.info.core, targets,
                     packet_flits(send.instruction.fields["flits"]))
        for owner, _ in stage.owners:
            if owner != machine.host:
                flow(stage.info.core, [owner], 1)
    return Instance(
        name=instance_name(program), grid=grid or machine_grid(machine), tiles=len(tile_of),
        edges=np.array(edges, np.int64).reshape(-1, 3), unit_bytes=flit_bytes,
        tile_names=tuple(role.stages for role in program.roles),
        nets=tuple(Net(source=source, sinks=sinks, volume_bytes=volume)
                   for (source, sinks), volume in nets.items()))


def host_tiles(program: Program) -> list[int]:
    """Tiles that exchange packets with the host, ascending."""
    outer = {target.core for target in program.embed} | {
        core for core, _, _ in program.logit_slices} | {program.result_core}
    return [n for n, role in enumerate(program.roles) if role.core in outer]


def flit_hops(program: Program, token: Token) -> int:
    """Data flits that routers send through mesh ports for one token: what their counters count.

    Multicast packets count once for each link of their tree, the host's packets are included,
    credits are not.
    """
    events = token_events(program, read_stages(program), token).values()
    return sum(core["flit_hops_data"] for core in events)
