"""Bytes per token on every mesh link, if multicasts run along XY trees, faults or not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from floorplan.errors import FloorplanError
from hw.params.packet import Port
from sw.place.instance import Grid, Ints, Net

__all__ = ["read_load", "tree_load"]


def tree_load(grid: Grid, core: Ints, nets: tuple[Net, ...]) -> npt.NDArray[np.float64]:
    """Load of every link.

    A tree runs along the source's row as far as its sinks' columns, and from there up and down each
    of these columns; every link of it carries the net's bytes once.

    Parameters
    ----------
    grid : Grid
        The mesh.
    core : array
        (tiles,) core of each tile.
    nets : tuple of Net
        Multicasts.

    Returns
    -------
    array
        (4, height, width) bytes per token: what leaves core (x, y) by NORTH, EAST, SOUTH, WEST.
    """
    sizes = np.array([len(net.sinks) for net in nets], np.int64)
    which = np.repeat(np.arange(len(nets)), sizes)
    sinks = core[np.array([sink for net in nets for sink in net.sinks], np.int64)]
    sources = core[np.array([net.source for net in nets], np.int64)]
    volume = np.array([net.volume_bytes for net in nets], np.float64)
    source_x, source_y = sources % grid.width, sources // grid.width
    x, y = sinks % grid.width, sinks // grid.width
    load = np.zeros((4, grid.height, grid.width))
    east, west = source_x.copy(), source_x.copy()
    np.maximum.at(east, which, x)
    np.minimum.at(west, which, x)
    load[Port.EAST] = _runs(source_y, source_x, east, volume, grid.height, grid.width)
    load[Port.WEST] = _runs(source_y, west, source_x, volume, grid.height, grid.width, after=1)
    # One trunk for each net and column that has a sink of it.
    trunks, of = np.unique(which * grid.width + x, return_inverse=True)
    net, column = trunks // grid.width, trunks % grid.width
    north, south = source_y[net], source_y[net]
    np.maximum.at(south, of, y)
    np.minimum.at(north, of, y)
    start, bytes_ = source_y[net], volume[net]
    load[Port.SOUTH] = _runs(column, start, south, bytes_, grid.width, grid.height).T
    load[Port.NORTH] = _runs(column, north, start, bytes_, grid.width, grid.height, after=1).T
    return load


def _runs(line: Ints, first: Ints, last: Ints, volume: npt.NDArray[np.float64], lines: int,
          length: int, *, after: int = 0) -> npt.NDArray[np.float64]:
    """Sum of runs of links: on ``line``, cores ``first`` to ``last - 1``, ``after`` further on."""
    steps = np.zeros((lines, length + 2))
    np.add.at(steps, (line, first + after), volume)
    np.add.at(steps, (line, last + after), -volume)
    # Volumes are whole, so sums below 2**53 are exact and what should cancel does.
    return np.cumsum(steps, 1)[:, :length]


def read_load(path: Path, height: int, width: int) -> tuple[npt.NDArray[np.float64], str]:
    """A load from a JSON file with keys ``load`` (lists, (4, height, width)) and ``unit``.

    Raises
    ------
    FloorplanError
        If the file is none, or its load does not fit the mesh.
    """
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
        load = np.array(found["load"], np.float64)
        unit = found["unit"]
    except (ValueError, TypeError, KeyError) as error:
        raise FloorplanError(f"{path}: must be JSON with keys 'load' and 'unit' "
                             f"({error})") from None
    if load.shape != (4, height, width):
        raise FloorplanError(f"{path}: key 'load' must be (4, {height}, {width}) (ports, rows, "
                             f"columns), not {load.shape}")
    return load, str(unit)
