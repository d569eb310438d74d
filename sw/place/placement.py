"""A placement: which core each tile is on, for which traffic and which grid."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ouroboros.sw.lib import json_file
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.place.cost import cost
from ouroboros.sw.place.errors import PlaceError
from ouroboros.sw.place.instance import Grid, Instance, Ints

__all__ = ["SCHEMA", "Placement", "check", "load", "save"]

SCHEMA = "ouroboros-placement-1"
"""What the key ``schema`` says; another number is another layout of the file."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Placement:
    """Where every tile of an instance is. Consistent in itself; ``check`` holds it to a target.

    Raises
    ------
    PlaceError
        If two tiles are on one core, or a core is dead or outside the grid.
    """

    instance_name: str
    """Name of the instance that was placed."""
    instance_digest: str
    """Its ``digest``."""
    grid: Grid
    """Its grid."""
    core: Ints
    """Core id of each tile, ``(tiles,)``."""
    cost: int
    """Volume times hops, as ``sw.place.cost.cost`` counts."""
    lower_bound: int | None = None
    """No placement costs less; None if no bound was computed."""
    seed: int = 0
    """Of the search that found it."""

    def __post_init__(self) -> None:
        core = np.array(self.core, np.int64).reshape(-1)
        core.setflags(write=False)
        object.__setattr__(self, "core", core)
        outside = np.flatnonzero((core < 0) | (core >= self.grid.cores))
        if outside.size:
            raise PlaceError(f"core of tile {outside[0]} must be 0 to {self.grid.cores - 1}, "
                             f"not {core[outside[0]]}")
        dead = np.flatnonzero(np.isin(core, np.array(self.grid.defects, np.int64)))
        if dead.size:
            raise PlaceError(f"core of tile {dead[0]} must be alive, not the dead core "
                             f"{core[dead[0]]}")
        cores, counts = np.unique(core, return_counts=True)
        if (counts > 1).any():
            twice = int(cores[counts > 1][0])
            a, b = np.flatnonzero(core == twice)[:2]
            raise PlaceError(f"tiles must have a core each, but tiles {a} and {b} are both on "
                             f"core {twice}")


def check(placement: Placement, target: Instance | Grid, where: str = "placement") -> None:
    """Refuse a placement that is not one of this instance, or not one for this grid.

    ``where`` names the placement in the error, for example its file.

    Raises
    ------
    PlaceError
        If machine, defect map, traffic or cost differ.
    """
    grid = target.grid if isinstance(target, Instance) else target
    for name in ("width", "height", "die_width", "die_height", "die_penalty_hops"):
        have, want = getattr(placement.grid, name), getattr(grid, name)
        if have != want:
            raise PlaceError(f"{where}: made for another machine: {name} is {have}, "
                             f"this machine's {want}: place again")
    if placement.grid.defects != grid.defects:
        differ = sorted(set(placement.grid.defects) ^ set(grid.defects))
        raise PlaceError(f"{where}: made for another defect map: {len(differ)} cores differ, "
                         f"first core {differ[0]}: repair or place again")
    if isinstance(target, Instance):
        if placement.core.size != target.tiles:
            raise PlaceError(f"{where}: has {placement.core.size:,} tiles, instance "
                             f"{target.name} {target.tiles:,}: place again")
        if placement.instance_digest != target.digest:
            raise PlaceError(f"{where}: made for other traffic (instance "
                             f"{placement.instance_name}) than instance {target.name}: "
                             "place again")
        true = cost(target, placement.core)
        if placement.cost != true:
            raise PlaceError(f"{where}: key 'cost' must be {true}, what its cores cost, "
                             f"not {placement.cost}")


def save(placement: Placement, path: Path | str) -> None:
    """Write JSON that ``load`` reads; gzipped if the name ends in ``.gz``."""
    json_file.write_object(Path(path), {
        "schema": SCHEMA, "instance_name": placement.instance_name,
        "instance_digest": placement.instance_digest, "grid": asdict(placement.grid),
        "cost": placement.cost, "lower_bound": placement.lower_bound, "seed": placement.seed,
        "core": placement.core.tolist()})


def load(path: Path | str) -> Placement:
    """Read a placement.

    Raises
    ------
    PlaceError
        If the file is not a whole and consistent placement; the message names file and key.
    """
    path = Path(path)
    found = json_file.read_object(path)
    schema = json_file.text(found, "schema", path)
    if schema != SCHEMA:
        raise PlaceError(f"{path}: key 'schema' must be {SCHEMA!r}, not {json_file.shown(schema)}")
    grid = found.get("grid")
    if not isinstance(grid, dict):
        raise PlaceError(f"{path}: key 'grid' must be an object, not {json_file.shown(grid)}")
    try:
        return Placement(
            instance_name=json_file.text(found, "instance_name", path),
            instance_digest=json_file.text(found, "instance_digest", path),
            grid=Grid(
                width=json_file.integer(grid, "width", path),
                height=json_file.integer(grid, "height", path),
                die_width=json_file.integer(grid, "die_width", path),
                die_height=json_file.integer(grid, "die_height", path),
                die_penalty_hops=json_file.integer(grid, "die_penalty_hops", path),
                defects=tuple(json_file.integers(grid, "defects", path).tolist())),
            core=json_file.integers(found, "core", path),
            cost=json_file.integer(found, "cost", path),
            lower_bound=None if found.get("lower_bound") is None
            else json_file.integer(found, "lower_bound", path),
            seed=json_file.integer(found, "seed", path))
    except OuroborosError as error:
        words = str(error)
        raise PlaceError(words if words.startswith(str(path)) else f"{path}: {words}") from None
