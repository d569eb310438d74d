"""Names of the values of a tile's state machines and enumerations, from the elaborated design."""

import hashlib
import json
import os
from collections.abc import Iterator

from amaranth.hdl import Fragment, Signal
from amaranth.hdl._ast import Format

from ouroboros.hw.lib.library import Library
from ouroboros.hw.mesh.tiles import define_tile
from ouroboros.hw.params.machine import Machine
from ouroboros.sw.lib.folders import cache_folder
from ouroboros.tb.flow.rtl import HW

__all__ = ["Encodings", "encodings"]

Encodings = dict[str, dict[int, str]]
"""Names by value, by the path of the signal below the tile: ``core.send.fsm_state``."""


def encodings(machine: Machine) -> Encodings:
    """State machines and enumerations of a tile; kept in the cache folder, as the Verilog is."""
    key = hashlib.sha256(repr((machine.cim, machine.core, machine.noc, machine.kv)).encode())
    for path in sorted(HW.rglob("*.py")):
        key.update(path.read_bytes())
    cached = cache_folder("rtl") / f"{key.hexdigest()[:24]}.names.json"
    if cached.exists():
        return {path: {int(value): name for value, name in names.items()}
                for path, names in json.loads(cached.read_text()).items()}
    found = _of_design(machine)
    cached.parent.mkdir(parents=True, exist_ok=True)
    aside = cached.with_suffix(f".{os.getpid()}")
    aside.write_text(json.dumps(found))
    aside.rename(cached)
    return found


def _of_design(machine: Machine) -> Encodings:
    library = Library()
    define_tile(machine, library)
    found: Encodings = {}
    for piece in (piece for pieces in library._pieces.values() for piece in pieces):
        # A piece is named after the way to it from the module that it was cut from.
        path = piece.name.replace("..", ".")
        for name, names in _named(piece.fragment):
            found[f"{path}.{name}"] = names
    return found


def _named(fragment: Fragment) -> Iterator[tuple[str, dict[int, str]]]:
    for signal in _signals(fragment):
        if signal.decoder is not None and not isinstance(signal.decoder, type):
            # A state machine's; it says NAME/NUMBER.
            size = len(signal)
            yield signal.name, {value: text.rpartition("/")[0] for value in range(1 << size)
                                if (text := _text(signal, value)) is not None}
        yield from _of_format(signal.name, signal._format)


def _text(signal: Signal, value: int) -> str | None:
    try:
        return signal.decoder(value)
    except (KeyError, ValueError):
        return None


def _of_format(name: str, form: Format) -> Iterator[tuple[str, dict[int, str]]]:
    if isinstance(form, Format.Enum):
        yield name, {int(value): text for value, text in form._variants.items()}
    elif isinstance(form, Format.Struct):
        for field, inner in form._fields.items():
            # As in the Verilog.
            yield from _of_format(f"{name}${field}", inner)


def _signals(fragment: Fragment) -> list[Signal]:
    found: dict[int, Signal] = {}
    for statements in fragment.statements.values():
        for signal in statements._lhs_signals():
            found[id(signal)] = signal
    for part, _, _ in fragment.subfragments:
        if type(part) is Fragment:
            for signal in _signals(part):
                found[id(signal)] = signal
    return list(found.values())
