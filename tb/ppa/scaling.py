"""From the library's process to the machine's: factors, each with its spread and source."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ouroboros.hw.params.load import build, read_toml
from ouroboros.hw.params.values import Value
from ouroboros.sw.lib.quantities import Quantities, quantity

__all__ = ["Scaling", "load_scaling"]

SCALING = Path(__file__).with_name("scaling.toml")


@dataclass(frozen=True, kw_only=True)
class Scaling(Quantities):
    """Factors from cells of the library to cells of the machine's process.

    Raises
    ------
    ValueError
        If a value has another unit than its field.
    """

    WORDS: ClassVar[str] = "factor"

    area: Value = quantity("1")
    """Of a cell."""
    delay: Value = quantity("1")
    """Of a cell."""
    energy: Value = quantity("1")
    """Of a change of a net."""
    utilisation: Value = quantity("1")
    """Share of a block that its cells fill."""
    margin: Value = quantity("1")
    """A cycle over the slowest path of cells without wires."""
    memory: Value = quantity("Mb/mm2")
    """Bits of an SRAM."""
    memory_ns: Value = quantity("ns")
    """Access of an SRAM."""
    memory_port: Value = quantity("1", zero=True)
    """Area of a memory's further port, over that of the memory with one."""
    activity: Value = quantity("1")
    """Changes of a net in a cycle."""


def load_scaling() -> Scaling:
    """The shipped factors."""
    return build(Scaling, read_toml(SCALING), where=SCALING.name)
