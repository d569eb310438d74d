"""Traffic as the compiled kernels read it: every tile's neighbours in a row, 32-bit."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ouroboros.sw.place.instance import Instance

__all__ = ["Ints32", "Traffic", "traffic_of"]

Ints32 = npt.NDArray[np.int32]
INT32_MAX = (1 << 31) - 1


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Traffic:
    """Neighbours of tile a are entries ``start[a]`` to ``start[a + 1]`` of the two lists."""

    start: Ints32
    """``(tiles + 1,)``"""
    tile: Ints32
    """Neighbour, ``(2 * edges,)``, ascending within a tile."""
    volume: Ints32
    """Volume >> ``shift``, at least 1, ``(2 * edges,)``."""
    shift: int
    """0 unless volumes are so large that a tile's cost would not fit 32 bits. The search is then
    guided by rounded volumes; what it reports is always counted in whole ones."""

    @property
    def mean_volume(self) -> float:
        """Mean of an edge, in kernel units; 1 without edges."""
        return float(self.volume.mean()) if self.volume.size else 1.0


def traffic_of(instance: Instance) -> Traffic:
    """The instance's edges, both ways."""
    a, b, volume = instance.edges.T
    source, sink, both = np.r_[a, b], np.r_[b, a], np.r_[volume, volume]
    order = np.lexsort((sink, source))
    incident = np.bincount(source, weights=both, minlength=instance.tiles).max(initial=0.0)
    # A delta is at most the incident volume times the diameter, and + 1 covers rounding up.
    reach, shift = instance.grid.diameter + 1, 0
    while (incident / 2**shift + instance.tiles) * reach > INT32_MAX and incident > 2**shift:
        shift += 1
    start = np.zeros(instance.tiles + 1, np.int32)
    np.cumsum(np.bincount(source, minlength=instance.tiles), out=start[1:])
    return Traffic(start=start, tile=sink[order].astype(np.int32), shift=shift,
                   volume=np.maximum(both[order] >> shift, 1).astype(np.int32))
