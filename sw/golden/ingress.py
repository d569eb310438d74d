"""Ingress of a core's network interface: what each flit that arrives brings about.

Written from ``docs/architecture.md`` and the formats of ``hw.params.packet``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.noc import PAYLOAD_FLITS_MAX
from ouroboros.hw.params.packet import Kind
from ouroboros.sw.program.packets import Flit, entry_flits, read_header
from ouroboros.sw.program.vectors import join_flits

__all__ = ["Arrived", "Config", "Credit", "Error", "IngressModel", "Request", "Write"]


class Write(NamedTuple):
    """Payload flit to part ``part`` of buffer word ``word``."""

    word: int
    part: int
    data: int


class Arrived(NamedTuple):
    """A packet of an operand is complete."""

    slot: int
    operand: int
    flags: int


class Credit(NamedTuple):
    """A credit came back."""

    counter: int


class Config(NamedTuple):
    """One configuration entry."""

    unit: int
    address: int
    data: int


@dataclass(frozen=True, slots=True)
class Request:
    """A READ to be answered to (x, y) by way of (way_x, way_y), or class 2 if ``table``."""

    unit: int
    address: int
    count: int
    x: int
    y: int
    way_x: int
    way_y: int
    table: int


class Error(NamedTuple):
    """A packet, or the rest of one, was refused."""


Effect = Write | Arrived | Credit | Config | Request | Error
Lookup = Callable[[int, int, int], tuple[int, int] | None]
"""(stage, sequence, position) to (slot, base word), or None."""


@dataclass(slots=True)
class _Open:
    """A virtual channel's open packet; ``kind`` None: the rest is dropped."""

    kind: Kind | None
    left: int
    header: Mapping[str, int]
    slot: int = 0
    place: int = 0
    parts: list[int] = field(default_factory=list)


class IngressModel:
    """What each flit that a core receives brings about.

    Parameters
    ----------
    machine : Machine
        Sizes.
    lookup : Lookup
        Slot of a token, as the controller finds or allocates it.
    """

    def __init__(self, machine: Machine, lookup: Lookup):
        self._machine = machine
        self._lookup = lookup
        self._open: dict[int, _Open] = {}

    def take(self, flit: Flit, *, busy: bool = False) -> list[Effect]:
        """Effects of one flit; ``busy``: a READ would find another one pending."""
        effects: list[Effect] = []
        if flit.head:
            torn = flit.vc in self._open
            others = [p for vc, p in self._open.items() if vc != flit.vc]
            packet, effects = self._begin(flit, others, busy)
            refused = packet.kind is None and not effects
            short = packet.kind is not None and flit.tail
            if torn or refused or short:
                effects.append(Error())
        else:
            known = self._open.get(flit.vc)
            packet = known or _Open(None, 0, {})
            if known is None or (packet.kind is not None and packet.left == 0):
                packet.kind = None
                effects.append(Error())
            elif packet.kind is not None:
                effects.extend(self._payload(packet, flit))
        self._open[flit.vc] = packet
        if flit.tail:
            del self._open[flit.vc]
        return effects

    def _begin(self, flit: Flit, others: list[_Open], busy: bool) -> tuple[_Open, list[Effect]]:
        header = read_header(flit.data)
        length = header["length"]
        closed = _Open(None, 0, header)
        if header["kind"] in (Kind.DATA, Kind.WRITE):
            if not 1 <= length <= PAYLOAD_FLITS_MAX:
                return closed, []
            if header["kind"] == Kind.WRITE:
                if any(p.kind == Kind.WRITE for p in others):
                    return closed, []
                return _Open(Kind.WRITE, length, header), []
            found = self._lookup(header["stage"], header["sequence"], header["position"])
            if found is None:
                return closed, []
            slot, base = found
            place = base * self._machine.flits_per_word + header["offset"]
            return _Open(Kind.DATA, length, header, slot, place), []
        if length == 0 and flit.tail:
            if header["kind"] == Kind.CREDIT:
                return closed, [Credit(header["counter"])]
            if header["kind"] == Kind.READ and header["count"] and not busy:
                return closed, [Request(header["unit"], header["address"], header["count"],
                                        header["src_x"], header["src_y"], header["back_x"],
                                        header["back_y"], header["back_table"])]
        return closed, []

    def _payload(self, packet: _Open, flit: Flit) -> list[Effect]:
        per_word = self._machine.flits_per_word
        packet.left -= 1
        complete = packet.left == 0
        effects: list[Effect] = []
        if packet.kind == Kind.DATA:
            effects.append(Write(packet.place // per_word % 4096, packet.place % per_word,
                                 flit.data))
            packet.place += 1
            if flit.tail and complete:
                effects.append(Arrived(packet.slot, packet.header["operand"],
                                       packet.header["flags"]))
        else:
            packet.parts.append(flit.data)
            per_entry = entry_flits(self._machine, packet.header["unit"])
            done, rest = divmod(len(packet.parts), per_entry)
            if rest == 0:
                data = join_flits(packet.parts[-per_entry:], self._machine.noc.flit_bits)
                effects.append(Config(packet.header["unit"],
                                      (packet.header["address"] + done - 1) % (1 << 24), data))
            complete = complete and rest == 0
        if flit.tail and not complete:
            effects.append(Error())
        return effects
