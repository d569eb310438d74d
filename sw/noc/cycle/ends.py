"""What happens at a node in the cycle model: packets are made, sent, and taken at the sink."""

import numpy as np

from ouroboros.sw.lib.compiled import compiled
from ouroboros.sw.noc.cycle.flits import first, made, note, send, step, take
from ouroboros.sw.noc.cycle.state import (
    BEGIN,
    CONTROL,
    CONTROL_LAST,
    CONTROL_WENT,
    DESTINATION,
    DST,
    END,
    ENTRIES,
    FIRST,
    FLITS,
    I32,
    I64,
    INJECTED,
    LABEL,
    LAST,
    LENGTHS,
    LIMIT,
    NEXT,
    NODES,
    OCCUPIED,
    ORDERED,
    PORTS,
    READY,
    SENDING,
    SENDING_VC,
    SENT,
    SHORTEST,
    SINK,
    SLOTS,
    SOURCE,
    STALL,
    TRACE,
    TRACE_COPIES,
    TRACE_CYCLE,
    TRACE_DST,
    TRACE_FLITS,
    TRACE_LABEL,
    TRACE_SRC,
    TRACE_WAY,
    TURN_SOURCE,
    U64,
    VCS,
    VCS_0,
    WENT,
    State,
)

__all__ = ["generators", "sinks", "sources"]


@compiled
def sinks(s: State, cycle: int) -> None:
    """Sinks that stall give no credits then, else one for each channel that owes any."""
    limit = np.uint64(s.settings[STALL])
    for n in range(s.settings[NODES]):
        if limit:
            s.random_sink[n] = step(s.random_sink[n])
            if s.random_sink[n] & np.uint64(0xFFFFFF) < limit:
                continue
        at = n * PORTS + SINK
        for vc in range(s.settings[VCS]):
            if s.port[at, OCCUPIED] >> vc & 1:
                take(s.port, s.channel, s.ring, s.refunds, s.refund, s.settings[VCS],
                      s.settings[SLOTS], s.settings[ENTRIES], cycle, at, vc)


@compiled
def generators(scalars: I64, settings: I64, node: I32, packet: I32, unused: I32, trace: I32,
                random: U64, cycle: int) -> None:
    if len(trace):
        n = scalars[TRACE]
        while n < len(trace) and trace[n, TRACE_CYCLE] == cycle:
            made(scalars, settings, node, packet, unused, cycle, trace[n, TRACE_SRC],
                 trace[n, TRACE_DST], trace[n, TRACE_FLITS], trace[n, TRACE_WAY],
                 trace[n, TRACE_LABEL], trace[n, TRACE_COPIES], FIRST)
            n += 1
        scalars[TRACE] = n
        return
    nodes, limit = settings[NODES], np.uint64(settings[LIMIT])
    for n in range(nodes):
        drawn = step(random[n])
        random[n] = drawn
        if drawn & np.uint64(0xFFFFFF) < limit:
            destination = int(node[n, DESTINATION])
            if destination < 0:
                destination = int(drawn >> np.uint64(24) & np.uint64(0xFFFFF)) * nodes >> 20
            flits = int(drawn >> np.uint64(44) & np.uint64(0xFFFF)) * settings[LENGTHS] >> 16
            made(scalars, settings, node, packet, unused,
                 cycle, n, destination, settings[SHORTEST] + flits, -1, 0, 1, FIRST)


@compiled
def sources(scalars: I64, settings: I64, node: I32, port: I32, channel: I32, arrivals: I32,
            arrival: I32, packet: I32, copying: I32 | None, log: I32 | None, cycle: int) -> None:
    """A source sends one packet after the other, each on one channel; multicast on the first."""
    vcs = settings[VCS]
    for n in range(settings[NODES]):
        flit = node[n, SENDING]
        exit_ = n * PORTS + SOURCE
        if log is not None and _control(settings, node, port, channel, arrivals, arrival, packet,
                                        n, cycle):
            continue
        if flit < 0:
            row = node[n, FIRST]
            if row < 0:
                continue
            choice = port[exit_, READY]
            if copying is not None:
                choice &= 1 if packet[row, LABEL] else (1 << settings[VCS_0]) - 1
            if settings[ORDERED] and not packet[row, LABEL]:
                choice &= 1 << (n + packet[row, DST]) % settings[VCS_0]
            if not choice:
                continue
            node[n, SENDING_VC] = first(choice, node[n, TURN_SOURCE])
            node[n, TURN_SOURCE] = node[n, SENDING_VC] + 1
            node[n, FIRST] = packet[row, NEXT]
            if packet[row, NEXT] < 0:
                node[n, LAST] = -1
            packet[row, SENT] = cycle
            flit = row << 4
        vc = node[n, SENDING_VC]
        if port[exit_, READY] >> vc & 1:
            tail = (flit & 15) + 1 == packet[flit >> 4, FLITS]
            send(port, channel, arrivals, arrival, vcs, settings[SLOTS],
                  cycle, exit_, vc, flit, tail)
            if settings[BEGIN] <= cycle < settings[END]:
                node[n, INJECTED] += 1
            if log is not None and tail:
                note(scalars, log, WENT, flit >> 4, n, cycle, 0)
            flit = -1 if tail else flit + 1
            node[n, CONTROL_WENT] = 0
        node[n, SENDING] = flit


@compiled
def _control(settings: I64, node: I32, port: I32, channel: I32, arrivals: I32, arrival: I32,
             packet: I32, n: int, cycle: int) -> bool:
    """A control packet goes; where data could, too, they take turns."""
    row, vc, exit_ = node[n, CONTROL], settings[VCS_0], n * PORTS + SOURCE
    if row < 0 or not port[exit_, READY] >> vc & 1:
        return False
    if node[n, CONTROL_WENT]:
        flit = node[n, SENDING]
        if flit >= 0:
            data = port[exit_, READY] >> node[n, SENDING_VC] & 1
        else:
            data = node[n, FIRST] >= 0 and port[exit_, READY] & (1 << vc) - 1
        if data:
            return False
    send(port, channel, arrivals, arrival, settings[VCS], settings[SLOTS], cycle, exit_, vc,
         row << 4, True)
    node[n, CONTROL_WENT] = 1
    node[n, CONTROL] = packet[row, NEXT]
    if packet[row, NEXT] < 0:
        node[n, CONTROL_LAST] = -1
    return True
