"""Load of every mesh link by router port: of a placement, or from a file."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from ouroboros.floorplan.errors import FloorplanError
from ouroboros.hw.params.packet import Port
from ouroboros.sw.lib import json_file
from ouroboros.sw.place.instance import Instance
from ouroboros.sw.place.links import DIRECTIONS, link_loads
from ouroboros.sw.place.placement import Placement

__all__ = ["placement_load", "read_load"]


def placement_load(placement: Placement,
                   instance: Instance) -> tuple[npt.NDArray[np.float64], bool]:
    """Load of a placement.

    Returns
    -------
    array
        (4, height, width) bytes per token: what leaves core (x, y) by NORTH, EAST, SOUTH, WEST.
    bool
        Whether it is on multicast trees; without nets, edges count as unicasts, half each way.
    """
    grid, found = placement.grid, link_loads(instance, placement.core)
    load = np.zeros((4, grid.height, grid.width))
    for direction, values in zip(DIRECTIONS, found.bytes, strict=True):
        load[Port[direction.upper()]] = values.reshape(grid.height, grid.width)
    return load, found.known


def read_load(path: Path, height: int, width: int) -> tuple[npt.NDArray[np.float64], str]:
    """A load from a JSON file with keys ``load`` (lists, (4, height, width)) and ``unit``.

    Raises
    ------
    FloorplanError
        If the file is none, or its load does not fit the mesh.
    """
    found = json_file.read_value(path, FloorplanError)
    try:
        load = np.array(found["load"], np.float64)
        unit = found["unit"]
    except (ValueError, TypeError, KeyError) as error:
        raise FloorplanError(f"{path}: must be JSON with keys 'load' and 'unit' "
                             f"({error})") from None
    if load.shape != (4, height, width):
        raise FloorplanError(f"{path}: key 'load' must be (4, {height}, {width}) (ports, rows, "
                             f"columns), not {load.shape}")
    return load, str(unit)
