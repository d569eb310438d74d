"""Tiles to cores: options in, a placement with its certificate out."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.api.catalogue import model_names, placement_names
from ouroboros.sw.api.placing.tile import Tiled, cut
from ouroboros.sw.api.shared import OnWafer, WithDead, WithMembers, WithScheme
from ouroboros.sw.block.cores import SPARES_PER_DIE
from ouroboros.sw.lib.digest import digest_of
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.lib.options import option
from ouroboros.sw.mapper.integers import integer_model
from ouroboros.sw.mapper.place import place_program
from ouroboros.sw.mapper.traffic import flit_hops
from ouroboros.sw.models.shape import load_shape
from ouroboros.sw.place.dead import dead_cores
from ouroboros.sw.place.instance import read_instance
from ouroboros.sw.place.place import Options as Search
from ouroboros.sw.place.place import Progress, Result, place
from ouroboros.sw.place.placement import SCHEMA, save
from ouroboros.sw.program.image import Token
from ouroboros.sw.quantise.source import open_model

__all__ = ["MapOptions", "Mapped", "map_tiles"]


@dataclass(frozen=True, kw_only=True)
class MapOptions(WithScheme, WithMembers, WithDead, OnWafer):
    """What is placed, on what, and how long is searched."""

    instance: Path | None = option(None)
    """Tiles, traffic and grid as JSON, plain or gzipped."""
    model: str | None = option(None, names=model_names, metavar="FILE.toml")
    """Shipped shape or path of a TOML file: its tiles on a machine."""
    checkpoint: Path | None = option(None, path="any")
    """A checkpoint that runs on a machine: the cores of its program."""
    layout: str = option("plain", choices=placement_names)
    """Roles of the cores of a checkpoint's program."""
    seconds: float = option(10.0, metavar="S", above=0)
    """Wall time of the search; not for a checkpoint, which takes a second or two."""
    moves: int | None = option(None, metavar="N", least=1)
    """Moves to evaluate instead: the same seed gives the same placement."""
    seed: int = option(0, metavar="N", least=0)
    """Of the search."""
    threads: int = option(2, metavar="N", least=1, most=64)
    """Threads of the search."""
    spares_per_die: int | None = option(None, metavar="N", least=0)
    """Live cores of each die that stay free, for repairs; by default 4 for a model, else 0."""
    out: Path | None = option(None, written=True, mark=SCHEMA)
    """Write the placement as JSON; gzipped if the name ends in .gz."""

    def search(self) -> Search:
        """Of the placer."""
        spares = self.spares_per_die
        if spares is None:
            spares = SPARES_PER_DIE if self.model is not None else 0
        return Search(seconds=None if self.moves else self.seconds, moves=self.moves,
                      seed=self.seed, threads=self.threads, spares_per_die=spares)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mapped:
    """A placement, and what it was made of."""

    result: Result
    """Placement, bound, gap, link loads."""
    made_of: dict[str, str]
    """Digests of machine and model, where there are any."""
    tiled: Tiled | None = None
    """Tiles of a shape."""
    busiest_flits: float | None = None
    """Flits per token on the busiest link of a shape, headers and credits included."""
    layout: str | None = None
    """Of a checkpoint's program."""
    flit_hops: tuple[int, int] | None = None
    """Data flits from router to router per token of a checkpoint's program: along the snake, and
    as placed."""

    @property
    def goal_flits(self) -> int | None:
        """Flits per token that a link should not exceed: the cycles of an MVM."""
        return None if self.tiled is None else self.tiled.count.machine.cim.mvm_cycles

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        found = {**self.result.as_dict(), **self.made_of}
        if self.busiest_flits is not None:
            found |= {"busiest_link_flits": self.busiest_flits,
                      "busiest_link_target_flits": self.goal_flits}
        if self.flit_hops is not None:
            found |= {"layout": self.layout, "flit_hops_per_token": self.flit_hops[1],
                      "flit_hops_per_token_snake": self.flit_hops[0]}
        if self.tiled is not None:
            found["tiling"] = self.tiled.as_dict()
        return found


def map_tiles(options: MapOptions, progress: Progress | None = None) -> Mapped:
    """Place the tiles of an instance or a shape, or the cores of a checkpoint's program.

    The placement is written if wanted.

    Raises
    ------
    OuroborosError
        If not one of the three is given, a file is wrong, or tiles are more than live cores.
    """
    found = _mapped(options, progress)
    if options.out is not None:
        save(found.result.placement, options.out)
    return found


def _mapped(options: MapOptions, progress: Progress | None) -> Mapped:
    given = (options.instance, options.model, options.checkpoint)
    if sum(one is not None for one in given) != 1:
        raise OuroborosError("give one of --instance, --model and --checkpoint")
    search = options.search()
    if options.instance is not None:
        instance = read_instance(options.instance)
        grid = instance.grid.without(dead_cores(options.dead, instance.grid))
        return Mapped(result=place(replace(instance, grid=grid), search, progress), made_of={})
    machine = load_machine(options.machine)
    dead = dead_cores(options.dead, machine.mesh)
    made_of = {"machine_digest": digest_of(machine)}
    if options.model is not None:
        shape = load_shape(options.model)
        tiled = cut(machine, shape, members=options.members, dead=dead,
                    spares_per_die=search.spares_per_die)
        result = place(tiled.instance, search, progress)
        return Mapped(result=result, tiled=tiled,
                      made_of={**made_of, "model_digest": digest_of(shape)},
                      busiest_flits=result.loads.busiest_flits(machine.noc.flit_bits // 8))
    assert options.checkpoint is not None, "one of the three is given"
    model = integer_model(open_model(options.checkpoint, None), machine, options.scheme,
                          placement=options.layout)
    result, plain, placed = place_program(
        machine, model, options.layout, seed=options.seed, defects=dead, moves=options.moves,
        progress=progress)
    return Mapped(result=result, layout=options.layout,
                  made_of={**made_of, "model_digest": model.digest},
                  flit_hops=(flit_hops(plain, Token(0)), flit_hops(placed, Token(0))))
