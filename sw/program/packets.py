"""Packets of a core: built, taken apart into flits and put together again.

Written from ``docs/architecture.md`` and the formats of ``hw.params.packet``.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ouroboros.hw.params.format import Format
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.noc import PAYLOAD_FLITS_MAX
from ouroboros.hw.params.packet import (
    CONFIG_HEADER,
    CREDIT_HEADER,
    DATA_HEADER,
    HEADER_BITS,
    Kind,
    Unit,
)

__all__ = ["Flit", "Packet", "credit_packet", "data_packets", "entry_flits", "header_format",
           "packets_of", "read_header", "read_packet", "reply_packet", "send_packets",
           "write_packets"]

Place = tuple[int, int]
"""Coordinates (x, y)."""
NO_WAY: Place = (0, 0)
"""No waypoint."""


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
            yield Packet(read_header(first.data), tuple(item.data for item in rest))
    if opened:
        raise ValueError(f"every packet must have a tail, not {[*opened.values()]!r}")


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


def read_header(word: int) -> dict[str, int]:
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
