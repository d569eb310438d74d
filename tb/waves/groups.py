"""Which signals of a core a viewer shows first, in groups, and which of them have named values."""

from collections.abc import Iterator
from dataclasses import dataclass

from ouroboros.hw.params.packet import DATA_HEADER, Port
from ouroboros.hw.params.position import Position
from ouroboros.tb.waves.stage import Slot
from ouroboros.tb.waves.wave_file import WaveFile

__all__ = ["Shown", "groups"]

FIELDS = ("kind", "src_x", "src_y", "dst_x", "dst_y", "label", "length", "sequence", "position",
          "stage", "operand", "offset", "flags")
"""Of a packet's header, those of data packets included."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A signal, or some bits of it."""

    name: str
    """Its name below the tile."""
    label: str
    """What the viewer calls it."""
    bits: tuple[int, int] | None = None
    """First bit and width of a part; None: all."""
    names: str = ""
    """Enumeration of its values: a path of ``About.names``, ``Kind``, or ``stages``."""


def groups(wave: WaveFile, core: Position) -> Iterator[tuple[str, list[Shown]]]:
    """Titles and signals."""
    yield "stages", [Shown(f"core.controller.stage_{state}", f"stages {state}")
                     for state in ("busy", "waiting", "blocked")]
    names = wave.about.names
    for number in range(wave.machine.core.slots):
        base = f"core.controller.slots.slot{number}"
        yield f"slot {number}", [
            Shown(f"{base}${name}", name,
                  names=f"{base}$state" if name == "state" else
                  "stages" if name == "stage" else "") for name in Slot.FIELDS]
    yield "state machines", [
        Shown(path, path.removeprefix("core.").removesuffix(".fsm_state"), names=path)
        for path in sorted(names) if path.endswith("fsm_state")]
    yield "units", [Shown(f"core.controller.issue_{unit}__{end}", f"{unit} {end}")
                    for unit in ("array", "sfu", "send") for end in ("valid", "ready")]
    fields = {field.name: (at, field.bits) for field, at in _offsets()}
    for way, words in (("inputs", "in"), ("outputs", "out")):
        for port in Port:
            base = f"router.{way}__{int(port)}"
            yield f"router {words} {port.name.lower()}", [
                Shown(f"{base}__valid", "valid"), Shown(f"{base}__credit", "credit"),
                Shown(f"{base}__flit$vc", "vc"), Shown(f"{base}__flit$head", "head"),
                Shown(f"{base}__flit$tail", "tail"),
                *(Shown(f"{base}__flit$data", name, bits=fields[name],
                        names="Kind" if name == "kind" else "") for name in FIELDS)]


def _offsets():
    at = 0
    for field in DATA_HEADER.fields:
        yield field, at
        at += field.bits
