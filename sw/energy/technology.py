"""The figures of a technology: joules of an event, each with unit, spread and source."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar

from ouroboros.hw.params.load import ConfigError, build, read_toml
from ouroboros.hw.params.values import Value
from ouroboros.sw.lib.quantities import Quantities, quantity

__all__ = ["TECHNOLOGY", "Technology", "load_technology"]

TECHNOLOGY = Path(__file__).with_suffix(".toml")


@dataclass(frozen=True, kw_only=True)
class Technology(Quantities):
    """Energies of events; what is not in it costs nothing: clock trees, dispatchers, power supply.

    Raises
    ------
    ValueError
        If a value has another unit than its field.
    """

    WORDS: ClassVar[str] = "figure"

    array_read: Value = quantity("pJ/B")
    """A row of a macro read for its adders."""
    cell_read: Value = quantity("pJ/B")
    """The same of cells alone: only for the sweep."""
    macro_read: Value = quantity("pJ/B")
    """The same as measured CIM macros leave room for: only for the sweep."""
    array_write: Value = quantity("pJ/B")
    """A row of a macro that is active for a write, whatever part of it is written."""
    mac: Value = quantity("pJ")
    """A product of bytes and its part of adders and accumulator."""
    sfu: Value = quantity("pJ")
    """An element through the special-function unit."""
    sfu_bytes: Value = quantity("B")
    """Of the buffer, read and written for an element."""
    buffer: Value = quantity("pJ/B")
    """Read from or written to a core's buffer."""
    wire: Value = quantity("pJ/bit/mm")
    """A wire within a core."""
    tree_mm: Value = quantity("mm")
    """Way of a partial sum."""
    hop: Value = quantity("pJ/B")
    """Router and link."""
    die_link: Value = quantity("pJ/bit")
    """A border between dies."""
    wafer_link: Value = quantity("pJ/bit")
    """From wafer to wafer."""
    host_link: Value = quantity("pJ/bit")
    """From or to the host."""
    array_leakage: Value = quantity("W/mm2", zero=True)
    """Of SRAM."""
    logic_leakage: Value = quantity("W/mm2", zero=True)
    """Of all else."""
    array_density: Value = quantity("Mb/mm2")
    """Of SRAM: what is array and what is not."""


def load_technology(path: Path | None = None) -> Technology:
    """The shipped figures, some or all replaced by those of a file of the same form.

    Raises
    ------
    ConfigError
        If the file cannot be read, or an entry is unknown, in another unit or without a source.
    """
    table = read_toml(TECHNOLOGY)
    if path is None:
        return build(Technology, table, where=TECHNOLOGY.name)
    own = read_toml(path)
    known = {one.name for one in fields(Technology)}
    if unknown := sorted(own.keys() - known):
        raise ConfigError(f"{path}: unknown key {unknown[0]!r}; known keys: {sorted(known)}")
    return build(Technology, table | own, where=str(path))
