"""Options that several commands have: one name, one meaning, one default."""

from dataclasses import dataclass
from pathlib import Path

from ouroboros.sw.api.catalogue import SIMULATORS, machine_names, model_names, placement_names
from ouroboros.sw.lib.options import Options, option
from ouroboros.sw.models.scheme import SCHEMES

__all__ = ["OfPlaced", "OnMachine", "OnSimulator", "OnWafer", "WithDead", "WithDeadLinks",
           "WithMembers", "WithPlacement", "WithScheme", "WithShape"]


@dataclass(frozen=True, kw_only=True)
class OnMachine(Options):
    """A machine that simulators run."""

    machine: str = option("small", names=machine_names, metavar="FILE.toml")
    """Shipped machine or path of a TOML file."""


@dataclass(frozen=True, kw_only=True)
class OnWafer(OnMachine):
    """A machine that is calculated with."""

    machine: str = option("wafer", names=machine_names, metavar="FILE.toml")


@dataclass(frozen=True, kw_only=True)
class WithShape(Options):
    """Dimensions of a language model."""

    model: str = option("llama-13b", names=model_names, metavar="FILE.toml")
    """Shipped shape or path of a TOML file."""


@dataclass(frozen=True, kw_only=True)
class WithMembers(Options):
    """How the KV cache is shared out."""

    members: int | None = option(None, metavar="N")
    """Cores that share the tokens of a KV head; by default as many as fit."""


@dataclass(frozen=True, kw_only=True)
class WithScheme(Options):
    """Integers of a program."""

    scheme: str | None = option(None, choices=lambda: tuple(SCHEMES))
    """Integer definition: R, or R2 on a machine with core.residual_bits = 24, and there by
    default."""


@dataclass(frozen=True, kw_only=True)
class WithPlacement(Options):
    """Where a program lies."""

    placement: str = option("plain", names=placement_names, metavar="FILE.json")
    """How the model is laid over the cores: along a snake, or as ouroboros map found."""


@dataclass(frozen=True, kw_only=True)
class OnSimulator(Options):
    """What runs RTL."""

    on: str = option("verilator", choices=lambda: SIMULATORS)
    """Simulator."""


@dataclass(frozen=True, kw_only=True)
class WithDead(Options):
    """Cores that cannot be used."""

    dead: str = option("", metavar="ID,ID,..|FILE.json")
    """Dead cores: ids (x + width * y, both from 0), or a defect map of ouroboros floorplan."""


@dataclass(frozen=True, kw_only=True)
class WithDeadLinks(WithDead):
    """Cores and links that cannot be used."""

    dead_links: str = option("", metavar="ID:PORT,..")
    """Dead links between live cores: id of a core and the port that leads to the other: north,
    east, south or west."""


@dataclass(frozen=True, kw_only=True)
class OfPlaced(WithDead):
    """Tiles that are placed."""

    instance: Path = option()
    """The instance that was placed."""
    placement: Path = option()
    """What ouroboros map --out wrote."""
