"""Who sends how many bytes to whom: flow files."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ouroboros.hw.params.machine import MeshParams
from ouroboros.sw.noc.errors import NocError
from ouroboros.sw.noc.routes.live import Ints

__all__ = ["Volumes", "die_snake", "read_volumes"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Volumes:
    """Bytes per token from core to core; cores are numbered x + width * y from 0."""

    sources: Ints
    """(flows,)"""
    ends: Ints
    """(flows,)"""
    volume_bytes: npt.NDArray[np.float64]
    """(flows,)"""
    trees: Ints
    """(flows,): number of the multicast tree, from 0 and together; empty if all are unicast."""
    headers: bool = False
    """The bytes are those on links: a header flit for every eight flits is in them."""


def read_volumes(path: Path, mesh: MeshParams) -> Volumes:
    """Read a CSV file with the columns source, destination, bytes and, if wanted, tree.

    Lines of the same tree, which must follow each other, are branches of one multicast.

    Raises
    ------
    NocError
        If the file cannot be read or a line is wrong; the message names the line.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except (OSError, UnicodeDecodeError) as error:
        raise NocError(f"{path}: cannot be read: {error}") from error
    columns = set(reader.fieldnames or ())
    if not {"source", "destination", "bytes"} <= columns:
        raise NocError(f"{path.name}: must have the columns source, destination, bytes, "
                       f"not {reader.fieldnames}")
    found: list[tuple[int, int, float]] = []
    trees: list[int] = []
    before = None
    for line, row in enumerate(rows, start=2):
        try:
            source, end, volume = int(row["source"]), int(row["destination"]), float(row["bytes"])
        except (TypeError, ValueError):
            raise NocError(f"{path.name}, line {line}: must be numbers, "
                           f"not {list(row.values())}") from None
        if not (0 <= source < mesh.cores and 0 <= end < mesh.cores and volume >= 0):
            raise NocError(f"{path.name}, line {line}: cores must be 0 to {mesh.cores - 1} and "
                           f"bytes not negative, not {list(row.values())}")
        found.append((source, end, volume))
        if "tree" in columns:
            name = (row["tree"], source)
            trees.append((trees[-1] + (name != before)) if trees else 0)
            before = name
    if not found:
        raise NocError(f"{path.name}: must have at least one flow, not none")
    sources, ends, volumes = zip(*found, strict=True)
    return Volumes(sources=np.array(sources, np.int32), ends=np.array(ends, np.int32),
                   volume_bytes=np.array(volumes, np.float64), trees=np.array(trees, np.int32))


def die_snake(mesh: MeshParams, dead: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Live cores in an order of neighbours: rows of dies to and fro, rows of cores in each too."""
    order = []
    for die_y in range(mesh.height // mesh.die_height):
        across = range(mesh.width // mesh.die_width)
        for die_x in across if die_y % 2 == 0 else reversed(across):
            for row in range(mesh.die_height):
                y = die_y * mesh.die_height + row
                xs = range(die_x * mesh.die_width, (die_x + 1) * mesh.die_width)
                order += [x + mesh.width * y for x in (xs if row % 2 == 0 else reversed(xs))]
    return np.array([core for core in order if not dead[core]], np.int64)
