"""Programs through the placer."""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ouroboros.hw.params.machine import Machine
from ouroboros.sw.mapper.grid import core_at, machine_grid, place_of
from ouroboros.sw.mapper.limits import MapperError
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.mapper.placed import check_routes, unreachable
from ouroboros.sw.mapper.traffic import flit_hops, host_tiles, program_traffic
from ouroboros.sw.models.integer import QuantModel
from ouroboros.sw.place.anneal import Annealed, anneal
from ouroboros.sw.place.bound import lower_bound
from ouroboros.sw.place.cost import cost
from ouroboros.sw.place.curves import baselines
from ouroboros.sw.place.instance import Instance, Ints
from ouroboros.sw.place.links import link_loads
from ouroboros.sw.place.place import Result
from ouroboros.sw.place.placement import Placement
from ouroboros.sw.program.image import Token
from ouroboros.sw.program.program import Program

__all__ = ["place_program"]

Progress = Callable[[str, float, int], None]
SEARCHES = 8
"""Short searches for a small program; its flit-hops decide."""
MOVES_PER_TILE = 20_000
"""Budget of each."""
TOKEN = Token(0)
"""Flit-hops do not depend on the position."""


def place_program(machine: Machine, model: QuantModel, layout: str, *, seed: int = 0,
                  defects: tuple[int, ...] = (), moves: int | None = None,
                  progress: Progress | None = None) -> tuple[Result, Program, Program]:
    """Place the cores of a small program so that routers send fewest flits.

    Cores that talk to the host stay where the snake has them, beside its port, since the host is no
    tile. Cores that the host cannot reach past dead ones are not used. Of several searches by
    volume times hops (that is: unicast), the one with fewest data flit-hops, multicast trees and
    the host's packets included, is taken.

    Parameters
    ----------
    moves : int, optional
        Moves of each search; a given number and seed give the same placement.

    Returns
    -------
    Result, Program, Program
        Placement and certificate; the program along the snake; the program placed.

    Raises
    ------
    MapperError
        If the model does not fit, or packets pass a dead core in every search's result.
    """
    began = time.perf_counter()
    grid = machine_grid(machine, defects)
    plain = map_model(machine, model, placement=layout)
    instance = program_traffic(plain, grid)
    usable = replace(instance, grid=machine_grid(machine, unreachable(machine, defects)))
    start = _start(plain, usable)
    movable = np.ones(instance.tiles, np.bool_)
    movable[host_tiles(plain)] = False
    searches: list[Annealed] = []
    good: list[tuple[int, int, Program]] = []
    refused: list[MapperError] = []
    for n in range(SEARCHES):
        found = anneal(usable, start, seed=seed * SEARCHES + n, threads=1, movable=movable,
                       moves=moves or MOVES_PER_TILE * instance.tiles)
        searches.append(found)
        placed = map_model(machine, model, placement=layout,
                           cores=[place_of(grid, core) for core in found.core])
        try:
            check_routes(placed, grid.defects)
            good.append((flit_hops(placed, TOKEN), n, placed))
        except MapperError as error:
            refused.append(error)
        if progress is not None:
            progress("search", (n + 1) / SEARCHES, found.cost)
        if found.interrupted:
            break
    if not good:
        raise refused[-1]
    _, chosen, placed = min(good, key=lambda each: each[:2])
    found = searches[chosen]
    bound = lower_bound(usable).value
    placement = Placement(
        instance_name=instance.name, instance_digest=instance.digest, grid=grid, core=found.core,
        cost=found.cost, lower_bound=bound, seed=seed)
    result = Result(
        placement=placement, baselines=baselines(usable), start_cost=cost(instance, start),
        optimal=found.cost == bound, evaluated=sum(search.evaluated for search in searches),
        search_seconds=sum(search.seconds for search in searches),
        total_seconds=time.perf_counter() - began, interrupted=searches[-1].interrupted,
        loads=link_loads(instance, found.core))
    return result, plain, placed


def _start(plain: Program, instance: Instance) -> Ints:
    """The snake's cores; where one is dead, the tile goes to the first live core left."""
    wanted = [core_at(instance.grid, role.core) for role in plain.roles]
    live = set(instance.grid.live.tolist())
    free = iter(sorted(live - set(wanted)))
    return np.array([core if core in live else next(free) for core in wanted], np.int64)
