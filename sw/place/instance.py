"""What is placed where: tiles joined by traffic, and the grid of cores that can hold them."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ouroboros.sw.lib import json_file
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.place.errors import PlaceError

__all__ = ["SCHEMA", "Grid", "Instance", "Ints", "Net", "read_instance", "write_instance"]

Ints = npt.NDArray[np.int64]
SCHEMA = "ouroboros-instance-1"
"""Mark of the files that ``write_instance`` writes; those of others need none."""
CORES_MAX = 1 << 24
"""Cores of a grid, dead ones included."""
PENALTY_MAX = 1 << 20
"""Extra hops for a die border."""
UNIT_BYTES_MAX = 1 << 30
"""Bytes per token of one unit of volume."""
COST_LIMIT = 1 << 62
"""Costs stay below it, so that int64 sums of them are exact."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """Cores on dies. A core's id is ``x + width * y``, both from 0."""

    width: int
    """Cores per row; at least 1."""
    height: int
    """Rows; at least 1."""
    die_width: int
    """Cores per row of a die; at least 1."""
    die_height: int
    """Rows of a die; at least 1."""
    die_penalty_hops: int
    """Extra hops for each die border crossed; at least 0."""
    defects: tuple[int, ...] = ()
    """Dead cores, ascending ids."""

    def __post_init__(self) -> None:
        for name in ("width", "height", "die_width", "die_height"):
            if getattr(self, name) < 1:
                raise PlaceError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.die_penalty_hops < 0:
            raise PlaceError(f"die_penalty_hops must be at least 0, not {self.die_penalty_hops}")
        if self.width * self.height > CORES_MAX:
            raise PlaceError(f"a grid must have at most {CORES_MAX:,} cores, "
                             f"not {self.width} x {self.height}")
        if self.die_penalty_hops > PENALTY_MAX:
            raise PlaceError(f"die_penalty_hops must be at most {PENALTY_MAX:,}, "
                             f"not {self.die_penalty_hops:,}")
        if any(a >= b for a, b in zip(self.defects, self.defects[1:], strict=False)):
            raise PlaceError("defects must be ascending core ids, each once")
        if self.defects and not 0 <= self.defects[0] <= self.defects[-1] < self.cores:
            wrong = self.defects[0] if self.defects[0] < 0 else self.defects[-1]
            raise PlaceError(f"defects must be cores 0 to {self.cores - 1}, not {wrong}")

    @property
    def cores(self) -> int:
        """Cores, dead ones included."""
        return self.width * self.height

    @property
    def live(self) -> Ints:
        """Ids of the cores that work, ascending."""
        return np.setdiff1d(np.arange(self.cores), np.array(self.defects, np.int64),
                            assume_unique=True)

    @property
    def x(self) -> Ints:
        """Column of each core, ``(cores,)``."""
        return np.arange(self.cores) % self.width

    @property
    def y(self) -> Ints:
        """Row of each core, ``(cores,)``."""
        return np.arange(self.cores) // self.width

    @property
    def u(self) -> Ints:
        """Stretched column of each core: the distance of two cores is ``|du| + |dv|`` hops."""
        return self.x + self.die_penalty_hops * (self.x // self.die_width)

    @property
    def v(self) -> Ints:
        """Stretched row of each core."""
        return self.y + self.die_penalty_hops * (self.y // self.die_height)

    @property
    def die(self) -> Ints:
        """Die of each core, numbered by rows of dies, ``(cores,)``."""
        return self.x // self.die_width + self.dies_across * (self.y // self.die_height)

    @property
    def dies_across(self) -> int:
        """Dies in a row of dies."""
        return -(-self.width // self.die_width)

    @property
    def dies_down(self) -> int:
        """Rows of dies."""
        return -(-self.height // self.die_height)

    @property
    def diameter(self) -> int:
        """Hops between opposite corners, die penalties included."""
        return int(self.u[-1] + self.v[-1])


    def without(self, dead: Iterable[int]) -> "Grid":
        """The grid with these cores dead too."""
        return replace(self, defects=tuple(sorted({*self.defects, *dead})))


@dataclass(frozen=True, kw_only=True, slots=True)
class Net:
    """One multicast: the same bytes from one tile to others, per token."""

    source: int
    """Tile that sends."""
    sinks: tuple[int, ...]
    """Tiles that receive."""
    volume_bytes: int
    """Bytes per token, sent once by the source."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Instance:
    """Tiles, the traffic between them, and the grid.

    Raises
    ------
    PlaceError
        If tiles are more than live cores, or edges, nets or names do not fit the tiles.
    """

    name: str
    """For people; tells files apart."""
    grid: Grid
    """Where tiles can go."""
    tiles: int
    """Tiles, numbered from 0; each takes one live core."""
    edges: Ints
    """``(edges, 3)``: tile, tile, volume. Kept as lower tile, higher tile, summed volume, sorted;
    edges between a tile and itself or of volume 0 cost nothing and are left out."""
    unit_bytes: int = 1
    """Bytes per token that one unit of volume stands for."""
    tile_names: tuple[tuple[Any, ...], ...] = ()
    """For each tile what it is, for example ``(layer, "Q", 3)``; or nothing."""
    nets: tuple[Net, ...] = ()
    """Directed multicasts behind the edges, if known."""

    def __post_init__(self) -> None:
        if self.tiles < 1:
            raise PlaceError(f"tiles must be at least 1, not {self.tiles}")
        live = self.grid.cores - len(self.grid.defects)
        if self.tiles > live:
            raise PlaceError(
                f"{self.name}: tiles must be at most {live:,}, the grid's live cores, not "
                f"{self.tiles:,}, {self.tiles - live:,} too many: take a larger grid or fewer "
                "tiles")
        if self.unit_bytes < 1:
            raise PlaceError(f"unit_bytes must be at least 1, not {self.unit_bytes}")
        if self.tile_names and len(self.tile_names) != self.tiles:
            raise PlaceError(f"tile_names must be {self.tiles} names, not {len(self.tile_names)}")
        for n, net in enumerate(self.nets):
            if net.volume_bytes < 0:
                raise PlaceError(f"nets[{n}] must have a volume of at least 0, "
                                 f"not {net.volume_bytes}")
            for tile in (net.source, *net.sinks):
                if not 0 <= tile < self.tiles:
                    raise PlaceError(f"nets[{n}] must join tiles 0 to {self.tiles - 1}, "
                                     f"not {tile}")
        # In floats, which do not wrap; edges before they are summed, too.
        edges = np.asarray(self.edges, np.int64).reshape(-1, 3)[:, 2]
        worst = float(edges.sum(dtype=np.float64)) * (self.grid.diameter + 1)
        if worst * self.unit_bytes >= COST_LIMIT:
            raise PlaceError("edges must have volumes whose worst cost in bytes is below 2**62")
        bytes_ = sum(float(net.volume_bytes) * max(len(net.sinks), 1) for net in self.nets)
        if bytes_ * (self.grid.diameter + 1) >= COST_LIMIT:
            raise PlaceError("nets must have volumes whose worst cost in bytes is below 2**62")
        object.__setattr__(self, "edges", _merge(self.edges, self.tiles))

    @property
    def volume(self) -> int:
        """Sum over the edges."""
        return int(self.edges[:, 2].sum())

    @property
    def digest(self) -> str:
        """SHA-256 of tiles and edges: equal for equal traffic, whatever the grid."""
        head = np.array([self.tiles], "<i8").tobytes()
        return hashlib.sha256(head + self.edges.astype("<i8").tobytes()).hexdigest()


def _merge(edges: Ints, tiles: int) -> Ints:
    """Edges as (lower tile, higher tile, volume), each pair once, sorted."""
    edges = np.asarray(edges, np.int64).reshape(-1, 3)
    wrong = np.flatnonzero((edges[:, :2] < 0).any(1) | (edges[:, :2] >= tiles).any(1)
                           | (edges[:, 2] < 0))
    if wrong.size:
        n = int(wrong[0])
        raise PlaceError(f"edges[{n}] must join tiles 0 to {tiles - 1} with a volume of at least "
                         f"0, not {edges[n].tolist()}")
    edges = edges[(edges[:, 0] != edges[:, 1]) & (edges[:, 2] > 0)]
    key = edges[:, :2].min(1) * tiles + edges[:, :2].max(1)
    keys, where = np.unique(key, return_inverse=True)
    volume = np.zeros(keys.size, np.int64)
    np.add.at(volume, where.reshape(-1), edges[:, 2])
    merged = np.stack([keys // tiles, keys % tiles, volume], 1)
    merged.setflags(write=False)
    return merged


def read_instance(path: Path | str) -> Instance:
    """Read an instance from JSON, plain or gzipped.

    Keys: ``tiles``, ``W``, ``H``, ``die_w``, ``die_h``, ``lam`` (hops for a die border),
    ``defects`` (core ids in any order), ``edges`` (lists tile, tile, volume; undirected); optional
    ``name``, ``tile_names``, ``unit_bytes``, ``nets`` (lists source, [sinks], bytes). Others are
    ignored.

    Raises
    ------
    PlaceError
        If the file is malformed; the message names file and key.
    """
    path = Path(path)
    found = json_file.read_object(path)
    names = json_file.array(found, "tile_names", path) if "tile_names" in found else []
    for n, name in enumerate(names):
        if not isinstance(name, list):
            raise PlaceError(f"{path}: tile_names[{n}] must be a list, not {json_file.shown(name)}")
    try:
        return Instance(
            name=json_file.text(found, "name", path) if "name" in found else path.name,
            grid=Grid(
                width=json_file.integer(found, "W", path, 1, CORES_MAX),
                height=json_file.integer(found, "H", path, 1, CORES_MAX),
                die_width=json_file.integer(found, "die_w", path, 1),
                die_height=json_file.integer(found, "die_h", path, 1),
                die_penalty_hops=json_file.integer(found, "lam", path, 0, PENALTY_MAX),
                defects=tuple(np.unique(json_file.integers(found, "defects", path)).tolist())),
            tiles=json_file.integer(found, "tiles", path, 1, CORES_MAX),
            edges=json_file.integers(found, "edges", path, width=3),
            unit_bytes=json_file.integer(found, "unit_bytes", path, 1, UNIT_BYTES_MAX)
            if "unit_bytes" in found else 1,
            tile_names=tuple(tuple(name) for name in names),
            nets=_nets(found, path))
    except OuroborosError as error:
        words = str(error)
        raise PlaceError(words if words.startswith(str(path)) else f"{path}: {words}") from None


def _nets(found: json_file.Object, path: Path) -> tuple[Net, ...]:
    nets = []
    for n, item in enumerate(json_file.array(found, "nets", path) if "nets" in found else []):
        if not isinstance(item, list) or len(item) != 3:
            raise PlaceError(f"{path}: nets[{n}] must be a list of source, sinks and bytes, "
                             f"not {json_file.shown(item)}")
        source, sinks, volume = item
        part = {f"nets[{n}]": [source, volume], f"nets[{n}][1]": sinks}
        json_file.integers(part, f"nets[{n}]", path)
        json_file.integers(part, f"nets[{n}][1]", path)
        nets.append(Net(source=source, sinks=tuple(sinks), volume_bytes=volume))
    return tuple(nets)


def write_instance(instance: Instance, path: Path | str) -> None:
    """Write what ``read_instance`` reads; gzipped if the name ends in ``.gz``."""
    grid = instance.grid
    json_file.write_object(Path(path), {
        "schema": SCHEMA, "name": instance.name, "tiles": instance.tiles, "W": grid.width,
        "H": grid.height, "die_w": grid.die_width, "die_h": grid.die_height,
        "lam": grid.die_penalty_hops, "defects": list(grid.defects),
        "edges": instance.edges.tolist(), "unit_bytes": instance.unit_bytes,
        "tile_names": [list(n) for n in instance.tile_names],
        "nets": [[net.source, list(net.sinks), net.volume_bytes] for net in instance.nets]})
