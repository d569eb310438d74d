"""Class 1 and multicast in the cycle model: what an input asks for, and copies of a packet.

A packet with a waypoint goes there on class 0, and from there on class 1. A multicast packet stays
in its buffer and is sent to the ports of its label one after the other, on the channel of the same
number, to whichever has that channel free and credits for all of it, the lowest first; where only
credits are lacking it claims the channel. The last copy frees the buffer (``hw/noc/channel.py``).
"""

from ouroboros.sw.lib.compiled import compiled
from ouroboros.sw.noc.cycle.flits import channel_for
from ouroboros.sw.noc.cycle.state import (
    ALLOWED,
    CLAIMED,
    CLASS_1,
    COUNT,
    CREDITS,
    DST,
    ENTRIES,
    FLITS,
    FREE,
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
    VCS,
    VCS_0,
    WANT,
    WAY,
    X,
    Y,
)

__all__ = ["CLAIM", "KEEP", "LOCAL", "TAKE", "ask", "claimed", "kept", "route", "sent"]

TAKE, KEEP, CLAIM = range(3)
"""What a grant does: a flit leaves the buffer; or is kept for other copies; or none moves, for a
multicast packet only claims the channel."""
LOCAL = 4


@compiled
def route(node: I32, router: int, end: int) -> int:
    """Output of a packet: first x, then y."""
    if node[end, X] != node[router, X]:
        return 1 if node[end, X] > node[router, X] else 3
    if node[end, Y] != node[router, Y]:
        return 2 if node[end, Y] > node[router, Y] else 0
    return LOCAL


@compiled
def ask(settings: I64, node: I32, port: I32, channel: I32, ring: I32, packet: I32, masks: I32,
        copying: I32, router: int, row: int, vc: int) -> tuple[int, int, int]:
    """Output, its channel, and what a grant does, for a channel of an input; -1 for no wish."""
    if channel[row, COUNT] <= copying[row, READ]:
        return -1, -1, TAKE     # the copy waits for flits to come
    front = ring[row, channel[row, HEAD]] >> 4
    label = packet[front, LABEL]
    output = channel[row, WANT]
    exit_vc = channel[row, OUT]
    if exit_vc >= 0:
        if not port[router * PORTS + output, READY] >> exit_vc & 1:
            return -1, -1, TAKE
        return output, exit_vc, KEEP if label and copying[row, LACKING] != 1 << output else TAKE
    if label:
        if copying[row, LACKING] == 0:
            copying[row, LACKING] = masks[label, router]
        return _ask_copy(settings, port, channel, packet[front, FLITS], copying, router, row, vc)
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
    """The lowest port that a copy can start to, or else the lowest that can be claimed for one."""
    lacking, claimed_ = copying[row, LACKING], copying[row, CLAIMED]
    claimable = -1
    for output in range(PORTS - 1):
        if not lacking >> output & 1:
            continue
        exit_ = router * PORTS + output
        free = port[exit_, FREE] >> vc & 1
        if channel[exit_ * settings[VCS] + vc, CREDITS] >= flits:
            if free or claimed_ >> output & 1:
                return output, vc, TAKE if lacking == 1 << output else KEEP
        elif claimable < 0 and free:
            claimable = output
    return claimable, vc, CLAIM


@compiled
def claimed(port: I32, copying: I32, row: int, exit_: int, output: int, vc: int) -> None:
    """A multicast packet gets a channel, and its copy starts later."""
    copying[row, CLAIMED] |= 1 << output
    port[exit_, FREE] &= ~(1 << vc)


@compiled
def kept(settings: I64, channel: I32, ring: I32, copying: I32, row: int) -> int:
    """The next flit of a copy that is not the last."""
    at = channel[row, HEAD] + copying[row, READ]
    copying[row, READ] += 1
    return int(ring[row, at & settings[ENTRIES] - 1])


@compiled
def sent(channel: I32, copying: I32, row: int, output: int, tail: bool) -> None:
    """A flit has gone out; after a copy's tail the packet is read again from its head."""
    if not tail:
        channel[row, WANT] = output
    elif copying[row, LACKING]:
        copying[row, LACKING] &= ~(1 << output)
        copying[row, CLAIMED] &= copying[row, LACKING]
        copying[row, READ] = 0
