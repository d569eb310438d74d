"""What is known of an experiment before it is run: its flows, empty network, busiest channel."""

import numpy as np

from ouroboros.sw.noc.errors import NocError
from ouroboros.sw.noc.experiment.options import LabOptions, TracePacket
from ouroboros.sw.noc.experiment.traffic import destination_table
from ouroboros.sw.noc.load.load import Flows, LinkLoads, LinkParams, link_loads

__all__ = ["channel_bound", "flows_of", "loads_of", "zero_load_latency"]


def flows_of(options: LabOptions) -> Flows:
    """Flows of a pattern (uniform: all pairs) with packets of mean length, at the offered rate.

    Raises
    ------
    NocError
        If there would be more than 2**24 pairs, or the trace has no length in time.
    """
    nodes, traffic = options.mesh.cores, options.traffic
    if traffic.pattern == "trace":
        return _trace_flows(traffic.trace)
    lengths = np.arange(traffic.packet_min, traffic.packet_max + 1, dtype=np.int32)
    table = np.array(destination_table(options), np.int32)
    sources = np.arange(nodes, dtype=np.int32)
    share = traffic.rate / traffic.packet_flits / len(lengths)
    if table[0] < 0:
        if nodes * nodes > 1 << 24:
            raise NocError(f"uniform traffic must have at most 4096 nodes to list all pairs, "
                           f"not {nodes}")
        sources, table = np.repeat(sources, nodes), np.tile(sources, nodes)
        share /= nodes
    count = len(sources)
    return Flows(sources=np.tile(sources, len(lengths)), ends=np.tile(table, len(lengths)),
                 rates=np.full(count * len(lengths), share), flits=np.repeat(lengths, count))


def _trace_flows(trace: tuple[TracePacket, ...]) -> Flows:
    """Every packet as a flow, or a tree of flows, that has one packet in the trace's length."""
    branches = [(n, packet, end) for n, packet in enumerate(trace)
                for end in packet.targets or (packet.destination,)]
    return Flows(sources=np.array([p.source for _, p, _ in branches], np.int32),
                 ends=np.array([end for _, _, end in branches], np.int32),
                 rates=np.full(len(branches), 1 / (trace[-1].cycle + 1)),
                 flits=np.array([p.flits for _, p, _ in branches], np.int32),
                 vias=np.array([[p.way] for _, p, _ in branches], np.int32),
                 trees=np.array([n for n, _, _ in branches], np.int32))


def loads_of(options: LabOptions, blocking: float = 0.0, sharing: float = 0.0) -> LinkLoads:
    """Link loads of a pattern."""
    params = LinkParams(mesh=options.mesh, noc=options.noc, blocking=blocking, sharing=sharing)
    return link_loads(params, flows_of(options))


def zero_load_latency(options: LabOptions) -> float:
    """Mean latency of a packet in an empty network, T0."""
    flows = flows_of(options)
    loads = loads_of(options)
    return float(np.average(loads.zero_load, weights=flows.rates if options.traffic.rate else None))


def channel_bound(options: LabOptions) -> float:
    """Offered load at which the busiest channel, exits included, is busy in every cycle."""
    busiest = loads_of(options).load.max()
    return float(options.traffic.rate / busiest) if busiest else float("inf")
