"""Packets of flows: what a generator at every node would draw, as a trace."""

import numpy as np

from ouroboros.sw.noc.errors import NocError
from ouroboros.sw.noc.experiment.options import TracePacket
from ouroboros.sw.noc.load.load import Flows

__all__ = ["trace_of"]


def trace_of(flows: Flows, cycles: int, seed: int) -> tuple[TracePacket, ...]:
    """Packets of the first ``cycles`` cycles, drawn by chance at the rates of the flows.

    In every cycle a node makes one packet at most, with the sum of the rates of its flows as the
    probability, and of a flow in proportion to its rate. Branches of a tree are one packet.

    Raises
    ------
    NocError
        If the flows of a node have more than one packet per cycle, or more than one waypoint.
    """
    if flows.vias.shape[1:] > (1,):
        raise NocError(f"flows must have one waypoint at most, not {flows.vias.shape[1]}")
    count = len(flows.sources)
    trees = flows.trees if len(flows.trees) else np.arange(count, dtype=np.int32)
    begins = np.flatnonzero(np.diff(trees, prepend=-1))
    ends = np.append(begins[1:], count)
    rng = np.random.default_rng(seed)
    found: list[TracePacket] = []
    for source in np.unique(flows.sources):
        own = np.flatnonzero(flows.sources[begins] == source)
        upto = flows.rates[begins[own]].cumsum()
        if upto[-1] > 1:
            raise NocError(f"flows of node {source} must have at most one packet per cycle, "
                           f"not {upto[-1]:g}")
        draws = rng.random(cycles)
        for cycle in np.flatnonzero(draws < upto[-1]):
            tree = own[np.searchsorted(upto, draws[cycle], side="right")]
            first, last = begins[tree], ends[tree]
            flits = int(flows.flits[first])
            if last > first + 1:
                found.append(TracePacket(cycle=int(cycle), source=int(source), flits=flits,
                                         targets=tuple(flows.ends[first:last].tolist())))
            else:
                way = int(flows.vias[first, 0]) if flows.vias.size else -1
                found.append(TracePacket(cycle=int(cycle), source=int(source), flits=flits,
                                         destination=int(flows.ends[first]), way=way))
    return tuple(sorted(found, key=lambda packet: packet.cycle))
