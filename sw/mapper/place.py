"""Programs through the placer."""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.position import Position
from ouroboros.sw.block.tiling import LayoutPlan
from ouroboros.sw.mapper.grid import core_at, machine_grid, place_of
from ouroboros.sw.mapper.limits import MapperError
from ouroboros.sw.mapper.mapper import map_graph, map_model, model_graph
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

__all__ = ["place_cores", "place_program"]

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
    """Place the cores of a small program, by ``place_cores``.

    Returns
    -------
    Result, Program, Program
        Placement and certificate; the program along the snake; the program placed.

    Raises
    ------
    MapperError
        As ``place_cores``.
    """
    result, cores = place_cores(machine, model, layout, seed=seed, defects=defects, moves=moves,
                                progress=progress)
    return (result, map_model(machine, model, placement=layout),
            map_model(machine, model, placement=layout, cores=cores))


def place_cores(machine: Machine, model: QuantModel, layout: str | LayoutPlan, *, seed: int = 0,
                defects: tuple[int, ...] = (), moves: int | None = None, searches: int = SEARCHES,
                progress: Progress | None = None) -> tuple[Result, list[Position]]:
    """Place the cores of a program so that routers send fewest flits.

    Cores that talk to the host stay where the snake has them, beside its port, since the host is no
    tile. Cores that the host cannot reach past dead ones are not used. Of several searches by
    volume times hops (that is: unicast), the one with fewest data flit-hops, multicast trees and
    the host's packets included, is taken.

    Parameters
    ----------
    moves : int, optional
        Moves of each search; a given number and seed give the same placement.
    searches : int
        How many of them.

    Returns
    -------
    Result, list of Position
        Placement and certificate; the cores in the layout's order.

    Raises
    ------
    MapperError
        If the model does not fit, or packets pass a dead core in every search's result.
    """
    began = time.perf_counter()
    grid = machine_grid(machine, defects)

    def bare(cores: list[Position] | None = None) -> Program:
        # Traffic does not depend on the model's numbers, which take long to place.
        return map_graph(model_graph(machine, model, layout, cores=cores), None)

    plain = bare()
    instance = program_traffic(plain, grid)
    usable = replace(instance, grid=machine_grid(machine, unreachable(machine, defects)))
    start = _start(plain, usable)
    movable = np.ones(instance.tiles, np.bool_)
    movable[host_tiles(plain)] = False
    done: list[Annealed] = []
    good: list[tuple[int, int, list[Position]]] = []
    refused: list[MapperError] = []
    for n in range(searches):
        found = anneal(usable, start, seed=seed * searches + n, threads=1, movable=movable,
                       moves=moves or MOVES_PER_TILE * instance.tiles)
        done.append(found)
        cores = [place_of(grid, core) for core in found.core]
        placed = bare(cores)
        try:
            check_routes(placed, grid.defects)
            good.append((flit_hops(placed, TOKEN), n, cores))
        except MapperError as error:
            refused.append(error)
        if progress is not None:
            progress("search", (n + 1) / searches, found.cost)
        if found.interrupted:
            break
    if not good:
        raise refused[-1]
    _, chosen, cores = min(good, key=lambda each: each[:2])
    found = done[chosen]
    bound = lower_bound(usable).value
    placement = Placement(
        instance_name=instance.name, instance_digest=instance.digest, grid=grid, core=found.core,
        cost=found.cost, lower_bound=bound, seed=seed)
    result = Result(
        placement=placement, baselines=baselines(usable), start_cost=cost(instance, start),
        optimal=found.cost == bound, evaluated=sum(search.evaluated for search in done),
        search_seconds=sum(search.seconds for search in done),
        total_seconds=time.perf_counter() - began, interrupted=done[-1].interrupted,
        loads=link_loads(instance, found.core))
    return result, cores


def _start(plain: Program, instance: Instance) -> Ints:
    """The snake's cores; where one is dead, the tile goes to the first live core left."""
    wanted = [core_at(instance.grid, role.core) for role in plain.roles]
    live = set(instance.grid.live.tolist())
    free = iter(sorted(live - set(wanted)))
    return np.array([core if core in live else next(free) for core in wanted], np.int64)
