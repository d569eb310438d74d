"""The rules of a floorplan as typed values, each with its source; read from ``rules.toml``."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ouroboros.hw.params.load import load
from ouroboros.hw.params.values import Value

__all__ = ["RULES", "CoreRules", "Density", "DieRules", "Length", "LogicDensity", "Positive",
           "Ratio", "Rules", "Transistors", "WaferRules", "load_rules"]

RULES = Path(__file__).parent / "rules.toml"


@dataclass(frozen=True, kw_only=True, slots=True)
class Length(Value):
    """A length: a multiple of 1 nm, at least 0."""

    UNIT: ClassVar[str] = "um"

    def __post_init__(self) -> None:
        Value.__post_init__(self)
        if self.mid < 0:
            raise ValueError(f"mid must be at least 0, not {self.mid!r}")
        if abs(self.mid * 1000 - round(self.mid * 1000)) > 1e-6:
            raise ValueError(f"mid must be a multiple of 0.001, not {self.mid!r}")

    @property
    def um(self) -> float:
        """In micrometres."""
        return self.mid

    @property
    def nm(self) -> int:
        """In nanometres."""
        return round(self.mid * 1000)


@dataclass(frozen=True, kw_only=True, slots=True)
class Positive(Value):
    """A number above 0."""

    def __post_init__(self) -> None:
        Value.__post_init__(self)
        if self.mid <= 0:
            raise ValueError(f"mid must be above 0, not {self.mid!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Density(Positive):
    """Bits of memory in an area: megabits (1e6) per square millimetre."""

    UNIT: ClassVar[str] = "Mb/mm2"

    def area_mm2(self, bits: int) -> float:
        """What that many bits take, in square millimetres."""
        return bits / 1e6 / self.mid


@dataclass(frozen=True, kw_only=True, slots=True)
class LogicDensity(Positive):
    """Transistors of logic in an area: millions per square millimetre of cells."""

    UNIT: ClassVar[str] = "M/mm2"


@dataclass(frozen=True, kw_only=True, slots=True)
class Transistors(Positive):
    """A number of transistors."""

    UNIT: ClassVar[str] = "transistors"


@dataclass(frozen=True, kw_only=True, slots=True)
class Ratio(Positive):
    """A number without unit."""

    UNIT: ClassVar[str] = "1"


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
        if self.logic_utilisation.mid > 1:
            raise ValueError(f"logic_utilisation must be at most 1, "
                             f"not {self.logic_utilisation.mid!r}")

    def logic_mm2(self, transistors: float) -> float:
        """Area of a block of logic in square millimetres."""
        return transistors / 1e6 / self.logic_density.mid / self.logic_utilisation.mid


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
