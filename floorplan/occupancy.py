"""What a placement puts on each core, as far as a picture tells."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ouroboros.sw.place.instance import Instance
from ouroboros.sw.place.placement import Placement

__all__ = ["ENDS", "IDLE", "Occupancy", "occupancy"]

IDLE, ENDS = -2, -1
"""No tile; a tile that belongs to no layer (embedding, LM head, or tiles without names)."""
KV_KINDS = frozenset({"kv", "cross kv", "A"})
END_KINDS = frozenset({"lm", "argmax"})


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Occupancy:
    """Layer and kind of every core."""

    name: str
    """What was placed."""
    layer: npt.NDArray[np.int64]
    """``(cores,)``: layer from 0, ``IDLE`` or ``ENDS``."""
    kv: npt.NDArray[np.bool_]
    """``(cores,)``: holds KV."""
    named: bool
    """Whether layers are known."""

    @property
    def layers(self) -> int:
        """Number of layers."""
        return int(self.layer.max(initial=-1)) + 1


def occupancy(placement: Placement, instance: Instance | None = None) -> Occupancy:
    """Who is where.

    Layers are known if the instance gives tile names (layer, kind, ..), as ``sw.mapper.tiles``
    does.
    """
    cores = placement.grid.cores
    layer, kv = np.full(cores, IDLE), np.zeros(cores, np.bool_)
    layer[placement.core] = ENDS
    names = instance.tile_names if instance else ()
    known = bool(names) and all(len(name) > 1 and isinstance(name[0], int) for name in names)
    if known:
        layer[placement.core] = [ENDS if name[0] < 0 or name[1] in END_KINDS else name[0]
                                 for name in names]
        kv[placement.core] = [name[1] in KV_KINDS for name in names]
    return Occupancy(name=placement.instance_name, layer=layer, kv=kv, named=known)
