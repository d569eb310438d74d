"""A file of waves as values by core, signal and cycle."""

import difflib
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from pywellen import Waveform

from ouroboros.hw.params.position import Position
from ouroboros.sw.runtime.waves import WavesError
from ouroboros.tb.waves.about import read_about
from ouroboros.tb.waves.record import PERIOD_PS

__all__ = ["WaveFile"]

SAMPLE_PS = PERIOD_PS - 1
"""In a cycle: all that its beginning and its clock gates change has settled."""
NEAR = 3
"""Names that are suggested."""
MAGIC = (b"\x00", b"$")
"""First bytes of FST files and VCD files."""


class WaveFile:
    """Waves of a run and what is known of it.

    Parameters
    ----------
    path : Path
        FST or VCD, as ``--waves`` wrote it; its description beside it.

    Raises
    ------
    WavesError
        If it is no file of waves, holds no core, or has no description.
    """

    def __init__(self, path: Path):
        self.path = path
        if not path.is_file():
            raise WavesError(f"{path}: there must be such a file of waves, as ouroboros run "
                             "--waves writes them")
        with path.open("rb") as file:
            begins = file.read(1)
        try:
            if begins not in MAGIC:
                raise RuntimeError("it begins with neither")
            self._wave = Waveform(str(path))
        except BaseException as error:     # pywellen panics, which is no Exception
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            raise WavesError(f"{path}: must be a file of waves, FST or VCD ({error})") from error
        self.about = read_about(path)
        self.machine = self.about.machine
        self.first, self.last = self.about.recorded
        self.cores = self.about.cores
        self._places = self.about.tiles

    @cached_property
    def _vars(self) -> dict[Position, dict[str, Any]]:
        """Variables by core and by name below its tile."""
        found: dict[Position, dict[str, Any]] = {core: {} for core in self.cores}
        ends = {f".{place}.": core for core, place in self._places.items()}
        pattern = re.compile("|".join(re.escape(end) for end in ends))
        for var in self._wave.all_vars():
            name = f".{var.full_name}"
            if (match := pattern.search(name)) is not None:
                # Verilator shows a block that is stepped with a scope of its own.
                rest = name[match.end():].removeprefix("tile.").removeprefix("body.")
                # Icarus writes names as Verilog escapes them.
                found[ends[match[0]]].setdefault(rest.replace("\\", "").split(" ")[0], var)
        return found

    def full_names(self, core: Position) -> dict[str, str]:
        """Names in the file by name below the tile."""
        return {name: var.full_name for name, var in self._vars[self.core(core)].items()}

    def core(self, core: Position) -> Position:
        """The same, if it was recorded."""
        if core not in self._places:
            raise WavesError(f"core must be one that was recorded, "
                             f"{' '.join(f'{x},{y}' for x, y in self.cores)}, not "
                             f"{core[0]},{core[1]}")
        return core

    def cycle(self, cycle: int) -> int:
        """The same, if it was recorded."""
        if not self.first <= cycle <= self.last:
            raise WavesError(f"cycles must lie in those that were recorded, {self.first} to "
                             f"{self.last}, not {cycle}")
        return cycle

    def signal(self, core: Position, name: str) -> "Wave":
        """A signal of a core, by its name below the tile.

        Raises
        ------
        WavesError
            If there is none; the message has names that are near.
        """
        known = self._vars[self.core(core)]
        if name not in known:
            last = name.rpartition(".")[2]
            near = (difflib.get_close_matches(name, known, NEAR, 0.6)
                    or [one for one in known if one.rpartition(".")[2] == last][:NEAR]
                    or difflib.get_close_matches(last, {one.rpartition(".")[2] for one in known},
                                                 NEAR, 0.5))
            hint = f"; near: {', '.join(near)}" if near else ""
            raise WavesError(f"signal must be one of core {core[0]},{core[1]} in {self.path}, not "
                             f"{name!r}{hint}")
        return Wave(known[name].signal, int(known[name].bitwidth or 1))

    def bits(self, core: Position, name: str) -> int:
        """Width of a signal."""
        return int(self._vars[core][name].bitwidth or 1)

    def names(self, core: Position, pattern: str = "") -> list[str]:
        """Signals of a core whose name holds the pattern."""
        return sorted(name for name in self._vars[self.core(core)] if pattern in name)

    def has(self, core: Position, name: str) -> bool:
        """Whether a core has such a signal."""
        return name in self._vars[core]


class Wave:
    """Values of one signal."""

    def __init__(self, signal: Any, bits: int):
        self._signal, self.bits = signal, bits

    def at(self, cycle: int) -> int | None:
        """Value in a cycle; None if it is unknown."""
        value = self._signal.value_at(cycle * PERIOD_PS + SAMPLE_PS)
        if isinstance(value, int):
            return value
        return int(value, 2) if isinstance(value, str) and set(value) <= {"0", "1"} else None

    def changes(self, first: int, last: int) -> Iterator[tuple[int, int | None]]:
        """Value in the first cycle, then the cycles in which it is another."""
        before: object = self
        for cycle in range(first, last + 1):
            value = self.at(cycle)
            if value != before:
                before = value
                yield cycle, value
