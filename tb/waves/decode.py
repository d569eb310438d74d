"""Bits on wires as fields and words: flits, headers of packets, slots, KV requests."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ouroboros.hw.noc.link import flit_layout
from ouroboros.hw.params.format import Format
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import (
    CONFIG_HEADER,
    CREDIT_HEADER,
    DATA_HEADER,
    Flag,
    Kind,
    Port,
    Unit,
)
from ouroboros.hw.params.position import Position
from ouroboros.tb.waves.wave_file import Wave, WaveFile

__all__ = ["Passed", "fields_of", "header_of", "passed", "words"]

HEADERS: dict[Kind, Format] = {Kind.DATA: DATA_HEADER, Kind.CREDIT: CREDIT_HEADER}
HIDDEN = {"spare", "route_spare", "back_x", "back_y", "back_table", "way_x", "way_y", "ordered"}


@dataclass(slots=True)
class Passed:
    """A packet on a link: its head, and when its flits passed."""

    core: Position
    """Whose router the link enters or leaves."""
    port: Port
    """By which port."""
    into: bool
    """Whether it enters."""
    vc: int
    """Virtual channel there."""
    header: dict[str, int]
    """Fields of the header."""
    cycles: list[int] = field(default_factory=list)
    """Of each flit."""
    whole: bool = False
    """Whether its tail passed."""

    @property
    def key(self) -> tuple[tuple[str, int], ...]:
        """What is the same of a packet wherever it passes."""
        return tuple((name, value) for name, value in self.header.items() if name != "vc")


def header_of(bits: int) -> dict[str, int]:
    """Fields of a packet's first flit."""
    kind = DATA_HEADER.unpack(bits & ((1 << DATA_HEADER.bits) - 1))["kind"]
    form = HEADERS.get(Kind(kind), CONFIG_HEADER) if kind in set(Kind) else CONFIG_HEADER
    return form.unpack(bits & ((1 << form.bits) - 1))


def words(header: Mapping[str, int], stages: Mapping[tuple[Position, int], str]) -> str:
    """A header in words, with the names of stages.

    Parameters
    ----------
    stages : Mapping
        Names by core and number of the stage there.
    """
    kind = Kind(header["kind"])
    source, target = ((header[f"{end}_x"], header[f"{end}_y"]) for end in ("src", "dst"))
    text = f"{kind.name} {_at(source)} to {_at(target)}"
    if header["label"]:
        text += f" (label {header['label']})"
    if kind is Kind.DATA:
        stage = stages.get((target, header["stage"]), f"stage {header['stage']}")
        text += (f", sequence {header['sequence']} position {header['position']}, {stage} operand "
                 f"{header['operand']} flits {header['offset']}.."
                 f"{header['offset'] + header['length'] - 1}")
        if header["flags"]:
            text += " " + "|".join(str(flag.name) for flag in Flag(header["flags"]))
    elif kind is Kind.CREDIT:
        text += f", counter {header['counter']}"
    else:
        unit = header["unit"]
        name = Unit(unit).name if unit < Unit.WEIGHT else f"WEIGHT+{unit - Unit.WEIGHT}"
        text += f", {name} from {header['address']}"
    return text


def fields_of(machine: Machine) -> dict[str, tuple[int, int]]:
    """First bit and width of each field of a flit."""
    return {str(name): (part.offset, part.width) for name, part in flit_layout(machine.noc)}


def passed(wave: WaveFile, core: Position, first: int, last: int, *,
           ports: tuple[Port, ...] = tuple(Port), into: bool = True) -> Iterator[Passed]:
    """Packets on the links of a router, in the order of their heads; without those begun before."""
    fields = fields_of(wave.machine)
    found: list[Passed] = []
    for port in ports:
        side = "inputs" if into else "outputs"
        base = f"router.{side}__{int(port)}"
        valid, flit = wave.signal(core, f"{base}__valid"), wave.signal(core, f"{base}__flit")
        open_: dict[int, Passed] = {}
        for cycle in _high(valid, first, last):
            bits = flit.at(cycle)
            if bits is None:
                continue
            part = {name: bits >> at & ((1 << width) - 1) for name, (at, width) in fields.items()}
            if part["head"]:
                open_[part["vc"]] = Passed(core, port, into, part["vc"], header_of(part["data"]))
                found.append(open_[part["vc"]])
            if (packet := open_.get(part["vc"])) is not None:
                packet.cycles.append(cycle)
                if part["tail"]:
                    packet.whole = True
                    del open_[part["vc"]]
    yield from sorted(found, key=lambda packet: packet.cycles[0])


def _high(wave: Wave, first: int, last: int) -> Iterator[int]:
    """Cycles in which a bit is set."""
    yield from (cycle for cycle in range(first, last + 1) if wave.at(cycle))


def _at(position: Position) -> str:
    return f"{position[0]},{position[1]}"

