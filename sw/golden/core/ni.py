"""Packets of a core's network interface: built, taken apart and carried out, flit by flit.

Written from ``hw/README.md`` and the formats of ``hw.params.packet``.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hw.params.format import Format
from hw.params.machine import Machine
from hw.params.noc import PAYLOAD_FLITS_MAX
from hw.params.packet import (
    CONFIG_HEADER,
    CREDIT_HEADER,
    DATA_HEADER,
    HEADER_BITS,
    Kind,
    Unit,
)

__all__ = ["Arrived", "Config", "Credit", "Error", "Flit", "IngressModel", "Packet", "Request",
           "Write", "credit_packet", "data_packets", "entry_flits", "header_format", "join_flits",
           "pack_vector", "packets_of", "read_packet", "reply_packet", "send_packets",
           "unpack_vector", "write_packets"]

Place = tuple[int, int]
"""Coordinates (x, y)."""
NO_WAY: Place = (0, 0)
"""No waypoint."""

ELEMENT_BITS = (8, 16, 32)


class Flit(NamedTuple):
    """One flit of a packet; ``data`` is unsigned."""

    data: int
    vc: int
    head: bool
    tail: bool


@dataclass(frozen=True, slots=True)
class Packet:
    """Header fields and payload flits of one packet."""

    header: Mapping[str, int]
    payload: tuple[int, ...] = ()

    def flits(self) -> list[Flit]:
        """Flits from header to tail."""
        words = [header_format(self.header["kind"]).pack(self.header), *self.payload]
        return [Flit(word, self.header["vc"], n == 0, n == len(words) - 1)
                for n, word in enumerate(words)]


def header_format(kind: int) -> Format:
    """Format of the header of a packet of ``kind``; unknown kinds read as DATA."""
    if kind == Kind.CREDIT:
        return CREDIT_HEADER
    return CONFIG_HEADER if kind in (Kind.WRITE, Kind.READ, Kind.REPLY) else DATA_HEADER


def packets_of(flits: Iterable[Flit]) -> Iterator[Packet]:
    """Packets in the order of their tails; those of different virtual channels may be mixed.

    Raises
    ------
    ValueError
        If a packet starts inside another of its channel, or lacks a header or a tail.
    """
    opened: dict[int, list[Flit]] = {}
    for flit in flits:
        if flit.head == (flit.vc in opened):
            raise ValueError(f"head must be {not flit.head} for {flit!r}")
        opened.setdefault(flit.vc, []).append(flit)
        if flit.tail:
            first, *rest = opened.pop(flit.vc)
            yield Packet(_header(first.data), tuple(item.data for item in rest))
    if opened:
        raise ValueError(f"every packet must have a tail, not {[*opened.values()]!r}")


def pack_vector(values: Sequence[int] | NDArray[Any], bits: int, flit_bits: int) -> list[int]:
    """Flits that hold signed elements of ``bits`` bits, low end first; the rest is 0.

    Raises
    ------
    ValueError
        If ``bits`` is not 8, 16 or 32, or a value does not fit.
    """
    _check_element(bits)
    array = np.asarray(values, dtype=np.int64)
    if array.ndim != 1:
        raise ValueError(f"values must be a vector, not of shape {array.shape!r}")
    bad = array[(array < -(1 << bits - 1)) | (array >= 1 << bits - 1)]
    if bad.size:
        raise ValueError(f"value must fit {bits} bits, not {int(bad[0])!r}")
    raw = array.astype(f"<i{bits // 8}").tobytes()
    size = flit_bits // 8
    return [int.from_bytes(raw[n:n + size], "little") for n in range(0, len(raw), size)]


def unpack_vector(flits: Sequence[int], bits: int, count: int, flit_bits: int) -> NDArray[Any]:
    """First ``count`` signed elements; inverse of ``pack_vector``."""
    _check_element(bits)
    raw = b"".join(flit.to_bytes(flit_bits // 8, "little") for flit in flits)
    return np.frombuffer(raw, dtype=f"<i{bits // 8}")[:count].astype(np.int64)


def join_flits(flits: Sequence[int], flit_bits: int) -> int:
    """Word of several flits, low end first."""
    return sum(flit << n * flit_bits for n, flit in enumerate(flits))


def entry_flits(machine: Machine, unit: int) -> int:
    """Flits of one configuration entry of ``unit``."""
    bits = 8 * machine.cim.outputs if unit >= Unit.WEIGHT else (
        16 * machine.core.lanes if unit == Unit.PARAM else HEADER_BITS)
    return -(-bits // machine.noc.flit_bits)


def data_packets(payload: Sequence[int], *, src: Place, dst: Place, stage: int, operand: int,
                 sequence: int, position: int, offset: int = 0, flags: int = 0, label: int = 0,
                 vc: int = 0, way: Place = NO_WAY, ordered: bool = True) -> list[Packet]:
    """DATA packets that carry ``payload`` flits to flit ``offset`` of the token's slot."""
    return [Packet(_fields(DATA_HEADER, kind=Kind.DATA, src=src, dst=dst, vc=vc,
                           length=len(part), label=label, sequence=sequence, position=position,
                           stage=stage, operand=operand, offset=offset + start, flags=flags,
                           way_x=way[0], way_y=way[1], ordered=int(ordered)), part)
            for start, part in _parts(payload, PAYLOAD_FLITS_MAX)]


def send_packets(entry: Mapping[str, int], payload: Sequence[int], *, src: Place, dst: int,
                 sequence: int, position: int, flags: int) -> list[Packet]:
    """Packets of one SEND instruction to a destination-list entry (``DEST_ENTRY`` fields)."""
    return data_packets(payload, src=src, dst=(entry["x"], entry["y"]), stage=entry["stage"],
                        operand=entry["operand"], sequence=sequence, position=position,
                        offset=dst, flags=flags, label=entry["label"], vc=entry["vc"],
                        way=(entry["way_x"], entry["way_y"]), ordered=not entry["unordered"])


def write_packets(machine: Machine, entries: Sequence[int], *, src: Place, dst: Place, unit: int,
                  address: int = 0, way: Place = NO_WAY) -> list[Packet]:
    """WRITE packets of whole entries for consecutive addresses.

    Raises
    ------
    ValueError
        If an entry does not fit its flits, or the longest packet.
    """
    flit_bits, per_entry = machine.noc.flit_bits, entry_flits(machine, unit)
    if per_entry > PAYLOAD_FLITS_MAX:
        raise ValueError(f"entry must be at most {PAYLOAD_FLITS_MAX} flits, not {per_entry!r}")
    packets = []
    for start, part in _parts(entries, PAYLOAD_FLITS_MAX // per_entry):
        payload = tuple(_digit(entry, n, per_entry, flit_bits)
                        for entry in part for n in range(per_entry))
        packets.append(Packet(
            _fields(CONFIG_HEADER, kind=Kind.WRITE, src=src, dst=dst, vc=machine.noc.control_vc,
                    length=len(payload), unit=unit, address=address + start,
                    way_x=way[0], way_y=way[1]), payload))
    return packets


def read_packet(machine: Machine, *, src: Place, dst: Place, unit: int, address: int = 0,
                count: int = 1, way: Place = NO_WAY, back: Place = NO_WAY,
                back_table: bool = False) -> Packet:
    """READ of ``count`` entries, to be answered to ``src`` by way of ``back`` (``ROUTE``)."""
    return Packet(_fields(CONFIG_HEADER, kind=Kind.READ, src=src, dst=dst,
                          vc=machine.noc.control_vc, unit=unit, address=address, count=count,
                          way_x=way[0], way_y=way[1], back_x=back[0], back_y=back[1],
                          back_table=int(back_table)))


def reply_packet(machine: Machine, value: int, *, src: Place, dst: Place, unit: int,
                 address: int, way: Place = NO_WAY, table: bool = False) -> Packet:
    """REPLY with the value of one entry."""
    return Packet(_fields(CONFIG_HEADER, kind=Kind.REPLY, src=src, dst=dst,
                          vc=_control_vc(machine, table), length=1, unit=unit, address=address,
                          way_x=way[0], way_y=way[1]), (value,))


def credit_packet(machine: Machine, *, src: Place, dst: Place, counter: int,
                  way: Place = NO_WAY, table: bool = False) -> Packet:
    """One token credit."""
    return Packet(_fields(CREDIT_HEADER, kind=Kind.CREDIT, src=src, dst=dst,
                          vc=_control_vc(machine, table), counter=counter,
                          way_x=way[0], way_y=way[1]))


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
        header = _header(flit.data)
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


def _header(word: int) -> dict[str, int]:
    """Fields of the header in the low bits of a flit."""
    word &= (1 << HEADER_BITS) - 1
    return header_format(DATA_HEADER.unpack(word)["kind"]).unpack(word)


def _fields(fmt: Format, *, kind: Kind, src: Place, dst: Place, vc: int, length: int = 0,
            **values: int) -> dict[str, int]:
    """Header fields with zeros where nothing is given; every packet keeps its channel."""
    header = dict.fromkeys((f.name for f in fmt.fields), 0)
    header |= {"dst_x": dst[0], "dst_y": dst[1], "src_x": src[0], "src_y": src[1], "kind": kind,
               "vc": vc, "length": length, "ordered": 1, **values}
    fmt.pack(header)    # refuses values that do not fit
    return header


def _control_vc(machine: Machine, table: bool) -> int:
    """Channel of a credit or reply: control, or class 2 where the machine has it."""
    noc = machine.noc
    return noc.transit_vc if table and noc.class2_vcs else noc.control_vc


def _parts(items: Sequence[int], size: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    for start in range(0, len(items), size):
        yield start, tuple(items[start:start + size])


def _digit(entry: int, n: int, digits: int, bits: int) -> int:
    if not 0 <= entry < 1 << digits * bits:
        raise ValueError(f"entry must fit {digits * bits} bits, not {entry!r}")
    return entry >> n * bits & (1 << bits) - 1


def _check_element(bits: int) -> None:
    if bits not in ELEMENT_BITS:
        raise ValueError(f"element bits must be one of {ELEMENT_BITS}, not {bits!r}")
