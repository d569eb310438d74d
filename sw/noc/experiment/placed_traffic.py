"""Traffic of a placement instance, on the cores of a placement or along the snake of dies."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ouroboros.hw.params.machine import MeshParams
from ouroboros.sw.noc.errors import NocError
from ouroboros.sw.noc.experiment.traffic_file import Volumes, die_snake
from ouroboros.sw.place import placement as placements
from ouroboros.sw.place.instance import Instance, Ints, read_instance
from ouroboros.sw.place.links import LinkLoads, link_loads, nets_of

__all__ = ["Placed", "read_placed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Placed:
    """Tiles on cores."""

    instance: Instance
    core: Ints
    """(tiles,): core of each tile."""

    @property
    def volumes(self) -> Volumes:
        """Bytes per token: nets as trees; of an instance without nets half an edge each way.

        Bytes of nets are those on links, as ``sw.mapper.tiles`` makes them.
        """
        nets = nets_of(self.instance)
        sinks = np.diff(nets.start)
        trees = np.repeat(np.arange(len(sinks)), sinks)
        _, numbers = np.unique(trees, return_inverse=True)
        return Volumes(
            sources=self.core[np.repeat(nets.source, sinks)].astype(np.int32),
            ends=self.core[nets.sink].astype(np.int32),
            volume_bytes=np.repeat(nets.half_bytes / 2, sinks),
            trees=numbers.reshape(-1).astype(np.int32) if nets.known else np.zeros(0, np.int32),
            headers=nets.known)

    @property
    def loads(self) -> LinkLoads:
        """The placement's own figures."""
        return link_loads(self.instance, self.core)


def read_placed(path: Path, placement: Path | None, mesh: MeshParams,
                dead: npt.NDArray[np.bool_]) -> Placed:
    """Read an instance (JSON, or .json.gz), and the cores of its tiles from a placement.

    Without one tile n lies on live core n of the snake of dies.

    Raises
    ------
    NocError
        If the instance has more tiles than there are live cores, or is placed and for another
        mesh, or the placement uses a dead core.
    PlaceError
        If a file is malformed, or the placement is none of this instance.
    """
    instance = read_instance(path)
    if not instance.volume:
        raise NocError(f"{path}: must have an edge of more than 0 bytes between tiles, not none")
    if placement is None:
        cores = die_snake(mesh, dead)
        if instance.tiles > len(cores):
            raise NocError(f"{path.name}: must have at most {len(cores)} tiles, one for each live "
                           f"core, not {instance.tiles}")
        return Placed(instance=instance, core=cores[:instance.tiles])
    grid = instance.grid
    have, want = ((size.width, size.height, size.die_width, size.die_height)
                  for size in (grid, mesh))
    if have != want:
        raise NocError(f"{path.name}: must be for the machine's {mesh.width} x {mesh.height} cores "
                       f"in dies of {mesh.die_width} x {mesh.die_height}, not {grid.width} x "
                       f"{grid.height} in dies of {grid.die_width} x {grid.die_height}")
    found = placements.load(placement)
    placements.check(found, instance, where=placement.name)
    wrong = np.flatnonzero(dead[found.core])
    if wrong.size:
        raise NocError(f"{placement.name}: must have every tile on a live core, not tile "
                       f"{wrong[0]} on the dead core {found.core[wrong[0]]}: give the same "
                       "--dead as where it was made")
    return Placed(instance=instance, core=found.core)
