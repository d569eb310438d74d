"""Memory of a router, for whoever lays it out."""

from ouroboros.hw.params.noc import DIE_CORES_MAX, DIES_MAX, NocParams
from ouroboros.hw.params.packet import Port

__all__ = ["router_memory_bits"]

TURN_BITS = 3
"""Of an entry of the tables of class 2."""


def router_memory_bits(noc: NocParams) -> int:
    """Bits of a router's memories: flit buffers of all ports, label table, tables of class 2.

    A buffered flit has, beside its data, an entry in its channel's queue: whether it is a tail, the
    output ports, the channels that its packet may take, whether it is a multicast and the length.
    """
    entry = 1 + len(Port) + noc.channels + 1 + 4
    flits = len(Port) * noc.channels * noc.vc_depth
    turns = (DIES_MAX + DIE_CORES_MAX) * TURN_BITS if noc.class2_vcs else 0
    return flits * (noc.flit_bits + entry) + noc.labels * len(Port) + turns
