"""The clock that a timing report gives a machine's cores."""

import dataclasses
from pathlib import Path
from typing import Any

from ouroboros.hw.params.machine import Machine
from ouroboros.sw.lib import json_file
from ouroboros.sw.perf.errors import PerfError

__all__ = ["core_sizes", "read_core_clock"]


def core_sizes(machine: Machine) -> dict[str, object]:
    """What the hardware of a core depends on; machines that differ in the rest have one clock."""
    return {part: dataclasses.asdict(getattr(machine, part))
            for part in ("cim", "core", "noc", "kv")}


def read_core_clock(path: Path, machine: Machine) -> float:
    """GHz, of the middle corner, that ``ouroboros ppa --json`` found for all blocks of a core.

    Raises
    ------
    PerfError
        If the file is none of these, or of another core, or of some blocks only.
    """
    found = json_file.read_object(path, PerfError)
    clock = found.get("clock_ghz")
    if not (isinstance(clock, dict) and {"core", "whole"} <= found.keys()):
        raise PerfError(f"{path}: must have the keys 'core', 'whole' and 'clock_ghz', as ouroboros "
                        "ppa writes them")
    if found["core"] != core_sizes(machine):
        raise PerfError(f"{path}: key 'core' must be that of machine {machine.name!r}: run "
                        f"ouroboros ppa {machine.name}")
    if found["whole"] is not True:
        raise PerfError(f"{path}: key 'whole' must be true, since the slowest block may be one "
                        "that was left out: run ouroboros ppa without --block")
    ghz: Any = clock.get("mid")
    if type(ghz) not in (int, float) or not 0 < ghz < float("inf"):
        raise PerfError(f"{path}: key 'clock_ghz.mid' must be a positive number, not {ghz!r}")
    return float(ghz)
