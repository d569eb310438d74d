"""Placement from instance to certificate: curves, start, bound, search, proof, link loads."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ouroboros.sw.place import exact
from ouroboros.sw.place.anneal import anneal
from ouroboros.sw.place.bound import lower_bound
from ouroboros.sw.place.cost import cost as cost_of
from ouroboros.sw.place.curves import Baselines, baselines
from ouroboros.sw.place.errors import PlaceError
from ouroboros.sw.place.instance import Instance
from ouroboros.sw.place.links import LinkLoads, link_loads
from ouroboros.sw.place.placement import Placement
from ouroboros.sw.place.repair import spare_cores
from ouroboros.sw.place.start import best_start

__all__ = ["Options", "Result", "place"]

Progress = Callable[[str, float, int], None]
"""Called with what is being done, the fraction of its budget that is spent, the best cost."""
PROVE_SECONDS = 30.0
SMALL_MOVES_PER_TILE = 20_000
"""Budget of the search before a proof is tried: far more than instances that small need."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """Budget and seed of a placement."""

    seconds: float | None = 10.0
    """Wall time of the search; None if ``moves`` is given."""
    moves: int | None = None
    """Moves to evaluate instead; then equal seeds and threads give equal placements."""
    seed: int = 0
    """Of the search."""
    threads: int = 2
    """Of the search."""
    prove_seconds: float | None = None
    """Wall time at most for the exact search of instances small enough for it. None: ``seconds``,
    or 30 with ``moves``."""
    spares_per_die: int = 0
    """Live cores kept free on each die for repairs, spread over it. The bound and the curves know
    nothing of them; no exact search then."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Result:
    """A placement and what is known about it."""

    placement: Placement
    """The best found, with its lower bound."""
    baselines: Baselines
    """What the curves cost."""
    start_cost: int
    """Cost of the start of the search."""
    optimal: bool
    """Proved: nothing costs less."""
    evaluated: int
    """Moves evaluated."""
    search_seconds: float
    """Wall time of the search."""
    total_seconds: float
    """Wall time of everything: curves, start, bound, search, proof, loads; first-time compilation
    too."""
    interrupted: bool
    """Ctrl-C ended the search."""
    loads: LinkLoads
    """Byte-hops on trees and link loads."""

    @property
    def gap(self) -> float | None:
        """``cost / lower_bound - 1``; None if only the cost is above 0."""
        cost, bound = self.placement.cost, self.placement.lower_bound or 0
        if bound:
            return cost / bound - 1
        return None if cost else 0.0

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        placed, curves, loads = self.placement, self.baselines, self.loads
        speed = self.evaluated / self.search_seconds if self.search_seconds else 0.0
        core, direction = loads.busiest
        return {
            "instance": placed.instance_name, "digest": placed.instance_digest,
            "tiles": placed.core.size, "cost": placed.cost, "lower_bound": placed.lower_bound,
            "gap": self.gap, "optimal": self.optimal, "seed": placed.seed,
            "moves": self.evaluated, "moves_per_s": speed, "search_seconds": self.search_seconds,
            "total_seconds": self.total_seconds, "interrupted": self.interrupted,
            "start_cost": self.start_cost,
            "baselines": {
                "row_snake": curves.row_snake, "die_snake": curves.die_snake,
                "die_hilbert": curves.die_hilbert,
                "die_hilbert_orientations": list(curves.die_hilbert_orientations)},
            "cost_by_die_hilbert": placed.cost / curves.die_hilbert if curves.die_hilbert else None,
            "links": {
                "known": loads.known, "tree_byte_hops": loads.tree_byte_hops,
                "unicast_byte_hops": loads.unicast_byte_hops,
                "busiest_bytes": loads.busiest_bytes,
                "busiest_flits": loads.busiest_flits(), "busiest_core": core,
                "busiest_direction": direction}}


def place(instance: Instance, options: Options | None = None,
          progress: Progress | None = None) -> Result:
    """Place an instance.

    Raises
    ------
    PlaceError
        If an option is out of range.
    """
    options = options or Options()
    began = time.perf_counter()

    def say(what: str) -> Callable[[float, int], None] | None:
        if progress is None:
            return None
        progress(what, 0.0, 0)
        return lambda spent, best: progress(what, spent, best)

    say("start")
    curves = baselines(instance)
    whole = instance
    if options.spares_per_die:
        instance = _without_spares(instance, options.spares_per_die)
    start = best_start(instance, baselines(instance))
    say("bound")
    bound = lower_bound(whole).value
    small = (instance is whole and instance.tiles <= exact.TILES_MAX
             and instance.grid.cores <= exact.CORES_MAX)
    moves, seconds = options.moves, options.seconds if options.moves is None else None
    if small:
        limit = SMALL_MOVES_PER_TILE * instance.tiles
        moves, seconds = min(limit, moves) if moves is not None else limit, None
    found = anneal(instance, start, seed=options.seed, seconds=seconds, moves=moves,
                   threads=1 if small else options.threads, progress=say("search"))
    core, cost = found.core, found.cost
    if small and cost > bound and not found.interrupted:
        say("proof")
        patience = options.prove_seconds
        if patience is None:
            patience = PROVE_SECONDS if options.seconds is None else options.seconds
        proof = exact.solve(instance, core, seconds=patience)
        core, cost, bound = proof.core, proof.cost, max(bound, proof.lower_bound)
    placement = Placement(
        instance_name=whole.name, instance_digest=whole.digest, grid=whole.grid, core=core,
        cost=cost, lower_bound=bound, seed=options.seed)
    return Result(
        placement=placement, baselines=curves, start_cost=cost_of(instance, start),
        optimal=cost == bound, evaluated=found.evaluated, search_seconds=found.seconds,
        total_seconds=time.perf_counter() - began, interrupted=found.interrupted,
        loads=link_loads(instance, core))


def _without_spares(instance: Instance, per_die: int) -> Instance:
    """The instance on a grid on which the spares are dead."""
    spares = spare_cores(instance.grid, per_die).tolist()
    live = instance.grid.cores - len(instance.grid.defects)
    if instance.tiles > live - len(spares):
        raise PlaceError(f"{instance.name}: tiles must be at most {live - len(spares):,}, the live "
                         f"cores less {per_die} spares per die, not {instance.tiles:,}: keep "
                         "fewer spares or take a larger grid")
    return replace(instance, grid=instance.grid.without(spares))
