"""What the cores of two machines sent for the same tokens, and the first packet that differs."""

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass

from ouroboros.hw.params.position import Position
from ouroboros.sw.program.packets import Packet

__all__ = ["Difference", "Sent", "first_difference"]

KEY = ("src_x", "src_y", "dst_x", "dst_y", "label", "stage", "operand", "sequence", "position",
       "offset")
"""Header fields that name a packet; of equal ones, each sender keeps the order."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A data packet that a core put on the network."""

    packet: Packet
    """Header and payload."""
    cycles: tuple[int, ...] = ()
    """When each flit left, header first; empty where there is no clock."""
    stage: int = -1
    """Stage of the core that sent it; -1 where that is not known."""
    at: int = -1
    """Address of its SEND in the core's program memory; -1 where that is not known."""
    junk: frozenset[int] = frozenset()
    """Payload flits that mean nothing: a token that computes nothing sends what lay there."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first packet that is not as expected."""

    expected: Sent
    """What the reference sent."""
    got: Sent | None
    """What was sent instead; None: nothing."""
    flit: int | None
    """Payload flit that differs first; None: the token's flags do, or there is no packet."""

    @property
    def core(self) -> Position:
        """Who sent it."""
        header = self.expected.packet.header
        return header["src_x"], header["src_y"]


def first_difference(expected: Iterable[Sent], got: Iterable[Sent]) -> Difference | None:
    """Hold what cores sent against a reference, in the reference's order.

    If that is the order of data flow, then everything that the core was sent before is as expected,
    so that the fault is its own. Packets that the reference does not have come last, and are not
    looked for.
    """
    found: dict[tuple[int, ...], deque[Sent]] = defaultdict(deque)
    for sent in got:
        found[_key(sent)].append(sent)
    for wanted in expected:
        same = found[_key(wanted)]
        if not same:
            return Difference(wanted, None, None)
        other = same.popleft()
        flit = _flit(wanted, other.packet)
        if flit is not None:
            return Difference(wanted, other, flit)
        if other.packet.header["flags"] != wanted.packet.header["flags"]:
            return Difference(wanted, other, None)
    return None


def _key(sent: Sent) -> tuple[int, ...]:
    return tuple(sent.packet.header[name] for name in KEY)


def _flit(wanted: Sent, packet: Packet) -> int | None:
    """First payload flit that differs and means something; one that only one of them has does."""
    one, other = wanted.packet.payload, packet.payload
    for n, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b and n not in wanted.junk:
            return n
    return None if len(one) == len(other) else min(len(one), len(other))
