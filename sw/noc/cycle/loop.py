"""The compiled loop of the cycle model; ``docs/network-models.md`` says what a router does.

Each cycle: events (flits reach buffers, credits reach outputs), sinks, generators, sources, wires
between dies, routers. Nothing that one router does in a cycle is seen by another before the next.

The loop is compiled twice: with ``copying`` (class 1, multicast), and without, where all of that is
cut off, so that plain unicast is no slower for it.
"""

import numpy as np

from ouroboros.sw.lib.compiled import compiled, embedded
from ouroboros.sw.noc.cycle.copies import (
    CLAIM,
    COPY,
    LOCAL,
    TAKE,
    ask,
    claimed,
    copied,
    next_flit,
    route,
)
from ouroboros.sw.noc.cycle.ends import generators, sinks, sources
from ouroboros.sw.noc.cycle.flits import channel_for, first, least_recent, left, send, take
from ouroboros.sw.noc.cycle.state import (
    BEYOND,
    COPIES_MADE,
    COUNT,
    CREDITS,
    CYCLE,
    DEPTH,
    DST,
    END,
    ENDS,
    ENTRIES,
    FLITS,
    FREE,
    FULL,
    GRANTED,
    HEAD,
    HELD,
    HOPS,
    I32,
    I64,
    LEFT,
    LOGGED,
    MEASURED,
    NODES,
    OCCUPIED,
    ORDERED,
    OUT,
    PORTS,
    READY,
    SINK,
    SLOTS,
    STALL,
    STOP,
    TURN_IN,
    TURN_OUT,
    UNUSED,
    VCS,
    WANT,
    WIRE_CYCLES,
    WIRE_FREE,
    State,
)

__all__ = ["EJECT_CYCLES", "advance", "run"]

EJECT_CYCLES = 1
"""From the grant of the local output to the sink, which takes whatever it gave credits for."""

@compiled
def _events(settings: I64, node: I32, port: I32, channel: I32, ring: I32, arrivals: I32,
            arrival: I32, refunds: I32, refund: I32, cycle: int) -> None:
    vcs, entries = settings[VCS], settings[ENTRIES]
    slot = cycle & settings[SLOTS] - 1
    for n in range(arrivals[slot]):
        at, vc = arrival[slot, n, 0], arrival[slot, n, 1]
        row = at * vcs + vc
        ring[row, channel[row, HEAD] + channel[row, COUNT] & entries - 1] = arrival[slot, n, 2]
        channel[row, COUNT] += 1
        port[at, OCCUPIED] |= 1 << vc
        router = at // PORTS
        if router < settings[NODES] and at - router * PORTS != SINK:
            node[router, HELD] += 1
    arrivals[slot] = 0
    for n in range(refunds[slot]):
        at, vc = refund[slot, n, 0], refund[slot, n, 1]
        row = at * vcs + vc
        channel[row, CREDITS] += 1
        port[at, READY] |= 1 << vc
        if channel[row, CREDITS] == port[at, DEPTH]:
            port[at, FULL] |= 1 << vc
    refunds[slot] = 0


@compiled
def _requests(settings: I64, node: I32, port: I32, channel: I32, ring: I32, packet: I32,
              masks: I32, copying: I32 | None, router: int, wish: I32, asked: I32) -> None:
    """Each input asks for what one of its channels wants.

    Of those that can go on, it is the one whose last grant is longest ago.
    """
    vcs = settings[VCS]
    for input_ in range(PORTS - 1):
        entrance = router * PORTS + input_
        mask = port[entrance, OCCUPIED]
        asks = False
        while mask:
            vc = least_recent(channel, entrance * vcs, mask)
            mask &= ~(1 << vc)
            row = entrance * vcs + vc
            if copying is not None:
                output, exit_vc, does = ask(settings, node, port, channel, ring, packet, masks,
                                            copying, router, row, vc)
                if asks or output < 0 or exit_vc < 0:
                    continue
                # On with the others: multicast packets count the cycles in which they wait.
                asks = True
                wish[input_, 2] = does
                if does != TAKE:
                    wish[input_, 0] = vc
                    wish[input_, 1] = exit_vc
                    for n in range(PORTS - 1):
                        asked[n] |= (output >> n & 1) << input_
                    continue
            else:
                if channel[row, WANT] < 0:
                    channel[row, WANT] = route(
                        node, router, packet[ring[row, channel[row, HEAD]] >> 4, DST])
                output = channel[row, WANT]
                exit_ = router * PORTS + output
                exit_vc = channel[row, OUT]
                if exit_vc >= 0:
                    if not port[exit_, READY] >> exit_vc & 1:
                        continue
                else:
                    exit_vc = channel_for(port, exit_, 1 << vc if settings[ORDERED] else -1)
                    if exit_vc < 0:
                        continue
            wish[input_, 0] = vc
            wish[input_, 1] = exit_vc
            asked[output] |= 1 << input_
            if copying is None:
                break


@compiled
def _wires(settings: I64, port: I32, channel: I32, ring: I32, arrivals: I32, arrival: I32,
           refunds: I32, refund: I32, packet: I32, cycle: int) -> None:
    """Both ends of each wire between dies: channels take turns, those with flits and credits."""
    vcs, slots, entries = settings[VCS], settings[SLOTS], settings[ENTRIES]
    begin = settings[NODES] * PORTS
    for end in range(begin, begin + settings[ENDS]):
        mask = port[end, OCCUPIED] & port[end, READY]
        if mask and port[end, WIRE_FREE] <= cycle:
            vc = first(mask, port[end, TURN_IN])
            port[end, TURN_IN] = vc + 1
            port[end, WIRE_FREE] = cycle + port[end, WIRE_CYCLES]
            flit = take(port, channel, ring, refunds, refund, vcs, slots, entries,
                         cycle, end, vc)
            tail = (flit & 15) + 1 == packet[flit >> 4, FLITS]
            send(port, channel, arrivals, arrival, vcs, slots, cycle, end, vc, flit, tail)


@compiled
def _routers(scalars: I64, settings: I64, node: I32, port: I32, channel: I32, ring: I32,
             arrivals: I32, arrival: I32, refunds: I32, refund: I32, packet: I32, unused: I32,
             done: I32, masks: I32, copying: I32 | None, log: I32 | None, cycle: int, wish: I32,
             asked: I32, granted: I32) -> None:
    """Every output grants one of the inputs that ask for it."""
    vcs, slots, entries = settings[VCS], settings[SLOTS], settings[ENTRIES]
    # Credits of a sink that never stalls matter only to packets that need many at once.
    counted = settings[STALL] > 0 or copying is not None
    for router in range(settings[NODES]):
        if node[router, HELD] == 0:
            continue
        _requests(settings, node, port, channel, ring, packet, masks, copying, router, wish,
                  asked)
        for output in range(PORTS - 1):
            if not asked[output]:
                continue
            exit_ = router * PORTS + output
            input_ = first(asked[output], port[exit_, TURN_OUT])
            asked[output] = 0
            port[exit_, TURN_OUT] = input_ + 1
            entrance = router * PORTS + input_
            vc, exit_vc = wish[input_, 0], wish[input_, 1]
            row = entrance * vcs + vc
            channel[row, GRANTED] = cycle + 1
            if copying is not None:
                does = wish[input_, 2]
                if does == CLAIM:
                    claimed(port, copying, row, exit_, output, exit_vc)
                    continue
                if does == COPY:
                    granted[input_] |= 1 << output
                    flit = next_flit(settings, channel, ring, copying, row)
                    if flit & 15 == 0:
                        packet[flit >> 4, HOPS] += 1
                    send(port, channel, arrivals, arrival, vcs, slots, cycle, exit_, exit_vc, flit,
                         (flit & 15) + 1 == packet[flit >> 4, FLITS])
                    sink, place = divmod(port[exit_, BEYOND], PORTS)
                    if place == SINK and sink < settings[NODES]:
                        left(scalars, settings, node, port, packet, unused, done, copying, log,
                             cycle + EJECT_CYCLES, sink, flit)
                    continue
            if not port[exit_, READY] >> exit_vc & 1 and (output != LOCAL or counted):
                channel[row, OUT] = exit_vc
                port[exit_, FREE] &= ~(1 << exit_vc)
                continue
            flit = take(port, channel, ring, refunds, refund, vcs, slots, entries,
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
            if output != LOCAL or counted:
                send(port, channel, arrivals, arrival, vcs, slots,
                      cycle, exit_, exit_vc, flit, tail)
            elif tail:
                port[exit_, FREE] |= 1 << exit_vc
            else:
                port[exit_, FREE] &= ~(1 << exit_vc)
            sink, place = divmod(port[exit_, BEYOND], PORTS)
            if place == SINK and sink < settings[NODES]:
                left(scalars, settings, node, port, packet, unused, done, copying, log,
                     cycle + EJECT_CYCLES, sink, flit)
        if copying is not None:
            for input_ in range(PORTS - 1):
                if granted[input_]:
                    node[router, HELD] -= copied(
                        settings, port, channel, ring, packet, copying, refunds, refund, cycle,
                        router * PORTS + input_, wish[input_, 0], granted[input_])
                    granted[input_] = 0


@compiled
def run(s: State) -> bool:
    """Run to the end; False if room for packets is needed first (``with_packets``)."""
    return _run(s, s.copying, s.log)


@compiled
def advance(s: State, until: int) -> None:
    """Run until a cycle, or to the end of the first in which something is written into the log."""
    _advance(s, s.copying, s.log, until)


@compiled
def _run(s: State, copying: I32 | None, log: I32 | None) -> bool:
    wish = np.zeros((PORTS, 3), np.int32)
    asked, granted = np.zeros(PORTS, np.int32), np.zeros(PORTS, np.int32)
    scalars, settings = s.scalars, s.settings
    while scalars[CYCLE] < settings[STOP]:
        if scalars[CYCLE] >= settings[END] and scalars[LEFT] == scalars[MEASURED]:
            return True
        if (scalars[UNUSED] < settings[NODES]
                or scalars[MEASURED] + settings[COPIES_MADE] > len(s.done)):
            return False
        _cycle(s, copying, log, wish, asked, granted)
    return True


@compiled
def _advance(s: State, copying: I32 | None, log: I32 | None, until: int) -> None:
    wish = np.zeros((PORTS, 3), np.int32)
    asked, granted = np.zeros(PORTS, np.int32), np.zeros(PORTS, np.int32)
    scalars = s.scalars
    scalars[LOGGED] = 0
    while scalars[CYCLE] < until and not scalars[LOGGED]:
        _cycle(s, copying, log, wish, asked, granted)


@embedded
def _cycle(s: State, copying: I32 | None, log: I32 | None, wish: I32, asked: I32,
           granted: I32) -> None:
    (scalars, settings, node, port, channel, ring, arrivals, arrival, refunds, refund, random,
     _, trace, packet, unused, done, masks, _, _) = s
    cycle = scalars[CYCLE]
    _events(settings, node, port, channel, ring, arrivals, arrival, refunds, refund, cycle)
    if settings[STALL] or copying is not None:
        sinks(s, cycle)
    if log is None:
        # Else packets are made by whoever reads the log.
        generators(scalars, settings, node, packet, unused, trace, random, cycle)
    sources(scalars, settings, node, port, channel, arrivals, arrival, packet, copying, log, cycle)
    if settings[ENDS]:
        _wires(settings, port, channel, ring, arrivals, arrival, refunds, refund, packet, cycle)
    _routers(scalars, settings, node, port, channel, ring, arrivals, arrival, refunds, refund,
             packet, unused, done, masks, copying, log, cycle, wish, asked, granted)
    scalars[CYCLE] = cycle + 1
