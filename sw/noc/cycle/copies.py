"""Class 1 and multicast in the cycle model: what an input asks for, and copies of a packet.

A packet with a waypoint goes there on class 0, and from there on class 1. A multicast packet is
copied, on the channel of the same number, to all ports of its label where that channel is free and
has credits for all of it; those that grant the head get the copy together, flit by flit. For ports
where only credits are lacking it waits, ``PATIENCE_CYCLES`` in all. If it sends nothing it claims
the channels that lack credits. It stays in its buffer for the other ports; the last copy frees it
(``hw/noc/channel.py``).
"""

from ouroboros.hw.params.timing.network import PATIENCE_CYCLES
from ouroboros.sw.lib.compiled import compiled
from ouroboros.sw.noc.cycle.flits import channel_for, take
from ouroboros.sw.noc.cycle.state import (
    ALLOWED,
    CLAIMED,
    CLASS_1,
    COUNT,
    CREDITS,
    DST,
    ENTRIES,
    FINAL,
    FLITS,
    FREE,
    GOES,
    HEAD,
    I32,
    I64,
    LABEL,
    LACKING,
    ORDERED,
    OUT,
    PORTS,
    READ,
    READY,
    SIDE,
    SLOTS,
    TOOK,
    VCS,
    VCS_0,
    WAITED,
    WANT,
    WAY,
    X,
    Y,
)

__all__ = ["CLAIM", "COPY", "LOCAL", "TAKE", "ask", "claimed", "copied", "next_flit", "route"]

TAKE, COPY, CLAIM = range(3)
"""What a grant does: a flit leaves the buffer; or a copy of it goes out; or none moves, for a
multicast packet only claims the channel."""
LOCAL = 4


@compiled
def route(node: I32, router: int, end: int) -> int:
    """Output of a packet: first x, then y, then to the node."""
    if node[end, X] != node[router, X]:
        return 1 if node[end, X] > node[router, X] else 3
    if node[end, Y] != node[router, Y]:
        return 2 if node[end, Y] > node[router, Y] else 0
    return int(node[end, SIDE])


@compiled
def ask(settings: I64, node: I32, port: I32, channel: I32, ring: I32, packet: I32, masks: I32,
        copying: I32, router: int, row: int, vc: int) -> tuple[int, int, int]:
    """Output, its channel, and what a grant does, for a channel of an input; -1 for no wish.

    Of a multicast packet a mask of outputs.
    """
    if channel[row, COUNT] <= copying[row, READ]:
        return -1, -1, TAKE     # the copy waits for flits to come
    front = ring[row, channel[row, HEAD]] >> 4
    label = packet[front, LABEL]
    output = channel[row, WANT]
    exit_vc = channel[row, OUT]
    if label:
        if exit_vc >= 0:
            return copying[row, GOES] & ~copying[row, TOOK], exit_vc, COPY
        if copying[row, LACKING] == 0:
            copying[row, LACKING] = masks[label, router]
        return _ask_copy(settings, port, channel, packet[front, FLITS], copying, router, row, vc)
    if exit_vc >= 0:
        if not port[router * PORTS + output, READY] >> exit_vc & 1:
            return -1, -1, TAKE
        return output, exit_vc, TAKE
    if output < 0:
        output = _leg(settings, node, channel, packet, copying, router, row, vc, front)
    allowed = copying[row, ALLOWED]
    return output, channel_for(port, router * PORTS + output, allowed), TAKE


@compiled
def _leg(settings: I64, node: I32, channel: I32, packet: I32, copying: I32, router: int, row: int,
         vc: int, front: int) -> int:
    """Route a unicast packet; the class changes at the waypoint."""
    class_0, class_1 = (1 << settings[VCS_0]) - 1, settings[CLASS_1]
    end, way = packet[front, DST], packet[front, WAY]
    if way >= 0 and vc < settings[VCS_0]:
        allowed = class_0
        if way != router:
            end = way
        else:
            allowed = class_1
        if settings[ORDERED]:
            allowed = 1 << vc if way != router else class_1 & -class_1
    elif settings[ORDERED]:
        allowed = 1 << vc
    else:
        allowed = class_0 if vc < settings[VCS_0] else class_1
    copying[row, ALLOWED] = allowed
    output = route(node, router, end)
    channel[row, WANT] = output
    return output


@compiled
def _ask_copy(settings: I64, port: I32, channel: I32, flits: int, copying: I32, router: int,
              row: int, vc: int) -> tuple[int, int, int]:
    """The ports that a copy can start to, or else those that can be claimed for one.

    To be called once a cycle, as it counts those in which it waits.
    """
    lacking, claimed_ = copying[row, LACKING], copying[row, CLAIMED]
    sendable, claimable, poor = 0, 0, 0
    for output in range(PORTS - 1):
        if not lacking >> output & 1:
            continue
        exit_ = router * PORTS + output
        free = port[exit_, FREE] >> vc & 1
        if not free and not claimed_ >> output & 1:
            continue
        if channel[exit_ * settings[VCS] + vc, CREDITS] >= flits:
            sendable |= 1 << output
        else:
            poor |= 1 << output
            claimable |= free << output
    if sendable and poor and copying[row, WAITED] < PATIENCE_CYCLES:
        copying[row, WAITED] += 1
    elif sendable:
        return sendable, vc, COPY
    return claimable if claimable else -1, vc, CLAIM


@compiled
def claimed(port: I32, copying: I32, row: int, exit_: int, output: int, vc: int) -> None:
    """A multicast packet gets a channel, and its copy starts later."""
    copying[row, CLAIMED] |= 1 << output
    port[exit_, FREE] &= ~(1 << vc)


@compiled
def next_flit(settings: I64, channel: I32, ring: I32, copying: I32, row: int) -> int:
    """The next flit of a multicast packet."""
    at = channel[row, HEAD] + copying[row, READ]
    return int(ring[row, at & settings[ENTRIES] - 1])


@compiled
def copied(settings: I64, port: I32, channel: I32, ring: I32, packet: I32, copying: I32,
           refunds: I32, refund: I32, cycle: int, entrance: int, vc: int, granted: int) -> int:
    """Copies of a flit have gone out by ``granted``; 1 if it leaves the buffer."""
    row = entrance * settings[VCS] + vc
    flit = next_flit(settings, channel, ring, copying, row)
    if channel[row, OUT] < 0:
        channel[row, OUT] = vc
        copying[row, GOES] = granted
        copying[row, FINAL] = granted == copying[row, LACKING]
    else:
        copying[row, TOOK] |= granted
        if copying[row, TOOK] != copying[row, GOES]:
            return 0
        copying[row, TOOK] = 0
    final = int(copying[row, FINAL])
    if final:
        take(port, channel, ring, refunds, refund, settings[VCS], settings[SLOTS],
             settings[ENTRIES], cycle, entrance, vc)
    else:
        copying[row, READ] += 1
    if (flit & 15) + 1 == packet[flit >> 4, FLITS]:
        channel[row, OUT] = -1
        copying[row, LACKING] &= ~copying[row, GOES]
        copying[row, CLAIMED] &= copying[row, LACKING]
        copying[row, READ] = copying[row, GOES] = copying[row, FINAL] = 0
        if final:
            copying[row, WAITED] = 0
    return final
