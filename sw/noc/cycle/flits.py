"""What happens to single flits and packets in the cycle model."""

import numpy as np

from ouroboros.sw.lib.compiled import compiled
from ouroboros.sw.noc.cycle.state import (
    ACCEPTED,
    ASKS,
    BEFORE,
    BEGIN,
    BEYOND,
    COPIES,
    COUNT,
    CREDIT_CYCLES,
    CREDITS,
    DELIVERED,
    DST,
    END,
    FLIT_CYCLES,
    FLITS,
    FREE,
    FULL,
    GRANTED,
    HEAD,
    HEADER,
    HOPS,
    I32,
    I64,
    LABEL,
    LAG,
    LATENCY,
    LEFT,
    LOGGED,
    MADE,
    MEASURED,
    NETWORK_LATENCY,
    NEXT,
    NODE,
    OCCUPIED,
    OFFERED,
    PORTS,
    READY,
    ROUTERS,
    ROW,
    SENT,
    SINK,
    SRC,
    SUNK,
    TAIL,
    UNUSED,
    WAITS,
    WAY,
    WHAT,
    WHEN,
    WRONG,
    X,
    Y,
)

__all__ = ["LOWEST", "channel_for", "first", "least_recent", "left", "made", "note", "send",
           "step", "take"]

LOWEST = np.array([0] + [(n & -n).bit_length() - 1 for n in range(1, 256)], np.int32)
"""Number of the lowest set bit."""


@compiled
def first(mask: int, turn: int) -> int:
    """Lowest set bit from ``turn`` on, or else the lowest of all."""
    later = mask >> turn << turn
    return int(LOWEST[later] if later else LOWEST[mask])


@compiled
def least_recent(channel: I32, row: int, mask: int) -> int:
    """Of the channels in a mask, the first one at ``row``, that whose grant is longest ago."""
    found = LOWEST[mask]
    mask &= mask - 1
    while mask:
        vc = LOWEST[mask]
        if channel[row + vc, GRANTED] < channel[row + found, GRANTED]:
            found = vc
        mask &= mask - 1
    return int(found)


@compiled
def channel_for(port: I32, exit_: int, allowed: int) -> int:
    """Channel of an output for a head, -1 if there is none.

    Of those that nobody owns and that have a credit one whose buffer beyond is empty, or else the
    lowest. If none has a credit, the lowest: then it is claimed.
    """
    choice = port[exit_, FREE] & allowed
    if not choice:
        return -1
    if choice & port[exit_, READY]:
        choice &= port[exit_, READY]
    empty = choice & port[exit_, FULL]
    return int(LOWEST[empty if empty else choice])


@compiled
def step(state: np.uint64) -> np.uint64:
    state ^= state << np.uint64(13)
    state ^= state >> np.uint64(7)
    return state ^ state << np.uint64(17)


@compiled
def made(scalars: I64, settings: I64, node: I32, packet: I32, unused: I32,
         cycle: int, source: int, destination: int, flits: int, way: int, label: int,
         copies: int, queue: int) -> None:
    """A packet joins a queue of its source, ``FIRST`` or ``CONTROL``, with its end in the next."""
    scalars[UNUSED] -= 1
    new = unused[scalars[UNUSED]]
    packet[new, NEXT] = -1
    packet[new, MADE] = cycle
    packet[new, SRC] = source
    packet[new, DST] = destination
    packet[new, FLITS] = flits
    packet[new, HOPS] = 0
    packet[new, WAY] = way
    packet[new, LABEL] = label
    packet[new, COPIES] = copies
    if node[source, queue + 1] >= 0:
        packet[node[source, queue + 1], NEXT] = new
    else:
        node[source, queue] = new
    node[source, queue + 1] = new
    if settings[BEGIN] <= cycle < settings[END]:
        scalars[MEASURED] += copies
        node[source, OFFERED] += flits


@compiled
def note(scalars: I64, log: I32, what: int, row: int, node: int, cycle: int, lag: int) -> None:
    """Write down what happened to a packet."""
    n = scalars[LOGGED]
    scalars[LOGGED] = n + 1
    log[n, WHAT], log[n, ROW], log[n, NODE], log[n, WHEN] = what, row, node, cycle
    log[n, WAITS] = lag


@compiled
def _lag(node: I32, port: I32, cycle: int, sink: int, header: bool) -> int:
    """Cycles for which a flit waits in the queue of the core where it leaves.

    A header waits one for its look-up, and so does all that follows it without a gap, on any
    channel; credits go back so much later.
    """
    if not node[sink, ASKS]:
        return 0
    lag = 1 if header or (node[sink, LAG] and cycle - node[sink, SUNK] == 1) else 0
    at = sink * PORTS + SINK
    port[at, CREDIT_CYCLES] += lag - node[sink, LAG]
    node[sink, SUNK], node[sink, LAG] = cycle, lag
    return lag


@compiled
def left(scalars: I64, settings: I64, node: I32, port: I32, packet: I32, unused: I32, done: I32,
         copying: I32 | None, log: I32 | None, cycle: int, sink: int, flit: int) -> None:
    """A flit leaves at a sink."""
    row, number = flit >> 4, flit & 15
    if log is not None:
        lag = _lag(node, port, cycle, sink, number == 0 and packet[row, FLITS] > 1)
        if number == 0:
            note(scalars, log, HEADER, row, sink, cycle, lag)
        if number + 1 == packet[row, FLITS]:
            note(scalars, log, TAIL, row, sink, cycle, lag)
    if settings[BEGIN] <= cycle < settings[END]:
        node[sink, ACCEPTED] += 1
    if number + 1 == packet[row, FLITS]:
        scalars[DELIVERED] += 1
        if copying is not None and packet[row, LABEL]:
            # One row for copies on many ways: they are counted by what their trees are made of.
            source = packet[row, SRC]
            packet[row, HOPS] = 1 + abs(node[source, X] - node[sink, X]) + abs(
                node[source, Y] - node[sink, Y])
        elif packet[row, DST] != sink:
            scalars[WRONG] += 1
        if settings[BEGIN] <= packet[row, MADE] < settings[END]:
            n = scalars[LEFT]
            scalars[LEFT] += 1
            done[n, LATENCY] = cycle - packet[row, MADE]
            done[n, NETWORK_LATENCY] = cycle - packet[row, SENT]
            done[n, ROUTERS] = packet[row, HOPS]
        if copying is not None:
            packet[row, COPIES] -= 1
            if packet[row, COPIES]:
                return
        unused[scalars[UNUSED]] = row
        scalars[UNUSED] += 1


@compiled
def send(port: I32, channel: I32, arrivals: I32, arrival: I32, vcs: int, slots: int,
          cycle: int, exit_: int, vc: int, flit: int, tail: bool) -> None:
    """A flit goes out by a channel of an output port."""
    row = exit_ * vcs + vc
    channel[row, CREDITS] -= 1
    port[exit_, FULL] &= ~(1 << vc)
    if channel[row, CREDITS] == 0:
        port[exit_, READY] &= ~(1 << vc)
    if tail:
        port[exit_, FREE] |= 1 << vc
    else:
        port[exit_, FREE] &= ~(1 << vc)
    slot = cycle + port[exit_, FLIT_CYCLES] & slots - 1
    n = arrivals[slot]
    arrival[slot, n, 0] = port[exit_, BEYOND]
    arrival[slot, n, 1] = vc
    arrival[slot, n, 2] = flit
    arrivals[slot] = n + 1


@compiled
def take(port: I32, channel: I32, ring: I32, refunds: I32, refund: I32, vcs: int, slots: int,
          entries: int, cycle: int, entrance: int, vc: int) -> int:
    """The front flit of a channel of an input port, which gives its credit back."""
    row = entrance * vcs + vc
    head = channel[row, HEAD]
    flit = ring[row, head]
    channel[row, HEAD] = head + 1 & entries - 1
    channel[row, COUNT] -= 1
    if channel[row, COUNT] == 0:
        port[entrance, OCCUPIED] &= ~(1 << vc)
    slot = cycle + port[entrance, CREDIT_CYCLES] & slots - 1
    n = refunds[slot]
    refund[slot, n, 0] = port[entrance, BEFORE]
    refund[slot, n, 1] = vc
    refunds[slot] = n + 1
    return int(flit)
