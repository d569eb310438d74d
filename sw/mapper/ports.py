"""Flits through the ports of cores, from the traffic graph alone: no placement changes them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ouroboros.sw.place.instance import Net

__all__ = ["PortLoad", "port_loads"]


@dataclass(frozen=True, slots=True)
class PortLoad:
    """Cores of one kind."""

    kind: str
    """As in the tiles' names."""
    cores: int
    """How many the model has."""
    flits_in: float
    """Flits per token into the busiest of them, headers and credits included."""
    flits_out: float
    """The same, outwards; a multicast leaves once."""


def port_loads(names: Iterable[tuple[object, ...]], nets: Iterable[Net],
               flit_bytes: int) -> list[PortLoad]:
    """Loads by kind of tile (the second part of a name), in the order of appearance."""
    kinds = [str(name[1]) for name in names]
    into, out = np.zeros(len(kinds)), np.zeros(len(kinds))
    for net in nets:
        out[net.source] += net.volume_bytes
        for sink in net.sinks:
            into[sink] += net.volume_bytes
    of_kind = np.array(kinds)
    return [PortLoad(kind, int((of_kind == kind).sum()),
                     float(into[of_kind == kind].max()) / flit_bytes,
                     float(out[of_kind == kind].max()) / flit_bytes)
            for kind in dict.fromkeys(kinds)]
