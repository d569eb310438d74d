"""The fast mode: a chain as its slowest cell, the whole latency, and that cell again.

In a chain where every token holds a cell for the same time, order and number of the others do not
matter (Avi-Itzhak, "A sequence of service stations with arbitrary input and regular service times",
Management Science 11, 1965). Here holds differ by context and slots may bind, so that finish times
differ a little; ``tests/sw/wafer`` says by how much.
"""

import numpy as np

from ouroboros.sw.wafer.chain import Cell, Chain
from ouroboros.sw.wafer.nodes import WAY, WAYS, Nodes, lay_out

__all__ = ["collapse"]


def collapse(chain: Chain) -> Nodes:
    """Three nodes: host, bottleneck by context, bottleneck again behind the latency."""
    at = np.arange(chain.contexts + 1)
    slowest = np.zeros(len(at), np.int64)
    for cell in chain.cells:
        slowest = np.maximum(slowest, cell.hold + cell.context * chain.hold_at)
    for window in chain.windows:
        inside = chain.cells[window.first:window.last + 1]
        loop = window.back + sum(cell.way + cell.context * chain.way_at for cell in inside)
        slowest = np.maximum(slowest, -(-loop // window.slots))
    slowest[0] = 0
    ways = sum(cell.way for cell in chain.cells)
    by_context = sum(cell.context for cell in chain.cells)
    nodes = lay_out(Chain((Cell("slowest", 0, 0, True), Cell("slowest", 0, 0, True)), (),
                          slowest, np.zeros(len(at), np.int64)))
    times = nodes.times.copy()
    # The latency lies between the two, as far as it is the token's own.
    times[1, WAY:WAYS + 1] = ways, by_context
    return Nodes(times=times, places=nodes.places, sections=nodes.sections, end=np.zeros(2, np.int64), slots=nodes.slots,
                 state=nodes.state, hold_at=slowest,
                 way_at=chain.way_at, first=nodes.first, cell_places=nodes.cell_places,
                 window_places={})
