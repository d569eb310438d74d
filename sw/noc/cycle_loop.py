"""The compiled loop of the cycle model; ``sw/noc/README.md`` says what a router does.

Each cycle: events (flits reach buffers, credits reach outputs), sinks, generators, sources, wires
between dies, routers. Nothing that one router does in a cycle is seen by another before the next.
"""

import numpy as np

from sw.noc.compiled import compiled
from sw.noc.cycle_state import (
    ACCEPTED,
    BEFORE,
    BEGIN,
    BEYOND,
    COUNT,
    CREDIT_CYCLES,
    CREDITS,
    CYCLE,
    DELIVERED,
    DEPTH,
    DESTINATION,
    DST,
    END,
    ENDS,
    ENTRIES,
    FIRST,
    FLIT_CYCLES,
    FLITS,
    FREE,
    FULL,
    HEAD,
    HELD,
    HOPS,
    I32,
    I64,
    INJECTED,
    LAST,
    LATENCY,
    LEFT,
    LENGTHS,
    LIMIT,
    MADE,
    MEASURED,
    NETWORK_LATENCY,
    NEXT,
    NODES,
    OCCUPIED,
    ORDERED,
    OUT,
    PORTS,
    READY,
    ROUTERS,
    SENDING,
    SENDING_VC,
    SENT,
    SHORTEST,
    SINK,
    SLOTS,
    SOURCE,
    SRC,
    STALL,
    STOP,
    TRACE,
    TURN_IN,
    TURN_OUT,
    TURN_SOURCE,
    U64,
    UNUSED,
    VCS,
    WANT,
    WIRE_CYCLES,
    WIRE_FREE,
    WRONG,
    State,
    X,
    Y,
)

__all__ = ["EJECT_CYCLES", "run"]

EJECT_CYCLES = 1
"""From the grant of the local output to the sink, which takes whatever it gave credits for."""
LOCAL = 4
LOWEST = np.array([0] + [(n & -n).bit_length() - 1 for n in range(1, 256)], np.int32)
"""Number of the lowest set bit."""


@compiled
def _first(mask: int, turn: int) -> int:
    """Lowest set bit from ``turn`` on, or else the lowest of all."""
    later = mask >> turn << turn
    return int(LOWEST[later] if later else LOWEST[mask])


@compiled
def _step(state: np.uint64) -> np.uint64:
    state ^= state << np.uint64(13)
    state ^= state >> np.uint64(7)
    return state ^ state << np.uint64(17)


@compiled
def _made(scalars: I64, settings: I64, node: I32, packet: I32, unused: I32,
          cycle: int, source: int, destination: int, flits: int) -> None:
    """A packet joins the queue of its source."""
    scalars[UNUSED] -= 1
    new = unused[scalars[UNUSED]]
    packet[new, NEXT] = -1
    packet[new, MADE] = cycle
    packet[new, SRC] = source
    packet[new, DST] = destination
    packet[new, FLITS] = flits
    packet[new, HOPS] = 0
    if node[source, LAST] >= 0:
        packet[node[source, LAST], NEXT] = new
    else:
        node[source, FIRST] = new
    node[source, LAST] = new
    if settings[BEGIN] <= cycle < settings[END]:
        scalars[MEASURED] += 1


@compiled
def _left(scalars: I64, settings: I64, node: I32, packet: I32, unused: I32, done: I32,
          cycle: int, sink: int, flit: int) -> None:
    """A flit leaves at a sink."""
    row, number = flit >> 4, flit & 15
    if settings[BEGIN] <= cycle < settings[END]:
        node[sink, ACCEPTED] += 1
    if number + 1 == packet[row, FLITS]:
        scalars[DELIVERED] += 1
        if packet[row, DST] != sink:
            scalars[WRONG] += 1
        if settings[BEGIN] <= packet[row, MADE] < settings[END]:
            n = scalars[LEFT]
            scalars[LEFT] += 1
            done[n, LATENCY] = cycle - packet[row, MADE]
            done[n, NETWORK_LATENCY] = cycle - packet[row, SENT]
            done[n, ROUTERS] = packet[row, HOPS]
        unused[scalars[UNUSED]] = row
        scalars[UNUSED] += 1


@compiled
def _send(port: I32, channel: I32, arrivals: I32, arrival: I32, vcs: int, slots: int,
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
    arrival[slot, n, 0] = port[exit_, BEYOND] * vcs + vc
    arrival[slot, n, 1] = flit
    arrivals[slot] = n + 1


@compiled
def _take(port: I32, channel: I32, ring: I32, refunds: I32, refund: I32, vcs: int, slots: int,
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
    refund[slot, n] = port[entrance, BEFORE] * vcs + vc
    refunds[slot] = n + 1
    return int(flit)


@compiled
def _events(settings: I64, node: I32, port: I32, channel: I32, ring: I32, arrivals: I32,
            arrival: I32, refunds: I32, refund: I32, cycle: int) -> None:
    vcs, entries = settings[VCS], settings[ENTRIES]
    slot = cycle & settings[SLOTS] - 1
    for n in range(arrivals[slot]):
        row = arrival[slot, n, 0]
        ring[row, channel[row, HEAD] + channel[row, COUNT] & entries - 1] = arrival[slot, n, 1]
        channel[row, COUNT] += 1
        at = row // vcs
        port[at, OCCUPIED] |= 1 << row - at * vcs
        router = at // PORTS
        if router < settings[NODES] and at - router * PORTS != SINK:
            node[router, HELD] += 1
    arrivals[slot] = 0
    for n in range(refunds[slot]):
        row = refund[slot, n]
        channel[row, CREDITS] += 1
        at = row // vcs
        port[at, READY] |= 1 << row - at * vcs
        if channel[row, CREDITS] == port[at, DEPTH]:
            port[at, FULL] |= 1 << row - at * vcs
    refunds[slot] = 0


@compiled
def _sinks(s: State, cycle: int) -> None:
    """Sinks that stall give no credits then, else one for each channel that owes any."""
    limit = np.uint64(s.settings[STALL])
    for n in range(s.settings[NODES]):
        s.random_sink[n] = _step(s.random_sink[n])
        if s.random_sink[n] & np.uint64(0xFFFFFF) < limit:
            continue
        at = n * PORTS + SINK
        for vc in range(s.settings[VCS]):
            if s.port[at, OCCUPIED] >> vc & 1:
                _take(s.port, s.channel, s.ring, s.refunds, s.refund, s.settings[VCS],
                      s.settings[SLOTS], s.settings[ENTRIES], cycle, at, vc)


@compiled
def _generators(scalars: I64, settings: I64, node: I32, packet: I32, unused: I32, trace: I32,
                random: U64, cycle: int) -> None:
    if len(trace):
        n = scalars[TRACE]
        while n < len(trace) and trace[n, 0] == cycle:
            _made(scalars, settings, node, packet, unused,
                  cycle, trace[n, 1], trace[n, 2], trace[n, 3])
            n += 1
        scalars[TRACE] = n
        return
    nodes, limit = settings[NODES], np.uint64(settings[LIMIT])
    for n in range(nodes):
        drawn = _step(random[n])
        random[n] = drawn
        if drawn & np.uint64(0xFFFFFF) < limit:
            destination = int(node[n, DESTINATION])
            if destination < 0:
                destination = int(drawn >> np.uint64(24) & np.uint64(0xFFFFF)) * nodes >> 20
            flits = int(drawn >> np.uint64(44) & np.uint64(0xFFFF)) * settings[LENGTHS] >> 16
            _made(scalars, settings, node, packet, unused,
                  cycle, n, destination, settings[SHORTEST] + flits)


@compiled
def _sources(settings: I64, node: I32, port: I32, channel: I32, arrivals: I32, arrival: I32,
             packet: I32, cycle: int) -> None:
    """A source sends one packet after the other, each on one channel."""
    vcs = settings[VCS]
    for n in range(settings[NODES]):
        flit = node[n, SENDING]
        exit_ = n * PORTS + SOURCE
        if flit < 0:
            row = node[n, FIRST]
            if row < 0:
                continue
            choice = port[exit_, READY]
            if settings[ORDERED]:
                choice &= 1 << (n + packet[row, DST]) % vcs
            if not choice:
                continue
            node[n, SENDING_VC] = _first(choice, node[n, TURN_SOURCE])
            node[n, TURN_SOURCE] = node[n, SENDING_VC] + 1
            node[n, FIRST] = packet[row, NEXT]
            if packet[row, NEXT] < 0:
                node[n, LAST] = -1
            packet[row, SENT] = cycle
            flit = row << 4
        vc = node[n, SENDING_VC]
        if port[exit_, READY] >> vc & 1:
            tail = (flit & 15) + 1 == packet[flit >> 4, FLITS]
            _send(port, channel, arrivals, arrival, vcs, settings[SLOTS],
                  cycle, exit_, vc, flit, tail)
            if settings[BEGIN] <= cycle < settings[END]:
                node[n, INJECTED] += 1
            flit = -1 if tail else flit + 1
        node[n, SENDING] = flit


@compiled
def _route(node: I32, router: int, end: int) -> int:
    """Output of a packet: first x, then y."""
    if node[end, X] != node[router, X]:
        return 1 if node[end, X] > node[router, X] else 3
    if node[end, Y] != node[router, Y]:
        return 2 if node[end, Y] > node[router, Y] else 0
    return LOCAL


@compiled
def _requests(settings: I64, node: I32, port: I32, channel: I32, ring: I32, packet: I32,
              cycle: int, router: int, wish: I32, asked: I32) -> None:
    """Each input asks for the output of one of its channels, the next in turn that can go on."""
    vcs = settings[VCS]
    for input_ in range(PORTS - 1):
        entrance = router * PORTS + input_
        mask = port[entrance, OCCUPIED]
        while mask:
            vc = _first(mask, port[entrance, TURN_IN])
            mask &= ~(1 << vc)
            row = entrance * vcs + vc
            if channel[row, WANT] < 0:
                channel[row, WANT] = _route(
                    node, router, packet[ring[row, channel[row, HEAD]] >> 4, DST])
            output = channel[row, WANT]
            exit_ = router * PORTS + output
            exit_vc = channel[row, OUT]
            if exit_vc >= 0:
                if not port[exit_, READY] >> exit_vc & 1:
                    continue
            else:
                choice = port[exit_, FREE]
                if settings[ORDERED]:
                    choice &= 1 << vc
                # A channel that is alone in its class is claimed, also without a credit.
                if vcs > 1 or choice & port[exit_, READY]:
                    choice &= port[exit_, READY]
                if not choice:
                    continue
                exit_vc = LOWEST[choice & port[exit_, FULL]]
                if not choice & port[exit_, FULL]:
                    exit_vc = LOWEST[choice]
            wish[input_, 0] = vc
            wish[input_, 1] = exit_vc
            asked[output] |= 1 << input_
            break


@compiled
def _wires(settings: I64, port: I32, channel: I32, ring: I32, arrivals: I32, arrival: I32,
           refunds: I32, refund: I32, packet: I32, cycle: int) -> None:
    """Both ends of each wire between dies: channels take turns, those with flits and credits."""
    vcs, slots, entries = settings[VCS], settings[SLOTS], settings[ENTRIES]
    first = settings[NODES] * PORTS
    for end in range(first, first + settings[ENDS]):
        mask = port[end, OCCUPIED] & port[end, READY]
        if mask and port[end, WIRE_FREE] <= cycle:
            vc = _first(mask, port[end, TURN_IN])
            port[end, TURN_IN] = vc + 1
            port[end, WIRE_FREE] = cycle + port[end, WIRE_CYCLES]
            flit = _take(port, channel, ring, refunds, refund, vcs, slots, entries,
                         cycle, end, vc)
            tail = (flit & 15) + 1 == packet[flit >> 4, FLITS]
            _send(port, channel, arrivals, arrival, vcs, slots, cycle, end, vc, flit, tail)


@compiled
def _routers(scalars: I64, settings: I64, node: I32, port: I32, channel: I32, ring: I32,
             arrivals: I32, arrival: I32, refunds: I32, refund: I32, packet: I32, unused: I32,
             done: I32, cycle: int, wish: I32, asked: I32) -> None:
    """Every output grants one of the inputs that ask for it."""
    vcs, slots, entries = settings[VCS], settings[SLOTS], settings[ENTRIES]
    stalls = settings[STALL] > 0
    for router in range(settings[NODES]):
        if node[router, HELD] == 0:
            continue
        _requests(settings, node, port, channel, ring, packet, cycle, router, wish, asked)
        for output in range(PORTS - 1):
            if not asked[output]:
                continue
            exit_ = router * PORTS + output
            input_ = _first(asked[output], port[exit_, TURN_OUT])
            asked[output] = 0
            port[exit_, TURN_OUT] = input_ + 1
            entrance = router * PORTS + input_
            vc, exit_vc = wish[input_, 0], wish[input_, 1]
            port[entrance, TURN_IN] = vc + 1
            row = entrance * vcs + vc
            if not port[exit_, READY] >> exit_vc & 1 and (output != LOCAL or stalls):
                channel[row, OUT] = exit_vc
                port[exit_, FREE] &= ~(1 << exit_vc)
                continue
            flit = _take(port, channel, ring, refunds, refund, vcs, slots, entries,
                         cycle, entrance, vc)
            node[router, HELD] -= 1
            tail = (flit & 15) + 1 == packet[flit >> 4, FLITS]
            if tail:
                channel[row, OUT] = -1
                channel[row, WANT] = -1
            else:
                channel[row, OUT] = exit_vc
            if flit & 15 == 0:
                packet[flit >> 4, HOPS] += 1
            if output != LOCAL or stalls:
                _send(port, channel, arrivals, arrival, vcs, slots,
                      cycle, exit_, exit_vc, flit, tail)
            elif tail:      # credits of a sink that never stalls do not run out
                port[exit_, FREE] |= 1 << exit_vc
            else:
                port[exit_, FREE] &= ~(1 << exit_vc)
            if output == LOCAL:
                _left(scalars, settings, node, packet, unused, done,
                      cycle + EJECT_CYCLES, router, flit)


@compiled
def run(s: State) -> bool:
    """Run to the end; False if room for packets is needed first (``with_packets``)."""
    wish = np.zeros((PORTS, 2), np.int32)
    asked = np.zeros(PORTS, np.int32)
    (scalars, settings, node, port, channel, ring, arrivals, arrival, refunds, refund, random,
     _, trace, packet, unused, done) = s
    while scalars[CYCLE] < settings[STOP]:
        cycle = scalars[CYCLE]
        if cycle >= settings[END] and scalars[LEFT] == scalars[MEASURED]:
            return True
        if scalars[UNUSED] < settings[NODES] or scalars[MEASURED] + settings[NODES] > len(done):
            return False
        _events(settings, node, port, channel, ring, arrivals, arrival, refunds, refund, cycle)
        if settings[STALL]:
            _sinks(s, cycle)
        _generators(scalars, settings, node, packet, unused, trace, random, cycle)
        _sources(settings, node, port, channel, arrivals, arrival, packet, cycle)
        if settings[ENDS]:
            _wires(settings, port, channel, ring, arrivals, arrival, refunds, refund, packet,
                   cycle)
        _routers(scalars, settings, node, port, channel, ring, arrivals, arrival, refunds,
                 refund, packet, unused, done, cycle, wish, asked)
        scalars[CYCLE] = cycle + 1
    return True
