"""Who sends how many bytes to whom: flow files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ouroboros.hw.params.machine import MeshParams
from ouroboros.sw.lib.csv_file import read_rows
from ouroboros.sw.noc.errors import NocError
from ouroboros.sw.noc.routes.live import Ints

__all__ = ["Volumes", "die_snake", "read_volumes"]

BYTES_MAX = 1e15
"""Per token and flow; sums over a wafer stay exact to the byte."""


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
    OuroborosError
        If the file cannot be read or a line is wrong; the message names the line.
    """
    rows = read_rows(path, ("source", "destination", "bytes"), ("tree",))
    if not rows:
        raise NocError(f"{path}: must have at least one flow, not none")
    found: list[tuple[int, int, float]] = []
    trees: list[int] = []
    before = None
    for row in rows:
        source, end = (row.whole(column, 0, mesh.cores - 1) for column in ("source", "destination"))
        found.append((source, end, row.number("bytes", 0, BYTES_MAX)))
        if "tree" in row.cells:
            name = (row.cells["tree"], source)
            trees.append((trees[-1] + (name != before)) if trees else 0)
            before = name
    if not any(volume for _, _, volume in found):
        raise NocError(f"{path}: must have a flow of more than 0 bytes, not none")
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
