"""The cell library that blocks are mapped to, and the programs that do it."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.tb.flow.toolchain import environment

__all__ = ["LIBERTY", "CellLibrary", "PpaError", "find_library", "program", "said"]

LIBERTY = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")
"""Standard cells of Oklahoma State University for a 180 nm process: the smallest node of which
Debian has a library with timing and energy."""
PACKAGE = "qflow-tech-osu018"
PACKAGES = {"yosys": "yosys", "sta": "opensta"}
FLIP_FLOP, INVERTER, LATCH = "DFFPOSX1", "INVX1", "LATCH"
NEEDED = (FLIP_FLOP, INVERTER, LATCH)


class PpaError(OuroborosError):
    """A library or a program is missing or fails, or a report cannot be used."""


@dataclass(frozen=True, slots=True)
class CellLibrary:
    """Standard cells."""

    path: Path
    """Liberty file."""
    area_um2: dict[str, float]
    """Of each cell, in the library's own process."""


def find_library(path: Path | None = None) -> CellLibrary:
    """Cells of the Liberty file that Debian's package holds, or of another of the same names.

    Raises
    ------
    PpaError
        If the file is missing or lacks a cell that latches and flip-flops are mapped to.
    """
    where = LIBERTY if path is None else path
    if not where.is_file():
        raise PpaError(f"liberty file {where} must exist; type: sudo apt-get install {PACKAGE}")
    found = {name: float(area) for name, area in re.findall(
        r"^\s*cell\s*\(\s*\"?(\w+)\"?\s*\)\s*\{[^{}]*?area\s*:\s*([\d.]+)",
        where.read_text(errors="replace"), re.MULTILINE)}
    if missing := [name for name in NEEDED if name not in found]:
        raise PpaError(f"liberty file {where} must have a cell {missing[0]}, as the library of "
                       f"package {PACKAGE} has")
    return CellLibrary(where, found)


def program(name: str) -> str:
    """Path of ``yosys`` or ``sta``.

    Raises
    ------
    PpaError
        If it is missing; the message says what to type.
    """
    path = shutil.which(name)
    if path is None:
        raise PpaError(f"command {name!r} must exist; type: sudo apt-get install {PACKAGES[name]}")
    return path


def said(command: list[str], folder: Path, limit_s: float) -> str:
    """What a program prints; its working directory is ``folder``.

    Raises
    ------
    PpaError
        If it fails or takes too long.
    """
    name = Path(command[0]).name
    try:
        done = subprocess.run(command, cwd=folder, env=environment(), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired:
        raise PpaError(f"{name} must end within {limit_s:g} s: raise --limit") from None
    # OpenSTA goes on after an error, and ends with 0.
    wrong = re.search(r"^.*\bE(?:rror|RROR):.*$", done.stdout + done.stderr, re.MULTILINE)
    if done.returncode or wrong:
        text = wrong[0] if wrong else (done.stdout + done.stderr)[-500:]
        raise PpaError(f"{name} failed: {text.strip()}")
    return done.stdout
