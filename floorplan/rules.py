"""The rules of a floorplan as typed values, each with its source; read from ``rules.toml``."""

import math
from dataclasses import dataclass
from pathlib import Path

from ouroboros.hw.params.load import load

__all__ = ["RULES", "CoreRules", "Density", "DieRules", "Length", "LogicDensity", "Ratio", "Rules",
           "Transistors", "WaferRules", "load_rules"]

RULES = Path(__file__).parent / "rules.toml"


def _positive(value: float, source: str, *, zero: bool = False) -> None:
    if not (0 <= value < math.inf) or (not value and not zero):
        raise ValueError(f"value must be {'at least' if zero else 'above'} 0, not {value!r}")
    if not source.strip():
        raise ValueError("source must say where the value comes from, not be empty")


@dataclass(frozen=True, kw_only=True, slots=True)
class Length:
    """A length."""

    um: float
    """In micrometres, a multiple of 1 nm; at least 0."""
    source: str
    """Publication, or reason."""

    def __post_init__(self) -> None:
        _positive(self.um, self.source, zero=True)
        if abs(self.um * 1000 - round(self.um * 1000)) > 1e-6:
            raise ValueError(f"um must be a multiple of 0.001, not {self.um!r}")

    @property
    def nm(self) -> int:
        """In nanometres."""
        return round(self.um * 1000)


@dataclass(frozen=True, kw_only=True, slots=True)
class Density:
    """Bits of memory in an area."""

    mb_per_mm2: float
    """In megabits (1e6) per square millimetre; above 0."""
    source: str
    """Publication, or reason."""

    def __post_init__(self) -> None:
        _positive(self.mb_per_mm2, self.source)

    def area_mm2(self, bits: int) -> float:
        """What that many bits take, in square millimetres."""
        return bits / 1e6 / self.mb_per_mm2


@dataclass(frozen=True, kw_only=True, slots=True)
class LogicDensity:
    """Transistors of logic in an area."""

    m_per_mm2: float
    """In millions per square millimetre of cells; above 0."""
    source: str
    """Publication, or reason."""

    def __post_init__(self) -> None:
        _positive(self.m_per_mm2, self.source)


@dataclass(frozen=True, kw_only=True, slots=True)
class Transistors:
    """A number of transistors."""

    transistors: int
    """Above 0."""
    source: str
    """Publication, or reason."""

    def __post_init__(self) -> None:
        _positive(self.transistors, self.source)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ratio:
    """A number without unit."""

    ratio: float
    """Above 0."""
    source: str
    """Publication, or reason."""

    def __post_init__(self) -> None:
        _positive(self.ratio, self.source)


@dataclass(frozen=True, kw_only=True, slots=True)
class WaferRules:
    """The round wafer and the square cut of it that is used."""

    diameter: Length
    """Of the wafer."""
    edge_exclusion: Length
    """Width of the ring at the wafer's edge in which no core counts as good."""
    square: Length
    """Side of the square that the dies must fit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DieRules:
    """Dies, their pitch and what lies between them."""

    pitch_x: Length
    """From die to die, scribe and corridors included."""
    pitch_y: Length
    """The same, the other way."""
    field_x: Length
    """Largest field that the scanner exposes at once."""
    field_y: Length
    """The same, the other way."""
    scribe: Length
    """Lane between two dies; die-link wires cross it."""
    corridor: Length
    """Ring inside each border of a die for the drivers of the die links."""
    grid: Length
    """Every coordinate of a die is a multiple of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CoreRules:
    """Memories and logic of a core, and its pins. The macros get what the blocks leave."""

    memory_density: Density
    """Of buffer and parameter memory."""
    macro_density_max: Density
    """The macros must not come out denser."""
    macro_density_min: Density
    """Nor sparser: then the die's pitch was made for another machine."""
    logic_density: LogicDensity
    """Of standard cells."""
    logic_utilisation: Ratio
    """Share of a block of logic that its cells fill; at most 1."""
    flip_flop: Transistors
    """Also per bit of the router's memories."""
    sfu_lane: Transistors
    """SFU, per lane."""
    router_bit: Transistors
    """Router without its memories, per bit of a flit."""
    control: Transistors
    """All logic that is not listed, per core."""
    macro_aspect_max: Ratio
    """Longer side of a macro over its shorter side, at most."""
    pin_pitch: Length
    """From wire to wire of a link at the core's border."""
    pin_width: Length
    """Of a pin, along the border."""
    pin_depth: Length
    """Of a pin, into the core."""

    def __post_init__(self) -> None:
        if self.logic_utilisation.ratio > 1:
            raise ValueError(f"logic_utilisation must be at most 1, "
                             f"not {self.logic_utilisation.ratio!r}")

    def logic_mm2(self, transistors: int) -> float:
        """Area of a block of logic in square millimetres."""
        return transistors / 1e6 / self.logic_density.m_per_mm2 / self.logic_utilisation.ratio


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """All rules."""

    wafer: WaferRules
    """Wafer."""
    die: DieRules
    """Dies."""
    core: CoreRules
    """Cores."""


def load_rules(path: Path | None = None) -> Rules:
    """Read rules; the shipped ones if no path is given.

    Raises
    ------
    hw.params.load.ConfigError
        If the file is wrong; the message names file and key.
    """
    return load(Rules, path or RULES)
